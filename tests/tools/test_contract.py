"""The contract of tools: our own kits and the smallest one keep it, and each way of breaking it is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from antiphon.errors import InvalidRequest
from antiphon.tools.base import Around, Call, Held, Kit, Outcome
from antiphon.tools.contract import ToolContract
from antiphon.tools.function import CannotDo, FunctionKit
from antiphon.tools.search import SearchKit
from antiphon.wire.events import AnyEvent, item_added, item_done
from antiphon.wire.items import McpCall
from tests.tools.loop.probe import Probe, ProbeKit, gives


class Weather(FunctionKit):
    """Rain everywhere."""

    name = "weather"
    description = "The weather at a place, now."
    parameters = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}

    async def call(self, arguments: dict[str, Any], around: Around) -> Any:
        match arguments.get("place"):
            case "Atlantis":
                raise CannotDo("There is no such place.")
            case None:
                raise KeyError("place")
            case place:
                return {"place": place, "weather": "rain"}

    def toolset(self, entry: Mapping[str, Any], path: str) -> Any:
        if entry.get("units", "metric") != "metric":
            raise InvalidRequest("Only metric.", param=f"{path}.units")
        return super().toolset(entry, path)


class TestFunction(ToolContract):
    """The smallest kit."""

    entry = {"type": "weather"}
    calls = (("weather", '{"place": "Oslo"}'), ("weather", '{"place": "Atlantis"}'), ("weather", "{}"))
    wrong = (({"units": "miles"}, "units"),)

    def kit(self) -> Kit:
        return Weather()


class TestSearch(ToolContract):
    """One of ours."""

    entry = {"type": "tool_search", "execution": "server"}
    calls = (("tool_search", '{"query": "weather"}'),)
    wrong = (({"execution": "nowhere"}, "execution"),)

    def kit(self) -> Kit:
        return SearchKit()


class Broken(ProbeKit):
    """Its one tool says what a test wants it to say."""

    def __init__(self, *said: AnyEvent | Outcome | Held, name: str = "look") -> None:
        super().__init__(Probe(name, gives("x")))
        tool: Any = self.tools[0]

        async def run(call: Call, around: Around) -> AsyncIterator[Any]:
            for one in said:
                yield one

        tool.run = run


def _item(at: int = 0) -> McpCall:
    return McpCall(id=f"mcp_{at}", server_label="s", name="n", arguments="{}", status="completed")


ADDED, DONE, END = item_added(0, _item()), item_done(0, _item()), Outcome("x")
TELLS, NAMES = "test_a_call_tells_an_item_and_ends_in_an_outcome", "test_its_tools_are_functions"


@pytest.mark.parametrize(
    ("kit", "test"),
    [
        (Broken(), TELLS),
        (Broken(ADDED, DONE), TELLS),
        (Broken(END, ADDED, DONE), TELLS),
        (Broken(ADDED, END), TELLS),
        (Broken(DONE, END), TELLS),
        (Broken(ADDED, ADDED, DONE, DONE, END), TELLS),
        (Broken(ADDED, DONE, ADDED, DONE, END), TELLS),
        (Broken(END, END), TELLS),
        (Broken(END, name="has blanks"), NAMES),
        (ProbeKit(Probe("look", gives(object()))), TELLS),  # type: ignore[arg-type]
        (ProbeKit(Probe("look", gives("x")), Probe("look", gives("x"))), NAMES),
        (ProbeKit(), NAMES),
    ],
)
def test_what_breaks_it_is_found(kit: Kit, test: str) -> None:
    """Whichever rule is broken, its test fails."""

    class Case(ToolContract):
        entry = {"type": "web_search"}
        calls = (("look", "{}"),)

        def kit(self) -> Kit:
            return kit

    with pytest.raises((AssertionError, TypeError)):
        getattr(Case(), test)()


def test_what_comes_back_must_be_recordable() -> None:
    """A tool whose second telling differs from the first is found."""
    counted = 0

    class Case(ToolContract):
        entry = {"type": "web_search"}
        calls = (("look", "{}"),)

        def kit(self) -> Kit:
            nonlocal counted
            counted += 1
            return Broken(Outcome(f"answer {counted}"))

    with pytest.raises(AssertionError, match="a replay tells something else"):
        Case().test_a_recorded_call_is_told_again_without_the_world()
