"""What a fault is: which calls it befalls, and what it does to them."""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.tape.model import Boundary, Json

How = Literal["reset", "close", "half_event"]


class Cut(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body ends early: after so many events, or after so many bytes; 0 is before the first.

    ``reset``: the connection breaks. ``close``: the body ends as though it were whole. ``half_event``: so it does, but
    with the first half of the next event.
    """

    after_event: int | None = None
    after_byte: int | None = None
    how: How = "reset"


class Slow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seconds before the first byte of a body, and before each event after the first."""

    first: float = 0.0
    gap: float = 0.0


class Stall(msgspec.Struct, frozen=True):
    """So many seconds of silence before an event; the first is 1."""

    at_event: int
    seconds: float


class Malformed(msgspec.Struct, frozen=True):
    """The data of an event is no JSON: it has an opening brace too many. The first event is 1."""

    event: int


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault: selectors, a count, and what happens.

    Selectors, all of which must fit: ``boundary``, ``provider``, ``scope``, ``path`` of the URL, ``model``, ``tool``
    (but for the first, patterns with ``*``). ``nth``: only these of the calls that fit, from 1; ``times``: only so many
    calls. Both count in each scope by itself.

    What happens is one of: ``status`` (with ``retry_after`` seconds and ``message``) instead of an answer;
    ``tool_error`` (a message) or ``tool_timeout`` instead of a tool's result; or any of ``cut``, ``slow``, ``stall``,
    ``malformed``, ``drop_done`` and ``duplicate_event`` (its number) done to a body.
    """

    boundary: Boundary | None = None
    provider: str | None = None
    scope: str | None = None
    path: str | None = None
    model: str | None = None
    tool: str | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    status: int | None = None
    retry_after: float | None = None
    message: str | None = None
    cut: Cut | None = None
    slow: Slow | None = None
    stall: Stall | None = None
    malformed: Malformed | None = None
    drop_done: bool = False
    duplicate_event: int | None = None
    tool_error: str | None = None
    tool_timeout: bool = False

    @property
    def on_tools(self) -> bool:
        """Whether it befalls calls of tools; otherwise it befalls HTTP."""
        return self.tool_error is not None or self.tool_timeout

    def as_json(self) -> dict[str, Json]:
        """As it would be written in a file."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return plain
