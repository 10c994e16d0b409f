"""Files and uploads through the SDK."""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import openai
import pytest

from tests.api.talk import dump, refused
from tests.server import Server, Servers
from tests.upstreams import PATIENCE

covers = pytest.mark.covers

NOBODY = "file-" + "0" * 48
UNKNOWN: Any = {"code": "not_found", "error": openai.NotFoundError}
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


def keep(client: openai.OpenAI, content: bytes = b"hello", name: str = "a.txt", **more: Any) -> Any:
    """A new file."""
    return client.files.create(**{"file": (name, content), "purpose": "user_data", **more})


@covers(
    "endpoint:POST /v1/files",
    "endpoint:GET /v1/files/{id}",
    "endpoint:GET /v1/files/{id}/content",
    "endpoint:DELETE /v1/files/{id}",
)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_life(client: openai.OpenAI, purpose: Any) -> None:
    """Kept, read and deleted; then it is nowhere."""
    content = b"\x00\xffhello\r\n" * 1000
    made = keep(client, content, purpose=purpose)
    assert dump(made) == {
        "id": made.id,
        "object": "file",
        "bytes": len(content),
        "created_at": made.created_at,
        "expires_at": made.created_at + 30 * 24 * 3600 if purpose == "batch" else None,
        "filename": "a.txt",
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    assert made.id.startswith("file-")
    assert client.files.retrieve(made.id) == made
    assert client.files.wait_for_processing(made.id) == made
    got = client.files.content(made.id)
    assert got.read() == content
    assert got.response.headers["content-type"] == "application/octet-stream"
    assert got.response.headers["content-length"] == str(len(content))
    assert dump(client.files.delete(made.id)) == {"id": made.id, "object": "file", "deleted": True}
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        refused(lambda: call(made.id), param="id", **UNKNOWN)  # noqa: B023
    assert made not in client.files.list().data


def test_what_is_not_there(client: openai.OpenAI) -> None:
    """An id of nobody, and what is no id, are a 404."""
    for unknown in (NOBODY, "x", "file-é"):
        for call in (client.files.retrieve, client.files.content, client.files.delete):
            refused(lambda: call(unknown), param="id", **UNKNOWN)  # noqa: B023


@covers("endpoint:GET /v1/files")
def test_lists(servers: Servers) -> None:
    """Newest first unless asked otherwise, a page at a time, of one purpose or of all."""
    server = servers.fresh()
    try:
        client = server.client
        files = [keep(client, b"%d" % n, purpose="batch" if n % 2 else "vision") for n in range(5)]
        files.sort(key=lambda file: file.id)
        assert list(client.files.list(limit=2, order="asc")) == files
        assert list(client.files.list(limit=2)) == files[::-1]
        assert client.files.list().data == files[::-1]
        batch = [file for file in files if file.purpose == "batch"]
        assert list(client.files.list(purpose="batch", order="asc", limit=1)) == batch
        page = client.files.list(after=files[1].id, limit=2, order="asc")
        assert (page.data, page.has_more) == (files[2:4], True)
        shown = server.http.get("/v1/files", params={"order": "asc"}).json()
        assert (shown["object"], shown["first_id"], shown["last_id"]) == ("list", files[0].id, files[-1].id)
        for file in client.files.list(limit=2, order="asc"):
            client.files.delete(file.id)
        assert client.files.list(limit=10_000).data == []
        for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}, {"after": "x"}):
            code = "invalid_cursor" if "after" in wrong else "invalid_value"
            refused(lambda: client.files.list(**wrong), param=next(iter(wrong)), code=code)  # noqa: B023
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("a\x00b.txt", "ab.txt"),
        ('"; rm -rf "', '"; rm -rf "'),
        ("a\r\nset-cookie: x", "aset-cookie: x"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("名前 é.txt", "名前 é.txt"),
        ("x" * 5000 + ".txt", "x" * 251 + ".txt"),
        ("..", "file"),
        (" ", "file"),
    ],
)
def test_hostile_names(client: openai.OpenAI, name: str, kept: str) -> None:
    """A name harms nobody: not our disk, not our headers, not the disk of who downloads it."""
    made = keep(client, b"x", name)
    assert made.filename == kept
    got = client.files.content(made.id).response
    assert got.content == b"x"
    assert got.headers["content-disposition"].startswith('attachment; filename="')
    assert "set-cookie" not in got.headers


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "purpose", "missing_required_parameter"),
        ({"purpose": ""}, "purpose", "missing_required_parameter"),
        ({"purpose": "batch_output"}, "purpose", "invalid_value"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, "expires_after[anchor]", "missing_required_parameter"),
        (
            {"purpose": "batch", "expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            "expires_after[anchor]",
            "invalid_value",
        ),
        *(
            (
                {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": seconds},
                "expires_after[seconds]",
                "invalid_value",
            )
            for seconds in ("3599", "2592001", "x", "-1", "3600.5", "²")
        ),
    ],
)
def test_what_is_refused(server: Server, fields: Any, param: str, code: str) -> None:
    """A wrong field is a 400 that names it, whether it stands before the file or after."""
    for form in ({"data": fields, "files": {"file": b"x"}}, {"files": [("file", b"x"), *_as_parts(fields)]}):
        reply = server.http.post("/v1/files", **form)
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert (error["param"], error["code"]) == (param, code)


