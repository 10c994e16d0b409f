"""From what was said and the tools at hand to a chat request: one for each round of a response."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from antiphon.config import UpstreamConfig
from antiphon.responses import prompt
from antiphon.responses.toolbox import Toolbox
from antiphon.responses.turn import TurnOptions
from antiphon.wire.chat import ChatRequest
from antiphon.wire.requests import CreateResponse

ItemDict = dict[str, Any]

_encode = msgspec.json.Encoder().encode

#: Characters that stand for a token where only a rough guess is needed: how much to drop, never what to bill.
_CHARACTERS_PER_TOKEN = 3


class Prompt(msgspec.Struct, frozen=True):
    """A chat request, and how to make it again of fewer items."""

    request: ChatRequest
    composer: Composer
    at: Round
    items: Sequence[ItemDict]

    def shorter(self, context_window: int | None) -> Prompt | None:
        """The same without its oldest turn, or without as many as it takes where the model's limit is known; None when
        nothing can go."""
        shorter: Prompt | None = self
        while shorter is not None:
            left = prompt.drop_oldest_turn(shorter.items)
            if left is None:
                return None if shorter is self else shorter
            shorter = msgspec.structs.replace(self, request=self.composer.render(self.at, left), items=left)
            if context_window is None or shorter._fits(context_window):
                break
        return shorter

    def _fits(self, context_window: int) -> bool:
        return len(_encode(self.request["messages"])) <= context_window * _CHARACTERS_PER_TOKEN


class Round(msgspec.Struct, frozen=True):
    """One model call of a response: ``produced`` is what the response has already added, unfolded (``wire/seen``).

    ``found`` are names of tools that a search has found; ``left`` is what is left of ``max_output_tokens``; in the
    ``last`` round the model may call no tool.
    """

    n: int = 0
    produced: Sequence[ItemDict] = ()
    found: Collection[str] = ()
    left: int | None = None
    last: bool = False


_FIRST = Round()


class Composer(msgspec.Struct, frozen=True, kw_only=True):
    """Makes the prompts of one response. ``before`` are the items of earlier ones, ``items`` the new input (``as_sent``
    if nothing was put in for any of it), ``sources`` what earlier ones let the model cite."""

    request: CreateResponse
    config: UpstreamConfig
    model: str
    before: Sequence[ItemDict]
    items: Sequence[ItemDict]
    as_sent: bool
    toolbox: Toolbox
    sources: Mapping[str, ItemDict]
    options: TurnOptions
    open_sealed: Callable[[str], str | None]

    def prompt(self, at: Round = _FIRST) -> Prompt:
        """The chat request of this round."""
        first = self.render(at, self.before, None if self.as_sent else self.items)
        return Prompt(first, self, at, [*self.before, *self.items])

    def render(self, at: Round, earlier: Sequence[ItemDict], new: Sequence[ItemDict] | None = ()) -> ChatRequest:
        """That of these items; without ``new`` ones, of the request's own input behind the ``earlier``."""
        chat = prompt.render(
            self.request,
            self.toolbox.with_found(at.found) if at.found else self.toolbox,
            self.config,
            self.model,
            history=earlier,
            items=new,
            produced=at.produced,
            open_sealed=self.open_sealed,
            first_round=at.n == 0,
            max_output_tokens=at.left,
        )
        if at.last and "tools" in chat:
            chat["tool_choice"] = "none"
        return chat

    def turn(self, first: int, sources: Mapping[str, ItemDict]) -> TurnOptions:
        """How to read the answer whose first item is the ``first`` of the output; ``sources`` are this response's."""
        cited = {**self.sources, **sources} or None
        if not first and cited is None:
            return self.options
        position = self.options.position + first
        return msgspec.structs.replace(self.options, first_index=first, position=position, sources=cited)
