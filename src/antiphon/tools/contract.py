"""What every tool must do, as tests. Subclass ``ToolContract`` in a test module and say how the kit is made:

    class TestWeather(ToolContract):
        entry = {"type": "weather"}
        calls = (("weather", '{"place": "Oslo"}'),)

        def kit(self):
            return Weather()

pytest finds the tests by their names; nothing here needs it. The calls are really made.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from antiphon.errors import InvalidRequest
from antiphon.tools.base import Around, Call, Held, Json, Kit, Outcome, Outside, Tool, Toolset
from antiphon.wire.encode import EventEncoder, data_of
from antiphon.wire.events import AnyEvent, Event

#: What upstreams take as the name of a function.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class ToolContract:
    """The tests of one kit."""

    #: An entry of ``tools`` that brings its tools.
    entry: ClassVar[Mapping[str, Any]]
    #: Calls that a model could make: the name of a function, and its arguments as JSON text.
    calls: ClassVar[Sequence[tuple[str, str]]]
    #: Entries that must be refused, because of the field that is named.
    wrong: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()

    def kit(self) -> Kit:
        """A fresh kit."""
        raise NotImplementedError

    # -- the tests

    def test_it_says_what_it_serves(self) -> None:
        """Types, of which the entry is one; nothing is missing."""
        kit = self.kit()
        assert self.entry["type"] in kit.types, f"it serves {sorted(kit.types)}"
        assert kit.missing == "", "the kit that is tested has all its settings"

    def test_its_tools_are_functions(self) -> None:
        """Each has a name, a description and an object for its parameters, and no two share a name."""

        async def found(tools: dict[str, Tool], _: Around) -> None:
            for name, tool in tools.items():
                definition = tool.definition
                assert _NAME.fullmatch(name), f"no model takes the name {name!r}"
                assert isinstance(definition.get("description"), str), f"{name} has no description"
                assert definition["parameters"]["type"] == "object", f"{name} has no object for its parameters"
                assert json.loads(json.dumps(definition)) == definition, f"{name}'s definition is no JSON"
                assert isinstance(tool.kind, str)
                assert isinstance(tool.repeatable, bool)
                assert isinstance(tool.deferred, bool)

        self._with_tools(found)

    def test_a_call_tells_an_item_and_ends_in_an_outcome(self) -> None:
        """Each item is added first and done last, one after the other, and the outcome comes behind them."""

        async def made(tools: dict[str, Tool], around: Around) -> None:
            for name, arguments in self.calls:
                check(await told(tools[name], arguments, around))

        self._with_tools(made)

    def test_a_call_without_sense_is_told_the_model(self) -> None:
        """Arguments that are no JSON, or no object, are no reason to break."""

        async def made(tools: dict[str, Tool], around: Around) -> None:
            for tool in tools.values():
                for arguments in ("", "{", "[]", "null", '"x"', '{"unknown": 1}'):
                    check(await told(tool, arguments, around))

        self._with_tools(made)

    def test_calls_can_be_made_together(self) -> None:
        """As the loop does it; each tells its own."""

        async def made(tools: dict[str, Tool], around: Around) -> None:
            several = [told(tools[name], arguments, around) for name, arguments in self.calls for _ in range(2)]
            for said in await asyncio.gather(*several):
                check(said)

        self._with_tools(made)

    def test_a_recorded_call_is_told_again_without_the_world(self) -> None:
        """What goes outside is JSON, and what came back is all that a call needs to be told again, event by event."""
        tape: dict[str, Json] = {}

        async def record(provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
            answer = tape[json.dumps([provider, tool, arguments], sort_keys=True)] = await perform()
            return answer

        async def replay(provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
            return json.loads(json.dumps(tape[json.dumps([provider, tool, arguments], sort_keys=True)]))

        heard: list[list[tuple[Sequence[bytes], Outcome | Held]]] = []
        for outside in (record, replay):
            heard.append([])

            async def made(tools: dict[str, Tool], around: Around, here: list[Any] = heard[-1]) -> None:
                for name, arguments in self.calls:
                    here.append(check(await told(tools[name], arguments, around)))

            self._with_tools(made, outside)
        assert heard[0] == heard[1], "a replay tells something else"

    def test_wrong_entries_are_refused(self) -> None:
        """With the path of the field."""
        for entry, field in self.wrong:
            refused = None
            try:
                self.kit().toolset({**self.entry, **entry}, "tools[3]")
            except InvalidRequest as error:
                refused = error
            assert refused is not None, f"{entry} is taken"
            assert (refused.param or "").startswith(f"tools[3].{field}"), f"it names {refused.param}"

    def test_it_is_closed_once_or_twice(self) -> None:
        """And unused, too."""

        async def closed() -> None:
            kit = self.kit()
            await kit.aclose()
            await kit.aclose()

        asyncio.run(closed())

    # -- how

    def _with_tools(
        self, use: Callable[[dict[str, Tool], Around], Awaitable[None]], outside: Outside | None = None
    ) -> None:
        async def used() -> None:
            ids = itertools.count()
            around = Around(lambda kind: f"{kind}_{next(ids)}", outside or _live)
            kit = self.kit()
            toolset: Toolset = kit.toolset(dict(self.entry), "tools[0]")
            try:
                tools = [one async for one in toolset.open((), around) if not isinstance(one, AnyEvent)]
                named = {tool.definition["name"]: tool for tool in tools}
                assert len(named) == len(tools) > 0, "two tools share a name, or there is none"
                await use(named, around)
            finally:
                await toolset.aclose()
                await kit.aclose()

        asyncio.run(used())


async def told(tool: Tool, arguments: str, around: Around) -> list[AnyEvent | Outcome | Held]:
    """All that a call says."""
    return [one async for one in tool.run(Call("call_1", tool.definition["name"], arguments), around)]


def check(said: Sequence[AnyEvent | Outcome | Held]) -> tuple[Sequence[bytes], Outcome | Held]:
    """Whether a call is told as it must be; its events as they go over the wire, and its end."""
    assert said, "a call that says nothing never ends"
    *events, end = said
    encoder = EventEncoder()
    wire: list[bytes] = []
    assert isinstance(end, Outcome | Held), "the outcome comes last"
    position, opened = -1, False
    for event in events:
        assert isinstance(event, AnyEvent), "one outcome, and nothing behind it"
        wire += map(data_of, encoder.frames([event], len(wire)))
        if isinstance(event, Event) and event.type == "response.output_item.added":
            assert not opened, "an item begins before the one before it is done"
            position, opened = position + 1, True
        assert opened, "an event outside of an item"
        if isinstance(event, Event):
            assert event.output_index == position, "output_index counts the items of the call"
            opened = event.type != "response.output_item.done"
    assert not opened, "an item that is never done"
    if isinstance(end, Outcome):
        assert isinstance(end.content, str | list), "the model reads text, or parts"
    return wire, end


async def _live(_provider: str, _tool: str, _arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
    answer = await perform()
    assert json.loads(json.dumps(answer)) == answer, "what comes from outside is JSON, so that it can be recorded"
    return answer
