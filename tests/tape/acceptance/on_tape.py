"""The tape under the HTTP libraries of this process, as the pytest plugin puts it there, and the official SDK on it.

Few imports: processes of their own begin here, and some have no use for the SDK.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from antiphon.tape.clients import Place, hang_up, install
from antiphon.tape.engine import Tape
from antiphon.tape.faults import Faults, parse
from antiphon.tape.scope import current
from antiphon.tape.settings import Settings
from tests.upstreams import PATIENCE

if TYPE_CHECKING:
    import openai

#: The scope of calls that name none.
SCOPE = "t"
#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9/v1"

Json = Any


class Opened(NamedTuple):
    """A tape in use. ``sdk`` makes a client, of the scope ``t`` or another; ``misses`` and ``stats`` of all calls."""

    sdk: Callable[..., openai.OpenAI]
    misses: Callable[[], list[dict[str, Json]]]
    stats: Callable[[], dict[str, Json]]


@contextlib.contextmanager
def on_tape(directory: Path, mode: str, *, faults: Json = (), **settings: Any) -> Iterator[Tape]:
    """The tape under all HTTP clients of this process, while the context is open."""
    options = Settings(str(directory), mode=mode, **settings)  # type: ignore[arg-type]
    tape = Tape(options, environ={}, faults=Faults(parse(faults)))
    installed = install(lambda url: Place(tape, current() or SCOPE, lambda asked, outcome, why: None))
    try:
        yield tape
    finally:
        installed.undo()
        hang_up(_Everything())
        tape.close()


@contextlib.contextmanager
def under_clients(directory: Path, mode: str, url: str, **settings: Any) -> Iterator[Opened]:
    """The same with the SDK on top."""
    with on_tape(directory, mode, **settings) as tape, contextlib.ExitStack() as stack:

        def sdk(scope: str = SCOPE, **more: Any) -> openai.OpenAI:
            assert scope == SCOPE
            return stack.enter_context(make_sdk(url, **more))

        yield Opened(sdk, lambda: msgspec.to_builtins(tape.misses), lambda: msgspec.to_builtins(tape.stats()))


def text_of(stream: Any) -> str:
    """The text of a streamed chat completion."""
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


def make_sdk(url: str, **more: Any) -> openai.OpenAI:
    """A client of the SDK, which tries nothing again unless told to."""
    import httpx2
    import openai

    transport = httpx2.Client(timeout=PATIENCE, trust_env=False, verify=False)
    return openai.OpenAI(**{"api_key": "none", "base_url": url, "max_retries": 0, **more}, http_client=transport)


class _Everything:
    def __contains__(self, _: object) -> bool:
        return True
