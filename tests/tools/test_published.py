"""Tools of others: named in the configuration, or published by an installed package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.app.published import CannotLoad, kits_of_others
from antiphon.config import KitConfig
from tests.server import Servers, backend, fake_backend, servers
from tests.tools.test_contract import Weather
from tests.upstreams import FakeBackend, text, tool_calls

__all__ = ["backend", "fake_backend", "servers"]

HERE = "tests.tools.test_contract:Weather"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An installed package that publishes a tool under this name."""
    (tmp_path / "their_weather.py").write_text("from tests.tools.test_contract import Weather as Kit\n")
    about = tmp_path / "their_weather-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-weather\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[antiphon.tools]\ntheirs = their_weather:Kit\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "theirs"
    sys.modules.pop("their_weather", None)


def test_a_published_one_is_there(package: str) -> None:
    """Without a word in the configuration; which may give it settings, or leave it out."""
    (kit,) = kits_of_others({})
    assert kit.types == {"weather"}
    (kit,) = kits_of_others({package: KitConfig(settings={"key": "secret"})})
    assert isinstance(kit, Weather)
    assert kit.settings == {"key": "secret"}
    assert kits_of_others({package: KitConfig(enabled=False)}) == []


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (KitConfig(), "says no 'use'"),
        (KitConfig(use="no.such.module:Kit"), "ModuleNotFoundError"),
        (KitConfig(use="tests.tools.test_contract:Nothing"), "AttributeError"),
        (KitConfig(use="tests.tools.test_contract"), "AttributeError"),
        (KitConfig(use="builtins:dict"), "has no 'types'"),
    ],
)
def test_one_that_cannot_be_made(config: KitConfig, why: str) -> None:
    """The start ends with a sentence that names the table, and never shows a setting."""
    with pytest.raises(CannotLoad, match=r"tools\.kits\.mine") as caught:
        kits_of_others({"mine": config})
    assert why in str(caught.value)


def test_a_client_uses_one(servers: Servers, backend: FakeBackend) -> None:
    """From the configuration to the SDK: the model is shown the function, its call is an item, its result is read."""
    server = servers(tools={"kits": {"mine": KitConfig(use=HERE)}})
    backend.answer(*tool_calls(("c1", "weather", '{"place": "Oslo"}'), ("c2", "weather", '{"place": "Atlantis"}')))
    backend.answer(*text("Take a coat."))
    tools: Any = [{"type": "weather"}]
    response = server.client.responses.create(model="m", input="And the weather?", tools=tools)
    assert response.output_text == "Take a coat."
    oslo, atlantis, _ = response.output
    assert (oslo.type, oslo.status, oslo.output) == ("mcp_call", "completed", '{"place": "Oslo", "weather": "rain"}')
    assert (atlantis.type, atlantis.status, atlantis.output) == ("mcp_call", "failed", None)
    assert "no such place" in str(atlantis.error)
    assert backend.requests[0]["tools"][0]["function"]["name"] == "weather"
    assert [message["content"] for message in backend.requests[1]["messages"][-2:]] == [
        '{"place": "Oslo", "weather": "rain"}',
        "There is no such place.",
    ]
