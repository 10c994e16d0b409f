"""Fixtures of the tests of web search."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.upstream.door import Door
from antiphon.upstream.network import Network
from tests.tools.web_search.world import Web


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A door to the network, past any proxy of the environment."""
    network = Network(proxies={})
    door = Door({"http": network, "https": network})
    yield door
    await door.aclose()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """The small web."""
    async with Web() as web:
        yield web
