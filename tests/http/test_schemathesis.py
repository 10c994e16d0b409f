"""The running server against its own document, with requests that nobody thought of.

For each operation: what the document allows is answered, or refused with a 4xx that it names; what it forbids is
refused; nothing is a 500; every reply has the form that the document gives it. Requests are the same in every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from antiphon.config import Config, StorageConfig
from antiphon.http.openapi import document
from tests.server import Server

_ACCEPTED = ["2xx", "304", "400", "404", "413", "415", "416"]
_API = schemathesis.openapi.from_dict(
    document(),
    config=SchemathesisConfig.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": _ACCEPTED},
                "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "415"]},
                "not_a_server_error": {"expected-statuses": ["2xx", "304", "4xx"]},
            }
        }
    ),
)
_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
_ASK = {"model": "demo", "input": "hello"}
_TALK = {"path_parameters": {"conversation_id": "TALK"}}
_SAID = {"path_parameters": {"conversation_id": "TALK", "item_id": "SAID"}}
_FILE = {"path_parameters": {"file_id": "FILE"}}
_UPLOAD = {"path_parameters": {"upload_id": "UPLOAD"}}
_STORE = {"path_parameters": {"vector_store_id": "STORE"}}
_KEPT = {"path_parameters": {"vector_store_id": "STORE", "file_id": "FILE"}}
_BATCH = {"path_parameters": {"vector_store_id": "STORE", "batch_id": "BATCH"}}
_FORM = "multipart/form-data"
_CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}

#: Requests that must succeed, by operation; ``ID`` stands for a stored response, ``TALK`` for a conversation and
#: ``SAID`` for an item of it, ``FILE`` for a file, ``UPLOAD`` for an upload of 3 bytes and ``PART`` for its part,
#: ``STORE`` for a vector store with that file, which ``BATCH`` put there.
_GOOD: dict[str, list[dict[str, Any]]] = {
    "POST /v1/responses": [
        {"body": {**_ASK, "input": [_ITEM]}},
        {"body": {**_ASK, "stream": True}},
        {"body": {**_ASK, "previous_response_id": "ID"}},
        {"body": {**_ASK, "conversation": {"id": "TALK"}}},
    ],
    "POST /v1/responses/input_tokens": [{"body": _ASK}],
    "GET /v1/responses/{response_id}": [
        {"path_parameters": {"response_id": "ID"}},
        {"path_parameters": {"response_id": "ID"}, "query": {"stream": True, "starting_after": 2}},
    ],
    "DELETE /v1/responses/{response_id}": [{"path_parameters": {"response_id": "ID"}}],
    "POST /v1/responses/{response_id}/cancel": [],  # until there are background responses
    "GET /v1/responses/{response_id}/input_items": [
        {"path_parameters": {"response_id": "ID"}, "query": {"limit": 1, "order": "asc"}}
    ],
    "POST /v1/conversations": [{}, {"body": {"items": [_ITEM], "metadata": {"a": "b"}}}],
    "GET /v1/conversations/{conversation_id}": [_TALK],
    "POST /v1/conversations/{conversation_id}": [{**_TALK, "body": {"metadata": None}}],
    "DELETE /v1/conversations/{conversation_id}": [_TALK],
    "GET /v1/conversations/{conversation_id}/items": [{**_TALK, "query": {"limit": 1, "order": "asc"}}],
    "POST /v1/conversations/{conversation_id}/items": [{**_TALK, "body": {"items": [_ITEM]}}],
    "GET /v1/conversations/{conversation_id}/items/{item_id}": [_SAID],
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}": [_SAID],
    "POST /v1/files": [
        {"body": {"purpose": "user_data", "file": b"abc"}, "media_type": _FORM},
        {
            "body": {
                "purpose": "batch",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": 3600,
                "file": b"",
            },
            "media_type": _FORM,
        },
    ],
    "GET /v1/files": [{"query": {"limit": 1, "order": "asc", "purpose": "user_data"}}],
    "GET /v1/files/{file_id}": [_FILE],
    "DELETE /v1/files/{file_id}": [_FILE],
    "GET /v1/files/{file_id}/content": [_FILE],
    "POST /v1/uploads": [{"body": {"bytes": 3, "filename": "a", "mime_type": "text/plain", "purpose": "batch"}}],
    "POST /v1/uploads/{upload_id}/parts": [{**_UPLOAD, "body": {"data": b"abc"}, "media_type": _FORM}],
    "POST /v1/uploads/{upload_id}/complete": [{**_UPLOAD, "body": {"part_ids": ["PART"]}}],
    "POST /v1/uploads/{upload_id}/cancel": [_UPLOAD],
    "POST /v1/vector_stores": [{}, {"body": {"name": "a", "file_ids": ["FILE"], "embedding_dimensions": 384}}],
    "GET /v1/vector_stores": [{"query": {"limit": 1, "order": "asc", "before": "STORE"}}],
    "GET /v1/vector_stores/{vector_store_id}": [_STORE],
    "POST /v1/vector_stores/{vector_store_id}": [{**_STORE, "body": {"name": "b", "expires_after": None}}],
    "DELETE /v1/vector_stores/{vector_store_id}": [_STORE],
    "POST /v1/vector_stores/{vector_store_id}/search": [
        {**_STORE, "body": {"query": ["a", "b"], "filters": {"type": "eq", "key": "a", "value": 1}}}
    ],
    "GET /v1/vector_stores/{vector_store_id}/files": [{**_STORE, "query": {"filter": "failed", "limit": 1}}],
    "POST /v1/vector_stores/{vector_store_id}/files": [{**_STORE, "body": {"file_id": "FILE", "attributes": {"a": 1}}}],
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}": [_KEPT],
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": [{**_KEPT, "body": {"attributes": None}}],
    "DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}": [_KEPT],
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content": [_KEPT],
    "POST /v1/vector_stores/{vector_store_id}/file_batches": [
        {**_STORE, "body": {"file_ids": ["FILE"]}},
        {**_STORE, "body": {"files": [{"file_id": "FILE", "chunking_strategy": {"type": "auto"}}]}},
    ],
    "GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}": [_BATCH],
    "POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": [_BATCH],
    "GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files": [{**_BATCH, "query": {"limit": 1}}],
    "POST /v1/chat/completions": [{"body": _CHAT}, {"body": {**_CHAT, "stream": True}}],
    "POST /v1/completions": [{"body": {"model": "demo", "prompt": "hello"}}],
    "POST /v1/embeddings": [{"body": {"model": "demo", "input": ["hello"], "encoding_format": "base64"}}],
    "GET /v1/models": [{}],
    "GET /v1/models/{model}": [{"path_parameters": {"model": "demo"}}],
    "GET /health": [{}],
    "GET /openapi.json": [{}],
}
#: What the parameters of paths stand for.
_KNOWN = {
    "response_id": "ID",
    "conversation_id": "TALK",
    "item_id": "SAID",
    "file_id": "FILE",
    "upload_id": "UPLOAD",
    "vector_store_id": "STORE",
    "batch_id": "BATCH",
}
#: How many requests of each kind; the operation with the largest body gets the most.
_MANY = {"POST /v1/responses": 100, "POST /v1/responses/input_tokens": 40}
_EXAMPLES = 25


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the demo model alone."""
    server = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path_factory.mktemp("data")))))
    server.start()
    yield server
    server.stop()


