"""From a call that is over to its file: secrets replaced, compared when verifying, and put aside while a test runs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from antiphon.tape import document, shape
from antiphon.tape.counts import Count, Drift, Tally
from antiphon.tape.model import Boundary, Exchange, HttpResponse, Request, Response
from antiphon.tape.plays import PlayLog
from antiphon.tape.secrets import Finding, Redactor
from antiphon.tape.settings import Timing
from antiphon.tape.shelf import Entry, Shelf
from antiphon.tape.staging import Staging

_log = logging.getLogger("antiphon.tape")

#: Drifts and refusals that are kept to be shown.
_KEPT = 1000


class Place(msgspec.Struct, frozen=True):
    """Where a live call goes on the tape. ``verify`` is the recording that it is compared with instead.

    ``asked`` is the request with its secrets, which are looked for in the response too, and are never written; nor is
    ``url``, that of the live call.
    """

    asked: Request
    request: Request
    boundary: Boundary
    provider: str
    scope: str
    variant: int
    url: str = ""
    key: str | None = None
    verifying: bool = False
    verify: Entry | None = None


class Writer:
    """Writes recordings, in a thread of its own when ``background``, so that a loop is not held up."""

    def __init__(
        self,
        shelf: Shelf,
        redactor: Redactor,
        plays: PlayLog,
        tally: Tally,
        *,
        timing: Timing,
        background: bool,
    ) -> None:
        self._shelf = shelf
        self._redactor = redactor
        self._plays = plays
        self._tally = tally
        self._timing = timing
        self._thread = ThreadPoolExecutor(1, "tape") if background else None
        self._writing: set[Future[None]] = set()
        self._staging = Staging(shelf)
        self._staged: dict[str, Path] = {}
        #: What differs in shape (mode ``verify``), and what was not written, and why.
        self.drifts: list[Drift] = []
        self.refused: list[str] = []

    def record(self, place: Place, response: Response, release: Callable[[], None]) -> None:
        """A live call is over. ``release`` is called when its file is there, or will never be."""
        if self._thread is None:
            self._write(place, response, release)
            return
        future = self._thread.submit(self._write, place, response, release)
        self._writing.add(future)
        future.add_done_callback(self._writing.discard)

    def flush(self) -> None:
        """Blocks until all that was heard is written."""
        for future in list(self._writing):
            future.result()

    def close(self) -> None:
        """Writes what is outstanding."""
        self.flush()
        if self._thread is not None:
            self._thread.shutdown()
        self._staging.close()

    # -- staging

    def stage(self, scope: str) -> None:
        """From here on what this scope records waits aside."""
        self.discard(scope)
        self._staged[scope] = self._staging.place()

    def keep(self, scope: str) -> int:
        """What waited takes its place; how many there were."""
        self.flush()
        path = self._staged.pop(scope, None)
        if path is None or not path.is_dir():
            return 0
        files = sorted(path.rglob("*.json"))
        for file in files:
            self._put(document.load(file.read_bytes(), _beside(file)))
        shutil.rmtree(path)
        return len(files)

    def discard(self, scope: str) -> None:
        """What waited is forgotten."""
        self.flush()
        path = self._staged.pop(scope, None)
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)

    # -- writing

    def _write(self, place: Place, response: Response, release: Callable[[], None]) -> None:
        try:
            usage = document.usage(response) if isinstance(response, HttpResponse) else None
            exchange = Exchange(
                place.request,
                self._redactor.response(response, place.asked),
                place.boundary,
                place.provider,
                place.scope,
                place.variant,
                usage,
            )
            if place.verifying:
                self._compare(place, exchange.response)
                return
            tokens = usage.input + usage.output if usage is not None else 0
            self._tally.add(place.scope, Count(recorded=1, tokens_recorded=tokens))
            self._put(exchange, place.key)
        except OSError as why:
            self._refuse(f"A call could not be recorded below {self._shelf.directory}: {why}")
        finally:
            release()

    def _put(self, exchange: Exchange, key: str | None = None) -> None:
        files = document.dump(exchange, timing=self._timing)
        found = [one for data in (files[0], *files[1].values()) for one in self._redactor.surviving(data)]
        if found:
            self._refuse(_secret(found))
            return
        staged = self._staged.get(exchange.scope)
        path = self._shelf.put(exchange, files, key=key, under=staged)
        if staged is None:
            relative = str(path.relative_to(self._shelf.directory))
            self._tally.run(exchange.scope).recorded.add(relative)
            self._plays.add(relative)

    def _compare(self, place: Place, response: Response) -> None:
        self._tally.add(place.scope, Count(live=1))
        if place.verify is None:
            self._drifted(Drift("", place.scope, ("There is no recording of this call.",)))
            return
        differences = shape.compare(self._shelf.load(place.verify).response, response)
        self._plays.add(place.verify.path)
        if differences:
            self._drifted(Drift(place.verify.path, place.scope, tuple(differences)))

    def _drifted(self, drift: Drift) -> None:
        if len(self.drifts) < _KEPT:
            self.drifts.append(drift)

    def _refuse(self, sentence: str) -> None:
        _log.error("%s", sentence)
        if len(self.refused) < _KEPT:
            self.refused.append(sentence)


def _beside(file: Path) -> Callable[[str], bytes]:
    return lambda suffix: file.with_suffix(suffix).read_bytes()


def _secret(found: Sequence[Finding]) -> str:
    kinds = ", ".join(sorted({f"{one.kind} ({one.shown})" for one in found}))
    return (
        f"A call was not recorded, because secrets would have stood in its file: {kinds}. "
        "Take them out of the request, or name them in 'allow' if they are none."
    )
