"""Why a call has no recording, as far as the recordings tell.

Pure: what there is comes in, an explanation goes out. The requests are compared in the form in which they are matched,
so that what does not count (ids that only correspond, defaults, declared noise) is not shown as a difference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from antiphon.tape.canon import EXACT, Rules, canonical
from antiphon.tape.miss import sections
from antiphon.tape.miss.differ import Difference, Path, differences, pointer
from antiphon.tape.miss.nearest import Candidate, Found, content, nearest
from antiphon.tape.miss.report import clip, report
from antiphon.tape.miss.turns import Asked, Divergence, divergence
from antiphon.tape.model import NO_SCOPE, HttpRequest, Json, Request

#: ``order``: the same entries in another order; ``arguments``: of a tool; ``other_scope``: recorded, for another scope;
#: ``exhausted``: recorded, and played already; ``closed``: the recording ends where its first reader hung up; ``none``:
#: nothing of this endpoint is recorded.
Reason = Literal[
    "prompt", "system", "tools", "params", "order", "arguments", "other_scope", "exhausted", "closed", "none"
]

#: The order in which reasons are named when there are several.
_ORDER: tuple[Reason, ...] = ("prompt", "system", "tools", "arguments", "order", "params")
_WORDS: dict[Reason, str] = {
    "prompt": "the prompt",
    "system": "the system prompt",
    "tools": "the tools",
    "params": "the parameters",
    "order": "the order",
    "arguments": "the arguments",
}


class Miss(msgspec.Struct, frozen=True):
    """Why a call has no recording. Encodes to JSON as it is (``msgspec.json``), or by ``as_json``.

    ``reasons`` are all that apply, ``reason`` the weightiest. ``nearest`` is the path of the nearest recording,
    ``pointer`` the JSON path of the first difference to it. ``turn`` is the call's place in its conversation and
    ``first_divergent_turn`` the place at which the run left the recorded one, ``divergence`` what differed there.
    ``report`` says all of it in at most 30 lines of plain text. ``request`` is without secrets, as it came in.
    """

    reason: Reason
    report: str
    scope: str
    request: Request
    nearest: str | None = None
    pointer: str | None = None
    turn: int = 1
    first_divergent_turn: int | None = None
    divergence: str = ""
    reasons: tuple[Reason, ...] = ()
    differences: tuple[Difference, ...] = ()
    command: str = ""

    def as_json(self) -> dict[str, Json]:
        """The machine form: plain JSON values."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return plain


def explain(
    request: Request,
    scope: str,
    candidates: Iterable[Candidate],
    history: Sequence[Asked] = (),
    *,
    command: str = "",
    rules: Rules = EXACT,
    exhausted: bool = False,
    closed: str = "",
    form: Callable[[Request], Json] | None = None,
) -> Miss:
    """Why ``request`` has no recording in ``scope``.

    ``history``: what the scope asked before, in order. ``command`` records just this. ``exhausted``: it is recorded,
    and all of it was played. ``closed``: the path of the recording that ran out under its reader. ``form`` brings a
    request into the JSON value in which it is matched; by default the canonical form under ``rules``.
    """
    form = form if form is not None else functools.partial(canonical, rules=rules)
    near = nearest(request, scope, candidates, form)
    told = _Told(request, scope, command)
    if closed:
        return told.closed(closed)
    equal = [one for one in near if one.far == 0]
    own = [one for one in equal if scope == NO_SCOPE or one.candidate.scope in (scope, NO_SCOPE)]
    if exhausted or own:
        return told.exhausted(own)
    if equal:
        return told.other_scope(equal)
    if not near:
        return told.none()
    return _differing(told, near[0], form(request), history)


def _differing(told: _Told, near: Found, asked: Json, history: Sequence[Asked]) -> Miss:
    body, recorded = content(asked), content(near.tree)
    found = differences(recorded, body)
    reasons = {_reason(one, recorded, body, told.request) for one in found}
    outside = [] if found else _outside(near.tree, asked)
    ordered = tuple(one for one in _ORDER if one in reasons) or ("params",)
    if "order" in reasons and len(found) == 1:
        ordered = ("order",)
    where = divergence(told.request, history, found, body)
    return told.differing(near, found or outside, ordered, where)


def _reason(one: Difference, recorded: Json, asked: Json, request: Request) -> Reason:
    if one.kind == "moved":
        return "order"
    if not isinstance(request, HttpRequest):
        return "arguments"
    if one.kind == "removed":
        return sections.section(one.path, recorded)
    return sections.section(one.path, asked, *([recorded] if one.kind == "changed" else []))


