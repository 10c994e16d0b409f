"""``/v1/models`` as the official SDK sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from antiphon.config import Config, StorageConfig, UpstreamConfig
from tests.server import Server
from tests.upstreams import FakeBackend

ODD = (
    b'{"object":"list","data":[{"id":"plain"},{"id":"org/a/b","created":1.9,"owned_by":null,"object":"thing",'
    b'"context_length":4096},{"id":"same"},{"id":"caf\xc3\xa9 \xe2\x98\x83"}]}'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server before two back ends: ``one`` with odd entries, ``two`` with one id that ``one`` has too."""
    with FakeBackend() as one, FakeBackend() as two:
        one.files["/v1/models"] = ("application/json", ODD)
        two.models = ["same", "other"]
        upstreams = {"one": UpstreamConfig(url=one.url), "two": UpstreamConfig(url=two.url, models=("named",))}
        folder = str(tmp_path_factory.mktemp("data"))
        server = Server(Config(upstreams=upstreams, discover=False, storage=StorageConfig(data_dir=folder)))
        server.start()
        yield server
        server.stop()


def test_all_models_are_listed(server: Server) -> None:
    """Every back end's, the demo model last; an id that two of them have is told apart by their names."""
    ids = [model.id for model in server.client.models.list()]
    assert ids == ["plain", "org/a/b", "one/same", "café ☃", "two/same", "other", "named", "demo"]


def test_every_entry_has_the_four_keys(server: Server) -> None:
    """In the types that clients read, whatever the back end said; what it says beside is kept."""
    data = server.http.get("/v1/models").json()
    assert data["object"] == "list"
    for entry in data["data"]:
        assert entry["object"] == "model"
        assert [type(entry[key]) for key in ("id", "created", "owned_by")] == [str, int, str]
    assert data["data"][1] == {
        "id": "org/a/b",
        "object": "model",
        "created": 1,
        "owned_by": "upstream",
        "context_length": 4096,
    }


@pytest.mark.parametrize("name", ["plain", "org/a/b", "one/org/a/b", "two/same", "named", "demo", "café ☃"])
def test_one_model(server: Server, name: str) -> None:
    """By every name that a request may use, slashes and all; the SDK percent-encodes them."""
    assert server.client.models.retrieve(name).id == name


@pytest.mark.parametrize("path", ["org/a/b", "org%2Fa%2Fb", "org%2fa/b"])
def test_slashes_in_the_path(server: Server, path: str) -> None:
    """Plain and percent-encoded slashes mean the same."""
    assert server.http.get(f"/v1/models/{path}").json()["id"] == "org/a/b"


@pytest.mark.parametrize("name", ["nothing", "no/thing", "one/nothing", "org/a/b/", "%2e%2e"])
def test_an_unknown_model(server: Server, name: str) -> None:
    """A name that leads to no listed model is a 404 ``model_not_found``."""
    with pytest.raises(openai.NotFoundError) as caught:
        server.client.models.retrieve(name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_an_empty_name(server: Server) -> None:
    """So is no name at all."""
    reply = server.http.get("/v1/models/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


def test_a_back_end_that_is_away(tmp_path: Path) -> None:
    """The list is what can be had; a back end that is away takes nothing from it but its own models."""
    config = Config(
        upstreams={"gone": UpstreamConfig(url="http://127.0.0.1:9/v1", models=("sure",))},
        discover=False,
        storage=StorageConfig(data_dir=str(tmp_path)),
    )
    server = Server(config)
    server.start()
    try:
        assert [model.id for model in server.client.models.list()] == ["sure", "demo"]
    finally:
        server.stop()