def _as_parts(fields: dict[str, str]) -> list[tuple[str, tuple[None, str]]]:
    """Fields that stand where files do."""
    return [(name, (None, value)) for name, value in fields.items()]


def test_without_a_file(server: Server) -> None:
    """No file, and no form, are told apart."""
    reply = server.http.post("/v1/files", files={"purpose": (None, "batch")})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "file")
    assert server.http.post("/v1/files", json={"purpose": "batch"}).status_code == 415


def test_expiry(client: openai.OpenAI) -> None:
    """As long as was asked, from the making on."""
    made = keep(client, expires_after={"anchor": "created_at", "seconds": 3600})
    assert made.expires_at == made.created_at + 3600


def test_parts_of_a_file(server: Server) -> None:
    """A range, the rest and the end of a content; and nothing to whom has it."""
    file_id = keep(server.client, b"0123456789").id
    path = f"/v1/files/{file_id}/content"
    tag = server.http.get(path).headers["etag"]
    assert tag == f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    for asked, content, told in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-100", b"56789", "bytes 5-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
    ):
        got = server.http.get(path, headers={"range": asked})
        assert (got.status_code, got.content, got.headers["content-range"]) == (206, content, told)
        assert got.headers["content-length"] == str(len(content))
    for ignored in ("bytes=0-1,3-4", "bytes=-", "lines=1-2", "bytes=4-2"):
        assert server.http.get(path, headers={"range": ignored}).content == b"0123456789"
    old = {"range": "bytes=0-1", "if-range": '"x"'}
    assert server.http.get(path, headers=old).status_code == 200
    assert server.http.get(path, headers={**old, "if-range": tag}).content == b"01"
    for beyond in ("bytes=10-", "bytes=-0"):
        got = server.http.get(path, headers={"range": beyond})
        assert (got.status_code, got.headers["content-range"]) == (416, "bytes */10")
    assert server.http.get(path, headers={"if-none-match": tag}).status_code == 304
    empty = keep(server.client, b"").id
    assert server.http.get(f"/v1/files/{empty}/content").content == b""
    assert server.http.get(f"/v1/files/{empty}/content", headers={"range": "bytes=-1"}).status_code == 416


