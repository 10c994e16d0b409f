"""Files that are shown to models: by their ids, and documents however they come; in responses and in chats."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest

from tests.api.talk import ask, refused
from tests.api.test_files import NOBODY, keep
from tests.api.test_items import PIXEL
from tests.files.parsing.documents import docx, pdf
from tests.server import Servers
from tests.upstreams import FakeBackend, text

covers = pytest.mark.covers

PNG = base64.b64decode(PIXEL.partition(",")[2])
USER: Any = {"role": "user", "content": "hello"}


def user(*parts: Any) -> Any:
    """A message of these parts."""
    return {"role": "user", "content": list(parts)}


def file(file_id: str) -> Any:
    """A part of an input."""
    return {"type": "input_file", "file_id": file_id}


def image(file_id: str) -> Any:
    """A part of an input."""
    return {"type": "input_image", "file_id": file_id, "detail": "high"}


def told(backend: FakeBackend, n: int = -1) -> Any:
    """What the model got in this message of the last request."""
    return backend.last["messages"][n]["content"]


def shown(text_: str, name: str = "a.txt") -> str:
    """A file as a model reads it."""
    return f"File: {name}\n\n{text_}"


@covers("item:message", "item:easy_message")
def test_files_by_their_ids(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Text is read and a picture is looked at; what is stored is the id, and the chain shows it again."""
    note, picture = keep(client, b"tea at five").id, keep(client, PNG, "p.png").id
    made = ask(client, [user({"type": "input_text", "text": "look:"}, file(note), image(picture))])
    wanted = [
        {"type": "text", "text": "look:"},
        {"type": "text", "text": shown("tea at five")},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}},
    ]
    assert told(backend) == wanted
    [item] = client.responses.input_items.list(made.id).data
    assert [part.to_dict().get("file_id") for part in item.content] == [None, note, picture]  # type: ignore[union-attr]
    assert "tea" not in item.to_json()
    ask(client, "again", previous_response_id=made.id)
    assert told(backend, 0) == wanted


def test_a_deleted_file_is_shown_no_more(client: openai.OpenAI, backend: FakeBackend) -> None:
    """In what was said before the model is told so; in a new input it is a 400."""
    note = keep(client, b"tea at five").id
    made = ask(client, [user(file(note))])
    client.files.delete(note)
    ask(client, "again", previous_response_id=made.id)
    assert told(backend, 0) == f"[The file {note} is not available any more.]"
    refused(lambda: ask(client, [user(file(note))]), param="input[0].content[0].file_id", code="not_found")


def test_where_a_file_may_stand(client: openai.OpenAI, backend: FakeBackend) -> None:
    """In results of functions, in a screenshot, and in items of a conversation."""
    note, picture = keep(client, b"tea").id, keep(client, PNG, "p.png").id
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    ask(client, [USER, call, {"type": "function_call_output", "call_id": "c", "output": [file(note), image(picture)]}])
    assert told(backend, -2)[0] == {"type": "text", "text": shown("tea")}
    assert told(backend)[0]["image_url"]["url"] == PIXEL
    screen = {"type": "computer_call", "call_id": "s", "action": {"type": "screenshot"}}
    screen |= {"id": "cu_1", "pending_safety_checks": [], "status": "completed"}
    output = {"type": "computer_screenshot", "file_id": picture}
    ask(client, [USER, screen, {"type": "computer_call_output", "call_id": "s", "output": output}])
    assert told(backend)[0]["image_url"]["url"] == PIXEL
    talk = client.conversations.create(items=[user(file(note))])
    ask(client, "what?", conversation=talk.id)
    assert told(backend, 0) == shown("tea")
    listed = client.conversations.items.list(talk.id, order="asc").data[0].to_dict()
    assert listed["content"] == [file(note)]  # type: ignore[comparison-overlap]


