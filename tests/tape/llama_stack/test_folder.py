"""Folders, and lists of models spread over files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.tape import llama_stack
from antiphon.tape.model import HttpResponse
from tests.tape.llama_stack.files import asked, chat, file, labelled


def models(*names: str, **members: str | None) -> bytes:
    body = [labelled("openai.types.model.Model", {"id": name}) for name in names]
    return file(asked("/v1/models"), {"body": body, "is_streaming": False}, **members)


def test_lists_of_models_are_merged(tmp_path: Path) -> None:
    """Files of one request and scope are one exchange, the union; another scope is another."""
    (tmp_path / "models-1.json").write_bytes(models("c", "a", test_id=None))
    (tmp_path / "models-2.json").write_bytes(models("b", "a", test_id=None))
    (tmp_path / "models-3.json").write_bytes(models("z"))
    found = list(llama_stack.convert([tmp_path]))
    listed = []
    for exchange in found:
        assert isinstance(exchange.response, HttpResponse)
        listed.append((exchange.scope, [model["id"] for model in json.loads(exchange.response.content)["data"]]))
    assert [names for _, names in listed] == [["a", "b", "c"], ["z"]]


def test_an_error_among_the_lists_is_left_out() -> None:
    """A failed list does not hide the ones that came; alone, it is the answer."""
    data = {"category": "provider_sdk", "status_code": 401, "body": {"message": "key"}}
    failed = file(
        asked("/v1/models"), {"body": None, "is_streaming": False, "is_exception": True, "exception_data": data}
    )
    error, listed = llama_stack.load(failed)[0], llama_stack.load(models("a"))[0]
    assert llama_stack.merged([error, listed]) == listed
    assert llama_stack.merged([error]) == error


def test_strangers_are_passed_over_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    """A folder may hold other JSON; a file that was named must be a recording."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.json").write_bytes(chat("a"))
    stranger = tmp_path / "package.json"
    stranger.write_text("{}")
    assert len(list(llama_stack.convert([tmp_path]))) == 1
    with pytest.raises(llama_stack.Unreadable, match=r"package\.json"):
        list(llama_stack.convert([stranger]))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """The path of the file that cannot be read is in the message."""
    (tmp_path / "torn.json").write_bytes(chat("a")[:-30])
    with pytest.raises(llama_stack.Unreadable, match=r"torn\.json"):
        list(llama_stack.convert([tmp_path]))
