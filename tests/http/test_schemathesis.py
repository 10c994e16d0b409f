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

_ACCEPTED = ["2xx", "400", "404", "413", "415"]
_API = schemathesis.openapi.from_dict(
    document(),
    config=SchemathesisConfig.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": _ACCEPTED},
                "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "415"]},
                "not_a_server_error": {"expected-statuses": ["2xx", "4xx"]},
            }
        }
    ),
)
_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
_ASK = {"model": "demo", "input": "hello"}
_TALK = {"path_parameters": {"conversation_id": "TALK"}}
_SAID = {"path_parameters": {"conversation_id": "TALK", "item_id": "SAID"}}
_CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}

#: Requests that must succeed, by operation; ``ID`` stands for a stored response, ``TALK`` for a conversation and
#: ``SAID`` for an item of it.
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
    "POST /v1/chat/completions": [{"body": _CHAT}, {"body": {**_CHAT, "stream": True}}],
    "POST /v1/completions": [{"body": {"model": "demo", "prompt": "hello"}}],
    "POST /v1/embeddings": [{"body": {"model": "demo", "input": ["hello"], "encoding_format": "base64"}}],
    "GET /v1/models": [{}],
    "GET /v1/models/{model}": [{"path_parameters": {"model": "demo"}}],
    "GET /health": [{}],
    "GET /openapi.json": [{}],
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
        return {"ID": post("/v1/responses", json=_ASK).json()["id"], "TALK": talk, "SAID": said}

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
            for name, stands in (("response_id", "ID"), ("conversation_id", "TALK"), ("item_id", "SAID")):
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
        for parts in _GOOD[name]:
            new = prober.new()
            assert prober.send(operation.Case(**_filled(parts, new), media_type=_media(parts))) == 200
        _generate(operation, prober, GenerationMode.POSITIVE, _MANY.get(name, _EXAMPLES))
        if operation.body or operation.query:
            _generate(operation, prober, GenerationMode.NEGATIVE, _MANY.get(name, _EXAMPLES))
        if "{" in path:
            unknown = _nobodys(path, _GOOD[name])
            prober.send(operation.Case(**unknown, media_type=_media(unknown)))
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
        assume("" not in case.query.values())  # an empty parameter is as good as none
        prober.reach(case, mode)
        prober.send(case)

    run()


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, ids) for key, inner in value.items()}
    return ids.get(value, value) if isinstance(value, str) else value


def _nobodys(path: str, good: list[dict[str, Any]]) -> dict[str, Any]:
    """A good request for what is not there."""
    names = re.findall(r"{(\w+)}", path)
    return {**(good[0] if good else {}), "path_parameters": dict.fromkeys(names, "unknown")}


def _media(parts: dict[str, Any]) -> str | None:
    return "application/json" if "body" in parts else None