def test_what_names_nothing(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A 400 that says where it stands; no model is asked."""
    note = keep(client, b"no picture").id
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": [image(NOBODY)]}
    for items, param, code in (
        ([USER, user(file(NOBODY))], "input[1].content[0].file_id", "not_found"),
        ([USER, call, result], "input[2].output[0].file_id", "not_found"),
        ([user(image(note))], "input[0].content[0].file_id", "invalid_image"),
        ([user(file("x"))], "input[0].content[0].file_id", "not_found"),
    ):
        refused(lambda: ask(client, items), param=param, code=code)  # noqa: B023
    assert backend.calls == []


@pytest.mark.parametrize("how", ["file_id", "file_data", "data_url"])
def test_documents_become_text(client: openai.OpenAI, backend: FakeBackend, how: str) -> None:
    """A Word document is read, however it comes; and again in the next turn."""
    content = docx("The tea is green.", "The cup is blue.")
    data = base64.b64encode(content).decode()
    part = {
        "file_id": lambda: file(keep(client, content, "a.docx").id),
        "file_data": lambda: {"type": "input_file", "filename": "a.docx", "file_data": data},
        "data_url": lambda: {
            "type": "input_file",
            "filename": "a.docx",
            "file_data": f"data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,{data}",
        },
    }[how]()
    made = ask(client, [user(part)])
    assert told(backend) == shown("The tea is green.\n\nThe cup is blue.", "a.docx")
    ask(client, "again", previous_response_id=made.id)
    assert told(backend, 0) == shown("The tea is green.\n\nThe cup is blue.", "a.docx")


def test_documents_at_a_url(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The same of one that is fetched."""
    backend.files["/a.docx"] = ("application/octet-stream", docx("From afar."))
    ask(client, [user({"type": "input_file", "file_url": f"{backend.url.removesuffix('/v1')}/a.docx"})])
    assert told(backend) == shown("From afar.", "a.docx")


def test_what_is_no_document(servers: Servers, backend: FakeBackend) -> None:
    """What is read here by nobody goes on as it is, as every document does to a model that reads them itself."""
    server = servers(upstream={"document_models": ["reader"]})
    client = server.client
    document = docx("Tea.")
    odd, paper = keep(client, b"\x00\x01\x02\x03", "a.bin").id, keep(client, document, "a.docx").id
    ask(client, [user(file(odd))])
    [part] = told(backend)
    data = "data:application/octet-stream;base64,AAECAw=="
    assert part == {"type": "file", "file": {"filename": "a.bin", "file_data": data}}
    ask(client, [user(file(paper))], model="reader")
    [part] = told(backend)
    assert part["file"]["filename"] == "a.docx"
    assert base64.b64decode(part["file"]["file_data"].partition(",")[2]) == document


def test_a_scan(servers: Servers, backend: FakeBackend) -> None:
    """Pages without text are shown as pictures to a model that reads those, and go on as they are to another."""
    client = servers(upstream={"image_models": ["sees"]}).client
    scan = keep(client, pdf("", ""), "scan.pdf").id
    ask(client, [user(file(scan))], model="sees")
    assert [part["type"] for part in told(backend)] == ["image_url", "image_url"]
    assert all(part["image_url"]["url"].startswith("data:image/png;base64,iVBOR") for part in told(backend))
    ask(client, [user(file(scan))], model="blind")
    [part] = told(backend)
    assert part["file"]["file_data"].startswith("data:application/pdf;base64,")
    text_of = keep(client, pdf("Tea at five."), "tea.pdf").id
    ask(client, [user(file(text_of))], model="sees")
    assert told(backend) == shown("Tea at five.", "tea.pdf")


def test_a_broken_document(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A 400 that names the part and says what is wrong with it."""
    broken = docx("Tea.")[:200]
    for part, key in (
        (file(keep(client, broken, "a.docx").id), "file_id"),
        ({"type": "input_file", "filename": "a.docx", "file_data": base64.b64encode(broken).decode()}, "file_data"),
    ):
        where = f"input[0].content[0].{key}"
        error = refused(lambda: ask(client, [user(part)]), param=where, code="invalid_file")  # noqa: B023
        assert "The file 'a.docx' cannot be read" in error.message
    assert backend.calls == []


def test_too_much(servers: Servers, backend: FakeBackend) -> None:
    """All files of a request together have a limit, which names the way out."""
    client = servers(files={"max_input_bytes": 1000}).client
    notes = [keep(client, b"x" * 600).id for _ in range(2)]
    ask(client, [user(file(notes[0]))])
    for parts in ([file(notes[0]), file(notes[1])], [file(keep(client, b"\x89PNG\r\n\x1a\n" + bytes(1000)).id)]):
        with pytest.raises(openai.BadRequestError, match=r"files.max_input_bytes.*vector store") as caught:
            ask(client, [user(*parts)])
        assert caught.value.code == "files_too_large"
        assert str(caught.value.param).startswith("input[0].content[")


def test_text_in_another_encoding(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Is found out; what is no text at all is refused."""
    ask(client, [user(file(keep(client, "Ein Käse für Jürgen, schön süß".encode("latin-1")).id))])
    assert told(backend) == shown("Ein Käse für Jürgen, schön süß")
    wrong = keep(client, b"\x00\xff\x80\x03" * 50).id
    refused(lambda: ask(client, [user(file(wrong))]), param="input[0].content[0].file_id", code="invalid_file")


def test_they_are_counted(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The tokens of a request are those of its files too."""
    note = keep(client, b"word " * 1000).id
    counted = client.responses.input_tokens.count(model="m", input=[user(file(note))])
    assert counted.input_tokens > 900


# -- chats


def test_files_in_a_chat(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A part that names a file of ours becomes what the model can take; all else goes on as it is."""
    backend.answer(text("ok"))
    note, picture = keep(client, b"tea").id, keep(client, PNG, "p.png").id
    theirs = {"type": "file", "file": {"file_id": "file-theirs"}}
    parts: Any = [
        {"type": "text", "text": 'look at "file_id"'},
        {"type": "file", "file": {"file_id": note}},
        {"type": "file", "file": {"file_id": picture}},
        theirs,
    ]
    client.chat.completions.create(model="m", messages=[USER, {"role": "user", "content": parts}])
    assert told(backend, 0) == "hello"
    assert told(backend) == [
        parts[0],
        {"type": "text", "text": shown("tea")},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        theirs,
    ]
    wrong: Any = [{"type": "file", "file": {"file_id": NOBODY}}]
    refused(
        lambda: client.chat.completions.create(model="m", messages=[USER, {"role": "user", "content": wrong}]),
        param="messages[1].content[0].file.file_id",
        code="not_found",
    )
