"""Fixtures of the upstream floor."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.upstream.demo import DemoTransport
from antiphon.upstream.door import Door
from antiphon.upstream.network import Network
from tests.scripted import scripted

__all__ = ["scripted"]


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """The transport, past any proxy of the environment."""
    network = Network(proxies={})
    yield network
    await network.aclose()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A door to the network, past any proxy of the environment, and to the demo model."""
    network = Network(proxies={})
    door = Door({"http": network, "https": network, "demo": DemoTransport()})
    yield door
    await door.aclose()
