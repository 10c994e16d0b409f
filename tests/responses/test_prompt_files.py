"""Files in the input: plain formats as text, pictures as pictures, the rest passed on."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest, NotFound
from antiphon.responses.prompt import file_urls, inline_files, references, resolve
from antiphon.responses.prompt.files import file_part
from antiphon.wire.parts import InputFile

PDF = base64.b64encode(b"%PDF-1.4").decode()


def b64(text: str, encoding: str = "utf-8") -> str:
    """The text as base64."""
    return base64.b64encode(text.encode(encoding)).decode()


@given(
    st.text(),
    st.sampled_from(
        ["data:text/plain;base64,", "data:text/csv;charset=utf-8;base64,", "data:application/json;base64,"]
    ),
)
@example("\ufeffx", "data:text/plain;base64,")
def test_any_text_is_read(text: str, head: str) -> None:
    """The text of a file of a plain format is what the model reads."""
    part = file_part(InputFile(file_data=head + b64(text)), "f")
    assert part == {"type": "text", "text": text.removeprefix("\ufeff")}


@pytest.mark.parametrize(
    ("data", "filename", "text"),
    [
        (b64("a,b"), "t.csv", "File: t.csv\n\na,b"),
        (b64("x = 1"), "src/main.py", "File: src/main.py\n\nx = 1"),
        (b64("all:"), "Makefile", "File: Makefile\n\nall:"),
        (b64("hi").rstrip("="), "a.txt", "File: a.txt\n\nhi"),
        (b64("hi") + "\n", "a.txt", "File: a.txt\n\nhi"),
        (base64.urlsafe_b64encode("ÿþý".encode()).decode(), "a.txt", "File: a.txt\n\nÿþý"),
        ("data:application/octet-stream;base64," + b64("# t"), "t.md", "File: t.md\n\n# t"),
        ("data:text/plain,a%20b", None, "a b"),
        ("data:,a%20b", None, "a b"),
        ("data:image/svg+xml;base64," + b64("<svg/>"), None, "<svg/>"),
        (b64("ü", "utf-16"), "w.txt", "File: w.txt\n\nü"),
    ],
)
def test_plain_formats_are_text(data: str, filename: str | None, text: str) -> None:
    """Plain formats are known by their media type or their name, however the base64 was written."""
    assert file_part(InputFile(file_data=data, filename=filename), "f") == {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("data", "filename", "part"),
    [
        (
            PDF,
            "a.pdf",
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        ),
        (
            f"data:application/pdf;base64,{PDF}",
            None,
            {"type": "file", "file": {"filename": "file", "file_data": f"data:application/pdf;base64,{PDF}"}},
        ),
        (PDF, None, {"type": "file", "file": {"filename": "file", "file_data": PDF}}),
        (PDF, "a.png", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PDF}"}}),
    ],
)
def test_other_formats_are_passed_on(data: str, filename: str | None, part: dict[str, Any]) -> None:
    """Pictures become pictures and everything else a file part with a data URL where the type is known."""
    assert file_part(InputFile(file_data=data, filename=filename), "f") == part


@pytest.mark.parametrize(
    ("file", "param", "words"),
    [
        (InputFile(file_data="not base64!", filename="a.txt"), "f.file_data", "not valid base64"),
        (InputFile(file_data="data:application/pdf;base64,*", filename=None), "f.file_data", "not valid base64"),
        (
            InputFile(file_data=base64.b64encode(b"\xff\xfa").decode(), filename="a.txt"),
            "f.file_data",
            "not valid UTF-8",
        ),
        (InputFile(file_url="https://example.com/a.pdf"), "f.file_url", "could not be fetched"),
        (InputFile(file_url="http://[oops"), "f.file_url", "could not be fetched"),
        (InputFile(file_id="file-1"), "f.file_id", "there is no file"),
        (InputFile(filename="a.txt"), "f", "must have one of"),
    ],
)
def test_files_that_cannot_be_read(file: InputFile, param: str, words: str) -> None:
    """A file that cannot be shown is a 400 that names the field and the reason."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        file_part(file, "f")
    assert caught.value.param == param


def test_urls_of_files() -> None:
    """Files by URL are listed for fetching and put in place; pictures are left to the back end."""
    url = "https://example.com/docs/a.txt?x=1"
    picture = {"type": "input_file", "file_url": "https://example.com/cat.PNG"}
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "user", "content": [{"type": "input_file", "file_url": url}, picture]},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_file", "file_url": url, "filename": "b.txt"}],
        },
        {"type": "message", "role": "user", "content": "text"},
    ]
    assert file_urls(items) == [url]
    placed = inline_files(items, {url: "data:text/plain;base64,aGk="})
    assert placed[0]["content"][0] == {
        "type": "input_file",
        "file_data": "data:text/plain;base64,aGk=",
        "filename": "a.txt",
    }
    assert placed[0]["content"][1] == picture
    assert placed[1]["output"][0]["filename"] == "b.txt"
    assert placed[2] is items[2]
    assert file_urls(placed) == []
    assert items[0]["content"][0]["file_url"] == url, "the items themselves are left alone"
    assert file_part(InputFile(file_url=picture["file_url"]), "f") == {
        "type": "image_url",
        "image_url": {"url": picture["file_url"]},
    }


def test_references_are_listed_and_replaced() -> None:
    """References are listed once each, in order, and replaced by what they stand for."""
    items = [{"type": "item_reference", "id": "a"}, {"role": "user"}, {"type": "item_reference", "id": "a"}]
    assert references(items) == ["a"]
    assert resolve(items, {"a": {"type": "message"}}) == [{"type": "message"}, {"role": "user"}, {"type": "message"}]


def test_a_reference_to_nothing() -> None:
    """A reference that is not found names the item and its place."""
    with pytest.raises(NotFound, match="Item with id 'a' not found") as caught:
        resolve([{"type": "item_reference", "id": "a"}], {})
    assert caught.value.param == "input[0].id"
