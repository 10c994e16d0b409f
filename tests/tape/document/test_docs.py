"""The page about the file format tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

from antiphon.tape import document
from antiphon.tape.document.form import FileForm, RequestForm, ResponseForm
from antiphon.tape.model import HttpResponse, Usage
from tests.tape.document.examples import nothing_beside

PAGE = (Path(__file__).parents[3] / "docs" / "recording" / "format.md").read_text()


def test_the_example_is_a_file_as_it_is_written() -> None:
    """It loads, contradicts itself nowhere, and would be written as it stands."""
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    data = found[1].encode()
    exchange = document.load(data, nothing_beside)
    assert document.check(data, nothing_beside) == []
    assert document.dump(exchange, timing="exact") == (data, {})
    assert isinstance(exchange.response, HttpResponse)
    assert len(exchange.response.reads) == 10
    assert document.usage(exchange.response) == Usage(11, 7)


def test_every_key_is_told() -> None:
    """There is no key that the page does not name."""
    keys = {field for form in (FileForm, RequestForm, ResponseForm) for field in form.__struct_fields__}
    missing = sorted(key for key in keys - {"type"} if f"`{key}`" not in PAGE)
    assert not missing