class Prober:
    """Sends cases to a server, checks the replies, and remembers their statuses."""

    def __init__(self, server: Server, session: requests.Session) -> None:
        self._server = server
        self._session = session
        self.statuses: set[int] = set()
        self.known = self.new()

    def new(self) -> dict[str, str]:
        """Ids of new things, by the names that stand for them."""
        post = self._server.http.post
        talk = post("/v1/conversations", json={"items": [_ITEM]}).json()["id"]
        said = self._server.http.get(f"/v1/conversations/{talk}/items").json()["first_id"]
        file = post("/v1/files", data={"purpose": "user_data"}, files={"file": b"abc"}).json()["id"]
        upload = post("/v1/uploads", json=_GOOD["POST /v1/uploads"][0]["body"]).json()["id"]
        part = post(f"/v1/uploads/{upload}/parts", files={"data": b"abc"}).json()["id"]
        store = post("/v1/vector_stores", json={}).json()["id"]
        batch = post(f"/v1/vector_stores/{store}/file_batches", json={"file_ids": [file]}).json()["id"]
        return {
            "STORE": store,
            "BATCH": batch,
            "ID": post("/v1/responses", json=_ASK).json()["id"],
            "TALK": talk,
            "SAID": said,
            "FILE": file,
            "UPLOAD": upload,
            "PART": part,
        }

    def send(self, case: Case) -> int:
        """One request; every check of the reply must hold."""
        reply = case.call_and_validate(base_url=self._server.root, session=self._session)
        self.statuses.add(reply.status_code)
        return int(reply.status_code)

    def reach(self, case: Case, mode: GenerationMode) -> None:
        """Let a generated case come as far as it may: to a model and a response that are there."""
        if isinstance(case.body, dict):
            ids = {"model": "demo", "previous_response_id": self.known["ID"], "conversation": self.known["TALK"]}
            for name, known in ids.items():
                if isinstance(case.body.get(name), str) and case.body[name]:
                    case.body[name] = known
            if mode is GenerationMode.POSITIVE and case.path.startswith("/v1/responses") and not case.body.get("input"):
                case.body["input"] = "hello"
        if case.method != "DELETE":
            for name, stands in _KNOWN.items():
                if name in case.path_parameters:
                    case.path_parameters[name] = self.known[stands]


