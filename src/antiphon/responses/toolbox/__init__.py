"""The tools of a request: what of them the model is offered, and whose call it is that comes back.

A chat model knows only functions with names of 1 to 64 letters, digits, ``_`` and ``-``. So a custom (freeform) tool is
offered as a function with one string, a namespace is flattened into the names, and names that do not fit are changed;
``shape_of`` undoes all of it. The mapping depends on the tools alone, so the same request offers the same names.
Tools that a server has to run are offered where this one runs them (``served``); ``unserved`` names the others.

What has ``defer_loading`` is offered only once it was found, where the request brings a search that we run; else it is
offered at once. A namespace's description goes before that of its first tool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from antiphon.responses.toolbox.choice import allowed, chat_choice, check
from antiphon.responses.toolbox.offers import (
    SEARCH,
    CallKind,
    CallShape,
    Offer,
    Served,
    flat_name,
    freeform_arguments,
    hosted,
    offers_of,
)
from antiphon.wire.inputs import AdditionalTools, InputItem, ToolSearchOutput
from antiphon.wire.tools import AllowedTools, HostedTool, Tool, read_tool_choice, read_tools

__all__ = ["SEARCH", "CallKind", "CallShape", "Offer", "Served", "Toolbox", "flat_name", "freeform_arguments"]


class Toolbox:
    """The tools of one request. Build it with ``Toolbox.of``.

    ``unserved``: types of the tools that were sent but are not offered, each once, in order. ``parallel``: whether the
    model may make several calls at once.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        unserved: Sequence[str] = (),
        choice: str | dict[str, Any] | None = None,
        parallel: bool = True,
        hidden: Collection[str] = (),
    ) -> None:
        self.unserved = list(unserved)
        self.parallel = parallel
        self._offers = tuple(offers)
        self._choice = choice
        self._hidden = frozenset(hidden)
        self._served = {offer.chat_name: offer.served for offer in offers if offer.served is not None}
        self._shapes = {offer.chat_name: offer.shape for offer in offers}
        self._names = {offer.shape: offer.chat_name for offer in offers}

    @classmethod
    def of(
        cls,
        tools: Sequence[dict[str, Any]] | None,
        tool_choice: str | dict[str, Any] | None = None,
        parallel: bool | None = None,
        items: Sequence[InputItem] = (),
        served: Sequence[Served] = (),
        entries: Collection[int] = (),
    ) -> Toolbox:
        """The toolbox of a request; ``items`` (history and input) may add tools.

        ``served`` are those that we run, ``entries`` the places in ``tools`` that could bring some. Raises
        InvalidRequest: a malformed tool, or a ``tool_choice`` that cannot be met.
        """
        if not tools and not items and tool_choice is None:
            return _EMPTY
        choice = read_tool_choice(tool_choice)
        read = _read(tools, items)
        if not read and choice == "auto":
            return _EMPTY
        offers = offers_of(read, served)
        left = hosted(read, entries)
        if isinstance(choice, AllowedTools):
            offers = allowed(choice, offers, left)
        chosen, offers = chat_choice(choice, offers, left, explicit=tool_choice is not None)
        return cls(
            offers,
            unserved=_types(left),
            choice=chosen,
            parallel=parallel is not False,
            hidden={offer.chat_name for offer in offers if offer.deferred},
        )

    @staticmethod
    def check(
        tools: Sequence[dict[str, Any]],
        tool_choice: str | dict[str, Any] | None,
        items: Iterable[InputItem],
        entries: Collection[int],
    ) -> list[str]:
        """The ``unserved`` types, while it is not known yet which tools these ``entries`` will bring.

        Raises InvalidRequest: a choice that cannot be met whatever they are.
        """
        read = _read(tools, items)
        promised = [tool for n, tool in enumerate(read) if n in entries and isinstance(tool, HostedTool)]
        left = hosted(read, entries)
        check(read_tool_choice(tool_choice), offers_of(read), left, promised)
        return _types(left)

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The chat functions, in the client's order, without those that must be found first."""
        return [offer.tool for offer in self._offers if offer.chat_name not in self._hidden]

    @property
    def hidden(self) -> list[Offer]:
        """What a search may find."""
        return [offer for offer in self._offers if offer.chat_name in self._hidden]

    def found_before(self, items: Iterable[InputItem]) -> set[str]:
        """Chat names of the servers' tools that earlier searches have found."""
        listed = (tool for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools)
        found = {(tool.get("server_label"), name) for tool in listed for name in tool.get("allowed_tools") or ()}
        return {offer.chat_name for offer in self._offers if (offer.shape.namespace, offer.shape.name) in found}

    def with_found(self, names: Collection[str]) -> Toolbox:
        """The same, with these chat names offered too."""
        if self._hidden.isdisjoint(names):
            return self
        hidden = self._hidden.difference(names)
        return Toolbox(self._offers, self.unserved, self._choice, self.parallel, hidden)

    def served(self, chat_name: str) -> Served | None:
        """The tool of ours that a call of this name is for."""
        return self._served.get(chat_name)

    def shape_of(self, chat_name: str) -> CallShape:
        """What a call of this name becomes. A name that was not offered is a function of that name."""
        return self._shapes.get(chat_name) or CallShape("function_call", chat_name)

    def chat_name(self, shape: CallShape) -> str:
        """The name under which the model knows this tool; for one no longer offered, the name it would have."""
        return self._names.get(shape) or flat_name(shape.name, shape.namespace)

    def fields(self, *, first_round: bool = True) -> dict[str, Any]:
        """``tools``, ``tool_choice`` and ``parallel_tool_calls`` of a chat request; nothing when no tool is offered.

        A choice that forces a call holds for the first model call of a response only; else the run could not end.
        """
        offered = self.offered if self._offers else ()
        if not offered:
            return {}
        fields: dict[str, Any] = {"tools": offered, "parallel_tool_calls": self.parallel}
        if self._choice is not None and (first_round or self._choice in ("none", "auto")):
            fields["tool_choice"] = self._choice
        return fields


#: What most requests have, and nothing changes: no tools. Whether calls may be parallel then means nothing.
_EMPTY = Toolbox(())


def _read(tools: Sequence[dict[str, Any]] | None, items: Iterable[InputItem]) -> list[Tool]:
    """Those of the request, and behind them those that items bring."""
    read = read_tools(tools) if tools else []
    for item in items:
        if type(item) is AdditionalTools or type(item) is ToolSearchOutput:
            read += read_tools(item.tools, f"input.{item.__struct_config__.tag}.tools")
    return read


def _types(left: Iterable[HostedTool]) -> list[str]:
    return list(dict.fromkeys(tool.type for tool in left))
