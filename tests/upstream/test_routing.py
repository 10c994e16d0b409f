"""Which back end answers for which name."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from antiphon.config import UpstreamConfig
from antiphon.errors import ModelNotFound
from antiphon.upstream.chat import Upstream
from antiphon.upstream.demo import demo_upstream
from antiphon.upstream.door import Door
from antiphon.upstream.routing import Router
from tests.upstream.loopback import Peer, serving

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def listing(door: Door, name: str, *models: str, **config: object) -> AsyncIterator[Upstream]:
    """A back end that lists these models; ``asked`` counts in its config's stead."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(msgspec.json.encode({"data": [{"id": m, "object": "model"} for m in models]}))

    async with serving(handler) as url:
        yield Upstream(name, UpstreamConfig(url=url, **config), door)  # type: ignore[arg-type]


def unreachable(door: Door, name: str, **config: object) -> Upstream:
    return Upstream(name, UpstreamConfig(url="http://127.0.0.1:9/v1", **config), door)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def two(door: Door, default: str | None) -> AsyncIterator[Router]:
    """Back ends ``a`` and ``b``, which share the model ``both``, and the demo model."""
    async with listing(door, "a", "m1", "both", "b/m9") as a, listing(door, "b", "m2", "both") as b:
        yield Router({"a": a, "b": b}, default, demo_upstream(door))


@pytest.mark.parametrize(
    ("default", "model", "route"),
    [
        (None, "m1", ("a", "m1")),
        (None, "m2", ("b", "m2")),
        (None, "both", ("a", "both")),
        ("b", "both", ("b", "both")),
        (None, "b/both", ("b", "both")),
        (None, "b/m9", ("a", "b/m9")),
        (None, "b/unlisted", ("b", "unlisted")),
        ("a", "whatever", ("a", "whatever")),
        ("a", "who/what", ("a", "who/what")),
        ("a", "b/", ("a", "b/")),
        ("a", "demo", ("demo", "demo")),
        (None, "demo/demo", ("demo", "demo")),
    ],
)
async def test_routes(door: Door, default: str | None, model: str, route: tuple[str, str]) -> None:
    """An exact id, then a prefix, then the default; the demo model always."""
    async with two(door, default) as router:
        found = await router.resolve(model)
        assert (found.upstream.name, found.model) == route


@pytest.mark.parametrize("model", ["nobody", "x/y", "", "/", "b:both"])
async def test_unknown_names(door: Door, model: str) -> None:
    """Without a default, a name that no list knows is a 404 about ``model``."""
    async with two(door, None) as router:
        with pytest.raises(ModelNotFound) as caught:
            await router.resolve(model)
    assert (caught.value.status, caught.value.param, caught.value.code) == (404, "model", "model_not_found")


async def test_configured_models_need_no_asking(door: Door) -> None:
    """A model that the configuration names is routed though its back end is away."""
    router = Router({"a": unreachable(door, "a", models=("m",)), "b": unreachable(door, "b")}, None, None)
    assert (await router.resolve("m")).upstream.name == "a"
    assert not router.upstreams["b"].listing.fresh


async def test_an_only_default_is_not_asked(door: Door) -> None:
    """With one back end that gets everything, no list is fetched for a request."""
    only = unreachable(door, "a")
    router = Router({"a": only}, "a", demo_upstream(door))
    assert (await router.resolve("some/thing")).model == "some/thing"
    assert not only.listing.fresh


async def test_an_unreachable_back_end_is_passed_over(door: Door) -> None:
    """The models of the others are found though one does not answer."""
    async with listing(door, "b", "m2") as b:
        router = Router({"a": unreachable(door, "a"), "b": b}, None, None)
        assert (await router.resolve("m2")).upstream.name == "b"
        assert [m["id"] for m in await router.list_models()] == ["m2"]


async def test_the_merged_list(door: Door) -> None:
    """Each model by its own id; where two back ends serve one, by both prefixes; and every name listed resolves."""
    async with two(door, None) as router:
        names = [m["id"] for m in await router.list_models()]
        assert names == ["m1", "a/both", "b/m9", "m2", "b/both", "demo"]
        for name in names:
            assert (await router.model(name))["id"] == name
        with pytest.raises(ModelNotFound):
            await router.model("b/unlisted")


async def test_a_default_that_is_not_there(door: Door) -> None:
    """A default nobody configured is a mistake at once."""
    with pytest.raises(ValueError, match="nope"):
        Router({}, "nope", demo_upstream(door))


async def test_an_upstream_may_be_called_demo(door: Door) -> None:
    """A configured back end of that name stands in for the built-in one."""
    async with listing(door, "demo", "m") as mine:
        router = Router({"demo": mine}, None, demo_upstream(door))
        assert (await router.resolve("m")).upstream is mine