def test_too_long(servers: Servers) -> None:
    """A 413 that names limit and setting: for a length that is declared and for one that is not."""
    server = servers(files={"max_file_bytes": 1000})
    assert keep(server.client, b"x" * 1000).bytes == 1000
    for body in (b"x" * 1001, b"x" * 200_000):
        error = refused(
            lambda: keep(server.client, body),  # noqa: B023
            param=None,
            code="payload_too_large",
            error=openai.APIStatusError,
        )
        assert error.status_code == 413
        assert "1000 bytes for a file (files.max_file_bytes)" in error.message
    head = (
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        "transfer-encoding: chunked\r\n\r\n"
    )
    part = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + "x" * 1001
    with socket.create_connection(("127.0.0.1", int(server.root.rpartition(":")[2])), PATIENCE) as there:
        there.sendall(f"{head}{len(part):x}\r\n{part}\r\n".encode())  # and no end
        assert there.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_declared_length_is_refused_unread(servers: Servers) -> None:
    """What will be too long is refused before the first byte of it."""
    server = servers(files={"max_file_bytes": 1000})
    head = (
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        "content-length: 2147483648\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(server.root.rpartition(":")[2])), PATIENCE) as there:
        there.sendall(head.encode())
        assert there.recv(100).startswith(b"HTTP/1.1 413 ")


# -- uploads


@covers(
    "endpoint:POST /v1/uploads",
    "endpoint:POST /v1/uploads/{id}/parts",
    "endpoint:POST /v1/uploads/{id}/complete",
)
def test_an_upload(client: openai.OpenAI) -> None:
    """Begun, filled by parts that come in another order, and completed."""
    upload = client.uploads.create(
        bytes=6,
        filename="../a.jsonl",
        mime_type="text/jsonl",
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    assert dump(upload) == {
        "id": upload.id,
        "object": "upload",
        "bytes": 6,
        "created_at": upload.created_at,
        "expires_at": upload.created_at + 3600,
        "filename": "a.jsonl",
        "purpose": "batch",
        "status": "pending",
        "file": None,
    }
    last = client.uploads.parts.create(upload.id, data=b"def")
    first = client.uploads.parts.create(upload.id, data=b"abc")
    assert dump(first) == {
        "id": first.id,
        "object": "upload.part",
        "created_at": first.created_at,
        "upload_id": upload.id,
    }
    md5 = hashlib.md5(b"abcdef").hexdigest()
    done = client.uploads.complete(upload.id, part_ids=[first.id, last.id], md5=md5)
    assert dump(done) == {**dump(upload), "status": "completed", "file": dump(done.file)}
    assert done.file is not None
    assert client.files.retrieve(done.file.id) == done.file
    assert (done.file.filename, done.file.bytes, done.file.purpose) == ("a.jsonl", 6, "batch")
    assert done.file.expires_at == done.file.created_at + 7200
    assert client.files.content(done.file.id).read() == b"abcdef"
    error = refused(
        lambda: client.uploads.complete(upload.id, part_ids=[first.id, last.id]),
        param="upload_id",
        code="upload_completed",
    )
    assert done.file.id in error.message


def test_in_chunks(client: openai.OpenAI) -> None:
    """The SDK's own way of sending a long file."""
    content = bytes(range(256)) * 1000
    done = client.uploads.upload_file_chunked(
        file=content,
        filename="a.bin",
        bytes=len(content),
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=100_000,
    )
    assert done.file is not None
    assert client.files.content(done.file.id).read() == content


@covers("endpoint:POST /v1/uploads/{id}/cancel")
def test_a_cancelled_upload(client: openai.OpenAI) -> None:
    """It takes nothing more."""
    asked: Any = {"bytes": 3, "filename": "a", "mime_type": "text/plain", "purpose": "vision"}
    upload = client.uploads.create(**asked)
    part = client.uploads.parts.create(upload.id, data=b"abc")
    assert client.uploads.cancel(upload.id).status == "cancelled"
    for call in (
        lambda: client.uploads.parts.create(upload.id, data=b"abc"),
        lambda: client.uploads.complete(upload.id, part_ids=[part.id]),
        lambda: client.uploads.cancel(upload.id),
    ):
        refused(call, param="upload_id", code="upload_cancelled")


def test_uploads_that_are_refused(servers: Servers) -> None:
    """Wrong bodies, unknown ids, and more than an upload may have."""
    server = servers(files={"max_upload_bytes": 1000})
    client = server.client
    asked: Any = {"bytes": 3, "filename": "a", "mime_type": "text/plain", "purpose": "vision"}
    for wrong, param, code in (
        ({"bytes": -1}, "bytes", "invalid_value"),
        ({"bytes": "3"}, "bytes", "invalid_type"),
        ({"purpose": "x"}, "purpose", "invalid_value"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds", "invalid_value"),
    ):
        refused(lambda: client.uploads.create(**{**asked, **wrong}), param=param, code=code)  # noqa: B023
    for missing in asked:
        body = {key: value for key, value in asked.items() if key != missing}
        error = server.http.post("/v1/uploads", json=body).json()["error"]
        assert (error["param"], error["code"]) == (missing, "missing_required_parameter")
    too_long = refused(
        lambda: client.uploads.create(**{**asked, "bytes": 1001}),
        param=None,
        code="payload_too_large",
        error=openai.APIStatusError,
    )
    assert too_long.status_code == 413
    nobody = "upload_" + "0" * 48
    for call in (
        lambda: client.uploads.parts.create(nobody, data=b"abc"),
        lambda: client.uploads.complete(nobody, part_ids=["x"]),
        lambda: client.uploads.cancel(nobody),
    ):
        refused(call, param="upload_id", **UNKNOWN)
    upload = client.uploads.create(**asked)
    refused(lambda: client.uploads.complete(upload.id, part_ids=[]), param="part_ids", code="invalid_value")
    refused(lambda: client.uploads.complete(upload.id, part_ids=["x"]), param="part_ids[0]", code="invalid_value")
    part = client.uploads.parts.create(upload.id, data=b"ab")
    refused(lambda: client.uploads.complete(upload.id, part_ids=[part.id]), param="part_ids", code="invalid_size")