def _outside(recorded: Json, asked: Json) -> list[Difference]:
    """What differs beside the body: the query, the headers. Named by its place, which is no JSON path."""
    return [
        msgspec.structs.replace(one, pointer=_place(one.path), path=())
        for one in differences(recorded, asked)
        if one.path[:1] != (sections.BODY,)
    ]


def _place(path: Path) -> str:
    return pointer(path[1:], str(path[0])) if path else "the request"


class _Told:
    """One request that missed, and the explanations there are for it."""

    def __init__(self, request: Request, scope: str, command: str) -> None:
        self.request = request
        self.scope = scope
        self.command = command

    def closed(self, path: str) -> Miss:
        said = f"The recording of {self._call()} ends where its first reader hung up, and this reader went on."
        return self._miss("closed", said, [f"It is {path}"], nearest=path)

    def exhausted(self, played: Sequence[Found]) -> Miss:
        paths = sorted(one.candidate.path for one in played)
        count = "every recording" if len(paths) != 1 else "the one recording"
        said = f"{self._call()} was asked once more{self._where()}, and {count} of it has been played."
        way = ["Raise no repeat, record one more, or let repeats have the last answer (not strict, exhausted=last)."]
        return self._miss("exhausted", said, _paths(paths), closing=way, nearest=paths[-1] if paths else None)

    def other_scope(self, equal: Sequence[Found]) -> Miss:
        scopes = sorted({one.candidate.scope for one in equal})
        others = ", ".join(f"'{clip(one, 60)}'" for one in scopes[:3])
        said = f"{self._call()} is recorded, but not{self._where() or ' without a scope'}: it belongs to {others}."
        way = ["To share a recording with all scopes, move its file to the top of the directory and empty its 'scope'."]
        paths = [one.candidate.path for one in equal]
        return self._miss("other_scope", said, _paths(paths), closing=way, nearest=paths[0])

    def none(self) -> Miss:
        said = f"There is no recording of {self._call()}{self._where()}, and none of the same endpoint to compare with."
        return self._miss("none", said, [])

    def differing(self, near: Found, found: list[Difference], reasons: tuple[Reason, ...], where: Divergence) -> Miss:
        what = " and ".join(_WORDS[one] for one in reasons)
        verb = "differ" if len(reasons) > 1 or reasons[0] in {"tools", "params", "arguments"} else "differs"
        said = f"There is no recording of {self._call()}{self._where()}: {what} {verb}."
        scope = near.candidate.scope
        of = "" if scope == self.scope else f" (of scope '{clip(scope, 60)}')" if scope else " (shared)"
        miss = self._miss(
            reasons[0],
            said,
            [f"The nearest is {near.candidate.path}{of}; in [-brackets-] what it has, in {{+braces+}} what was asked:"],
            found=found,
            closing=[_sentence(where)],
            nearest=near.candidate.path,
        )
        return msgspec.structs.replace(
            miss,
            reasons=reasons,
            turn=where.turn,
            first_divergent_turn=where.first,
            divergence=where.what,
        )

    def _miss(
        self,
        reason: Reason,
        opening: str,
        place: Sequence[str],
        *,
        nearest: str | None = None,
        found: Sequence[Difference] = (),
        closing: Sequence[str] = (),
    ) -> Miss:
        return Miss(
            reason,
            report(opening, place, found, closing, self.command),
            self.scope,
            self.request,
            nearest,
            found[0].pointer if found else None,
            reasons=(reason,),
            differences=tuple(found),
            command=self.command,
        )

    def _call(self) -> str:
        request = self.request
        if not isinstance(request, HttpRequest):
            return f"tool {clip(request.tool, 60)} of {clip(request.provider, 60) or 'this process'}"
        model = sections.model(request)
        return f"{request.method} {clip(request.path, 80)}" + (f" ({clip(model, 60)})" if model else "")

    def _where(self) -> str:
        return f" in scope '{clip(self.scope, 100)}'" if self.scope else ""


def _paths(paths: Sequence[str]) -> list[str]:
    more = [f"  ... and {len(paths) - 3} more"] if len(paths) > 3 else []
    return [*(f"  {path}" for path in paths[:3]), *more]


def _sentence(where: Divergence) -> str:
    what = f": {where.what}" if where.what else ""
    if where.turn == 1:
        return "It is the first turn of its conversation: nothing before it explains this."
    if where.first == where.turn:
        return f"The run left the recorded one at this turn, number {where.turn}{what}."
    return f"The run left the recorded one at turn {where.first} of {where.turn}{what}."
