"""A request of some client as a ``Call``, and the step that its tape decides on."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from antiphon.tape.engine import Tape
from antiphon.tape.model import BodyFile, Boundary, Headers, HttpCall
from antiphon.tape.refusal import Refusal
from antiphon.tape.steps import Live, Play, Wait

#: What became of a call.
Outcome = Literal["played", "recorded", "live", "refused"]

Note: TypeAlias = Callable[[HttpCall, Outcome, Refusal | None], None]

#: A request body longer than this goes to a file. Bytes.
_IN_MEMORY = 8 * 1024 * 1024
_PIECE = 64 * 1024

#: True within a call that the tape lets through, so that a guard of the network can tell it from others.
passing: ContextVar[bool] = ContextVar("antiphon_tape_passing", default=False)


class Place:
    """The tape and the scope that a call belongs to. ``note`` hears of each call what became of it, and why not."""

    __slots__ = ("_note", "scope", "tape")

    def __init__(self, tape: Tape, scope: str, note: Note | None = None) -> None:
        self.tape = tape
        self.scope = scope
        self._note = note

    def begin(self, call: HttpCall) -> Play | Live | Wait:
        """The step of the tape. Raises ``Refusal``."""
        try:
            return self.tape.begin(call, scope=self.scope)
        except Refusal as refusal:
            self._say(call, "refused", refusal)
            raise

    def decided(self, call: HttpCall, step: Play | Live) -> None:
        """Tell what the step came to."""
        recorded: Outcome = "recorded" if isinstance(step, Live) and step.recorder is not None else "live"
        self._say(call, "played" if isinstance(step, Play) else recorded)

    def _say(self, call: HttpCall, outcome: Outcome, refusal: Refusal | None = None) -> None:
        if self._note is not None:
            self._note(call, outcome, refusal)


#: Whose a call to this URL is; None when no tape wants it.
Gate: TypeAlias = Callable[[str], Place | None]


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Around the sending of a call that may leave."""
    token = passing.set(True)
    try:
        yield
    finally:
        passing.reset(token)


def to_call(method: str, url: str, headers: Headers, body: bytes | BodyFile) -> HttpCall:
    """The call, with its boundary."""
    return HttpCall(method, url, headers, body, boundary_of(url, headers, body))


def boundary_of(url: str, headers: Headers, body: bytes | BodyFile) -> Boundary:
    """Embeddings by the path, tools by the protocol of MCP; everything else is inference."""
    if "/embeddings" in url and urlsplit(url).path.rstrip("/").endswith("/embeddings"):
        return "embeddings"
    if any(name[:4].lower() == "mcp-" for name, _ in headers):
        return "tools"
    return "tools" if isinstance(body, bytes) and _is_json_rpc(body) else "inference"


def _is_json_rpc(body: bytes) -> bool:
    if b'"jsonrpc"' not in body:
        return False
    try:
        value: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and "jsonrpc" in first


class Spool:
    """A request body as it is read: in memory, or in a file once it is long."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._hash: Any = None
        self._file: IO[bytes] | None = None
        self._unread: Any = None

    def add(self, data: bytes) -> None:
        """The next part."""
        self._size += len(data)
        if self._file is not None:
            self._hash.update(data)
            self._file.write(data)
            return
        self._parts.append(data)
        if self._size > _IN_MEMORY:
            # Not deleted on close: it is read by its name afterwards, and goes with the owner that ``keep_with`` names;
            # with the spool, when reading the body fails before that.
            self._hash = hashlib.sha256()
            self._file = tempfile.NamedTemporaryFile(prefix="antiphon-", delete=False)  # noqa: SIM115
            self._unread = weakref.finalize(self, _delete, self._file)
            for part in self._parts:
                self._hash.update(part)
                self._file.write(part)
            self._parts.clear()

    def body(self) -> bytes | BodyFile:
        """The whole of it."""
        if self._file is None:
            return b"".join(self._parts)
        self._file.close()
        self._unread.detach()
        return BodyFile(self._file.name, self._size, self._hash.hexdigest())


def _delete(file: IO[bytes]) -> None:
    file.close()
    Path(file.name).unlink(missing_ok=True)


def keep_with(owner: object, body: bytes | BodyFile) -> None:
    """The file of a long body lives as long as ``owner``."""
    if isinstance(body, BodyFile):
        weakref.finalize(owner, Path(body.path).unlink, missing_ok=True)


def pieces(body: BodyFile) -> Iterable[bytes]:
    """A long body, a piece at a time."""
    with Path(body.path).open("rb") as file:
        while data := file.read(_PIECE):
            yield data
