"""The document at ``/openapi.json``: valid, whole, and true of what we send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from antiphon.app import create_app
from antiphon.config import Config, StorageConfig
from antiphon.http.openapi import document
from antiphon.wire.parameters import PARAMETERS
from antiphon.wire.requests import Parameters, parse_create
from tests.server import Server

DOCUMENT = document()
INPUT_TOKENS = "/v1/responses/input_tokens"
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the demo model alone."""
    server = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path_factory.mktemp("data")))))
    server.start()
    yield server
    server.stop()


def problems(name: str, value: Any) -> list[str]:
    """What is wrong with a value, by the schema of this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def test_it_is_valid() -> None:
    """OpenAPI's own schema accepts it."""
    validate(DOCUMENT)


def test_nothing_dangles() -> None:
    """Every reference leads to a schema, and every schema is referred to."""
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert named == set(SCHEMAS)


def test_it_is_served(server: Server) -> None:
    """The server gives this very document."""
    reply = server.http.get("/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == json.loads(json.dumps(DOCUMENT))


def test_every_route_is_in_it(server: Server) -> None:
    """What the document names answers, and what it does not name is not there; operations have ids of their own."""
    ids = []
    for path, item in DOCUMENT["paths"].items():
        methods = {method.upper() for method in item if method != "parameters"}
        url = re.sub(r"\{\w+\}", "x", path)
        for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
            if path == INPUT_TOKENS and method in ("GET", "DELETE"):
                continue  # there it is the id of a response
            reply = server.http.request(method, url, json={} if method == "POST" else None)
            assert (reply.status_code != 405) is (method in methods), (method, path)
        ids += [item[method.lower()]["operationId"] for method in methods]
    assert len(set(ids)) == len(ids) >= 30


def test_every_parameter_is_in_it() -> None:
    """The request of a response has each field that is read, and each that is treated by name."""
    fields = set(SCHEMAS["CreateResponse"]["properties"])
    assert fields == set(Parameters.__struct_fields__)
    assert {row.name for row in PARAMETERS} - fields == {"multi_agent", "personality"}


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}], "type": None},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
        {"id": "msg_1"},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
        {"type": "reasoning", "summary": [], "id": "rs_1", "encrypted_content": None},
    ],
)
def test_items_in_all_their_forms(item: dict[str, Any]) -> None:
    """Typed items, easy messages and bare references are allowed by the document, and read by the server."""
    body = {"model": "demo", "input": [item]}
    assert problems("CreateResponse", body) == []
    [read] = parse_create(json.dumps(body).encode()).input_items()
    assert {**item, "type": read["type"]} == read


@pytest.mark.parametrize(
    "item",
    [{}, {"type": "nonsense", "role": "user", "content": "x"}, {"content": "x"}, {"type": "message"}, 7, {"id": ""}],
)
def test_items_in_no_form(server: Server, item: Any) -> None:
    """What the document does not allow as an item is refused."""
    assert problems("CreateResponse", {"model": "demo", "input": [item]})
    assert server.http.post("/v1/responses", json={"model": "demo", "input": [item]}).status_code == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("background", True),
        ("conversation", 3),
        ("conversation", {}),
        ("prompt", {"id": "x"}),
        ("moderation", {"model": "x"}),
        ("context_management", [{"type": "compaction"}]),
        ("tools", [{}]),
        ("tool_choice", {}),
        ("tool_choice", "any"),
        ("reasoning", {"mode": "pro"}),
        ("prompt_cache_options", {"prewarm": True}),
        ("image", {"context_compression": "enabled"}),
        ("temperature", 3),
        ("metadata", {"k": "v" * 513}),
        ("metadata", {"k" * 65: "v"}),
        ("max_output_tokens", 15),
        ("include", ["everything"]),
    ],
)
def test_what_is_refused_is_not_allowed(server: Server, name: str, value: Any) -> None:
    """Values that the server refuses whatever else is asked are no part of the document."""
    body = {"model": "demo", "input": "x", name: value}
    assert problems("CreateResponse", body)
    assert server.http.post("/v1/responses", json=body).status_code == 400