@pytest.mark.parametrize("name", list(_GOOD))
def test_operation(server: Server, name: str) -> None:
    """Good requests succeed, allowed ones are answered, forbidden ones refused; all in the document's form."""
    method, path = name.split(" ")
    operation = _API[path][method]
    with requests.Session() as session:
        session.trust_env = False
        prober = Prober(server, session)
        for parts in _good(name):
            new = prober.new()
            assert prober.send(operation.Case(**_filled(parts, new))) == 200
        _generate(operation, prober, GenerationMode.POSITIVE, _MANY.get(name, _EXAMPLES))
        if operation.body or operation.query:
            _generate(operation, prober, GenerationMode.NEGATIVE, _MANY.get(name, _EXAMPLES))
        if "{" in path:
            unknown = _nobodys(path, _good(name))
            prober.send(operation.Case(**unknown))
        elif not (operation.body or operation.query):
            prober.statuses.add(session.delete(server.root + path).status_code)  # nothing else in it can be wrong
    assert not _GOOD[name] or 200 in prober.statuses
    assert any(400 <= status < 500 for status in prober.statuses)


def test_every_operation_is_tested() -> None:
    """The table above names each operation of the document."""
    found = {f"{o.ok().method.upper()} {o.ok().path}" for o in _API.get_all_operations()}
    assert found == set(_GOOD)


def _generate(operation: Any, prober: Prober, mode: GenerationMode, many: int) -> None:
    @settings(
        max_examples=many,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    # Bodies that are no JSON at all are for the tests of the reader.
    @given(operation.as_strategy(generation_mode=mode).filter(lambda case: not isinstance(case.body, bytes)))
    def run(case: Case) -> None:
        # An empty parameter is as good as none, and the last of several is the one that counts. A list of none is not
        # even sent.
        last = [value[-1:] if isinstance(value, list) else [value] for value in case.query.values()]
        assume([""] not in last and [] not in last)
        prober.reach(case, mode)
        prober.send(case)

    run()


def _good(name: str) -> list[dict[str, Any]]:
    """Its good requests, each with a media type where it has a body."""
    return [{"media_type": "application/json" if "body" in parts else None, **parts} for parts in _GOOD[name]]


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, ids) for inner in value]
    return ids.get(value, value) if isinstance(value, str) else value


def _nobodys(path: str, good: list[dict[str, Any]]) -> dict[str, Any]:
    """A good request for what is not there."""
    names = re.findall(r"{(\w+)}", path)
    return {**(good[0] if good else {}), "path_parameters": dict.fromkeys(names, "unknown")}
