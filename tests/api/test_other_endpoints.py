"""What stands beside the Responses API: pass-through, models, health, and the description of it all."""

from __future__ import annotations

import json

import openai
import pytest

from tests.server import Server
from tests.upstreams import FakeBackend, text

covers = pytest.mark.covers


@covers("endpoint:POST /v1/chat/completions")
def test_chat(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Streamed and not; the request goes on as it was sent."""
    backend.answer(*text("Hel", "lo"))
    with client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True) as chunks:
        said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in said) == "Hello"
    assert backend.last == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    whole = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "[[say Hello]]"}])
    assert whole.choices[0].message.content == "Hello"


@covers("endpoint:POST /v1/completions")
def test_completions(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The older form, as the back end answers it."""
    answer = {
        "id": "c",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "yes", "finish_reason": "stop", "logprobs": None}],
    }
    backend.files["/v1/completions"] = ("application/json", json.dumps(answer).encode())
    assert client.completions.create(model="m", prompt="hi").choices[0].text == "yes"
    assert backend.others[0].body == {"model": "m", "prompt": "hi"}


@covers("endpoint:POST /v1/embeddings")
def test_embeddings(client: openai.OpenAI) -> None:
    """Numbers and base64 say the same."""
    plain = client.embeddings.create(model="demo", input="hi", encoding_format="float").data[0].embedding
    packed = client.embeddings.create(model="demo", input=["hi"]).data[0].embedding
    assert packed == pytest.approx(plain, rel=1e-6)


@covers("endpoint:GET /v1/models", "endpoint:GET /v1/models/{id}")
def test_models(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """Every back end's models and the demo; each by its id, slashes plain or encoded, and 404 for the rest."""
    listed = client.models.list().data
    ids = [model.id for model in listed]
    assert {"m", "demo"} <= set(ids)
    assert all((model.object, bool(model.owned_by)) == ("model", True) for model in listed)
    assert client.models.retrieve("demo").id == "demo"
    assert client.models.retrieve("local/m").id == "local/m"
    for path in ("/v1/models/local%2Fm", "/v1/models/local/m"):
        assert server.http.get(path).json()["id"] == "local/m"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/knows")
    assert caught.value.code == "model_not_found"


@covers("endpoint:GET /health")
def test_health(server: Server) -> None:
    """It is up."""
    assert server.http.get("/health").json() == {"status": "ok"}


@covers("endpoint:GET /openapi.json")
def test_openapi(server: Server) -> None:
    """Every route is described."""
    described = server.http.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    operations = {f"{method.upper()} {path}" for path, item in described["paths"].items() for method in item}
    for operation in ("POST /v1/responses", "GET /v1/models", "POST /v1/embeddings", "GET /health"):
        assert operation in operations


def test_what_is_not_in_the_table_is_the_routers(server: Server) -> None:
    """Another method is 405 with every method of the path, another path 404, and HEAD is GET without a body."""
    refused = server.http.put("/v1/files")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD, POST"
    assert server.http.get("/v1/file").status_code == 404
    told = server.http.head("/health")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-length"] == str(len(server.http.get("/health").content))
