"""What a tool of ours is: a small object with a definition for the model, and ``run(call) -> async events``.

A tool knows no HTTP route, no storage and no other tool. It says what it does in events of one item (or none), whose
``output_index`` counts from 0: the Run, which may run several tools at once, puts the items of one call after those of
the call before it. Last of all it yields an ``Outcome``, which is what the model reads. It reaches the world only
through ``Around.outside``, so that a recorded run is replayed without it.

A third party's tool is the same small object. ``tools.contract`` holds the tests that it must pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from antiphon.storage.model import DEFAULT_OWNER, Owner
from antiphon.wire.events import AnyEvent

Json: TypeAlias = Any
ItemDict: TypeAlias = dict[str, Any]
#: The text of a tool message, or its parts (``{"type": "text", "text": ...}``, ``image_url``).
Content: TypeAlias = str | list[dict[str, Any]]

#: Makes a call through the door: who provides it, which tool, its arguments (JSON), and how to make it live. Raises
#: what the live call raises; an ``APIError`` ends the run and must not be caught.
Outside: TypeAlias = Callable[[str, str, Json, Callable[[], Awaitable[Json]]], Awaitable[Json]]


class Call(msgspec.Struct, frozen=True):
    """A call that the model made. ``arguments`` is JSON text as the model wrote it, which may be no JSON at all."""

    id: str
    name: str
    arguments: str


class Source(msgspec.Struct, frozen=True):
    """What a marker ``<|key|>`` in the model's text stands for: ``annotation`` without its place in the text."""

    key: str
    annotation: dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """What the model reads of a call. ``failed`` is told in it in words. ``sources`` may be cited from here on.

    ``found`` are names of tools that the model is shown from here on.
    """

    content: Content
    failed: bool = False
    sources: tuple[Source, ...] = ()
    found: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """In place of an ``Outcome``: the call waits for somebody's answer, and the response ends here for now."""


class Hidden(msgspec.Struct, frozen=True):
    """A tool that a search may find: ``name`` as the model will know it, ``entry`` as ``tools`` would hold it."""

    name: str
    description: str
    entry: dict[str, Any]


def _nothing_hidden() -> Sequence[Hidden]:
    return ()


class Around(msgspec.Struct, frozen=True):
    """What a tool may use of its surroundings. Times in seconds, sizes in bytes.

    ``new_id`` makes the id of an item by its kind. ``include`` is the request's. ``max_output_bytes`` is what the model
    may be shown of one call; the Run cuts what is longer. ``hidden`` gives the tools that a search may find. ``owner``
    is whose run it is, and whose things it may see.
    """

    new_id: Callable[[str], str]
    outside: Outside
    include: frozenset[str] = frozenset()
    timeout: float = 60.0
    max_output_bytes: int = 100_000
    hidden: Callable[[], Sequence[Hidden]] = _nothing_hidden
    owner: Owner = DEFAULT_OWNER


class Tool(Protocol):
    """One function of the model's that we run."""

    @property
    def definition(self) -> dict[str, Any]:
        """The chat function: ``{"name", "description", "parameters"}``. The name may be changed when it is taken."""

    @property
    def kind(self) -> str:
        """The type of the entry of ``tools`` that brought it: ``web_search``, ``mcp``; ``tool_choice`` finds it so."""

    @property
    def label(self) -> str | None:
        """The ``server_label`` of an MCP tool, None of any other."""

    @property
    def deferred(self) -> bool:
        """Whether the model is shown it only once a search found it, where the request brings a search."""

    @property
    def repeatable(self) -> bool:
        """Whether a call whose outcome is unknown may be made again."""

    def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        """Events of its item, and last an ``Outcome`` or ``Held``. A failure is an ``Outcome`` that says so."""


class Toolset(Protocol):
    """What one entry of the request's ``tools`` brings."""

    def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        """The tools, and the events of the item that lists them, where there is one to be listed.

        ``earlier`` are the items of the conversation, in which a list may stand already. A toolset that cannot be
        opened says so in its item and brings no tools.
        """

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        """For an ``mcp_approval_request`` item of its own that was approved: the tool that makes this very call."""

    async def aclose(self) -> None:
        """Lets go of what it holds open."""


class Kit(Protocol):
    """A kind of tools, made once from the configuration, and asked for a ``Toolset`` by each request that names it.

    ``types`` are the values of ``type`` in ``tools`` that it serves. ``missing`` is a sentence about the setting that
    it lacks, empty when it is ready: entries of a kit that is not are not served.
    """

    @property
    def types(self) -> frozenset[str]:
        """The types."""

    @property
    def missing(self) -> str:
        """The setting."""

    def toolset(self, entry: Mapping[str, Any], path: str) -> Toolset:
        """For one entry of ``tools``, at this JSON path. Raises ``InvalidRequest`` naming what is wrong with it."""

    async def aclose(self) -> None:
        """Lets go of everything it holds open."""