def test_our_answers_fit(server: Server) -> None:
    """A response, its items, lists, counts and errors are what the document says, with nothing left out."""
    made = server.http.post("/v1/responses", json={"model": "demo", "input": "hello"}).json()
    assert problems("Response", made) == []
    for key in made:
        assert problems("Response", {k: v for k, v in made.items() if k != key}), f"{key} may be missing"
    get = server.http.get
    assert problems("Response", get(f"/v1/responses/{made['id']}").json()) == []
    assert problems("ItemList", get(f"/v1/responses/{made['id']}/input_items").json()) == []
    assert problems("ModelList", get("/v1/models").json()) == []
    assert problems("Health", get("/health").json()) == []
    assert problems("Error", get("/v1/responses/none").json()) == []
    counted = server.http.post("/v1/responses/input_tokens", json={"model": "demo", "input": "hello"}).json()
    assert problems("InputTokens", counted) == []
    talk = server.http.post("/v1/conversations", json={"items": [{"role": "user", "content": "x"}]}).json()
    assert problems("Conversation", talk) == []
    assert problems("ItemList", get(f"/v1/conversations/{talk['id']}/items").json()) == []
    assert problems("DeletedConversation", server.http.delete(f"/v1/conversations/{talk['id']}").json()) == []
    form = {"data": {"purpose": "user_data"}, "files": {"file": b"abc"}}
    file = server.http.post("/v1/files", **form).json()
    assert problems("File", file) == []
    assert problems("FileList", get("/v1/files").json()) == []
    assert problems("DeletedFile", server.http.delete(f"/v1/files/{file['id']}").json()) == []
    asked = {"bytes": 3, "filename": "a", "mime_type": "text/plain", "purpose": "batch"}
    upload = server.http.post("/v1/uploads", json=asked).json()
    assert problems("Upload", upload) == []
    part = server.http.post(f"/v1/uploads/{upload['id']}/parts", files={"data": b"abc"}).json()
    assert problems("UploadPart", part) == []
    done = server.http.post(f"/v1/uploads/{upload['id']}/complete", json={"part_ids": [part["id"]]}).json()
    assert problems("Upload", done) == []
    store = server.http.post(
        "/v1/vector_stores", json={"expires_after": {"anchor": "last_active_at", "days": 1}}
    ).json()
    assert problems("VectorStore", store) == []
    assert problems("VectorStoreList", get("/v1/vector_stores").json()) == []
    one, other = f"/v1/vector_stores/{store['id']}", server.http.post("/v1/files", **form).json()["id"]
    put = server.http.post(f"{one}/files", json={"file_id": other, "attributes": {"a": 1, "b": "c", "d": True}}).json()
    assert problems("VectorStoreFile", put) == []
    assert problems("VectorStoreFileList", get(f"{one}/files").json()) == []
    batch = server.http.post(f"{one}/file_batches", json={"file_ids": [other]}).json()
    assert problems("FileBatch", batch) == []
    assert problems("FileContentPage", get(f"{one}/files/{other}/content").json()) == []
    assert problems("SearchResultsPage", server.http.post(f"{one}/search", json={"query": "abc"}).json()) == []
    assert problems("DeletedVectorStoreFile", server.http.delete(f"{one}/files/{other}").json()) == []
    assert problems("DeletedVectorStore", server.http.delete(one).json()) == []
    assert problems("DeletedResponse", server.http.delete(f"/v1/responses/{made['id']}").json()) == []


def test_it_is_made_only_when_asked_for(tmp_path: Path) -> None:
    """A server that nobody asks for the document does not pay for it."""
    from antiphon.http import openapi

    openapi._encoded.cache_clear()
    create_app(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path))), {})
    assert openapi._encoded.cache_info().misses == 0
