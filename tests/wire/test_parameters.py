"""The table of parameters: complete, fresh in the documents, and true."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from antiphon.wire.parameters import PARAMETERS, REFUSALS, Parameter, as_markdown
from antiphon.wire.requests import Parameters
from tests.shared import shared

ROWS = {row.name: row for row in PARAMETERS}
DOCUMENT = Path(__file__).parents[2] / "docs" / "parameters.md"


def test_the_document_is_fresh() -> None:
    """docs/parameters.md is what the table prints."""
    assert DOCUMENT.read_text() == as_markdown()


def test_every_parameter_of_the_api_has_a_row() -> None:
    """Each row of the API's own list of request parameters is in the table."""
    text = shared("reference", "openai-api.md").read_text()
    section = text[text.index("## 1.2 ") : text.index("## 1.3 ")]
    names = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert len(names) > 30
    assert names | {"presence_penalty", "frequency_penalty"} <= ROWS.keys()


def test_every_field_we_read_has_a_row() -> None:
    """What the request struct reads and what the table tells are the same parameters."""
    fields = {field.encode_name for field in msgspec.structs.fields(Parameters)}
    assert fields | {"multi_agent", "personality"} == ROWS.keys()


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_rows_agree_with_themselves(row: Parameter) -> None:
    """What is forwarded has a name for the model, what is refused has a refusal, and both the other way round."""
    assert ("refuse" in row.how) == any(refusal.name == row.name for refusal in REFUSALS)
    assert ("forward" in row.how) == (row.chat is not None)
    assert row.says.endswith(".")


def test_names_are_there_once() -> None:
    """No parameter has two rows."""
    assert len(ROWS) == len(PARAMETERS)
