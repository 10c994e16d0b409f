"""Time and ids: the only two things a run takes from its surroundings.

Both can be frozen for the current context (``freeze``), so that a recorded run repeats to the byte. Nothing from here
may enter a request to a model or a tool.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextvars import ContextVar

#: Prefix of each kind of id on the wire.
PREFIXES = {
    "response": "resp_",
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "mcp_list_tools": "mcpl_",
    "mcp_call": "mcp_",
    "mcp_approval_request": "mcpr_",
    "web_search_call": "ws_",
    "file_search_call": "fs_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "item": "item_",
    "conversation": "conv_",
    "request": "req_",
    "completion": "chatcmpl-",
    "file": "file-",
    "upload": "upload_",
    "upload_part": "part_",
    "vector_store": "vs_",
    "file_batch": "vsfb_",
    "job": "job_",
}


class _Frozen:
    """Counts ids per kind, so that the n-th id of a kind in a scope is always the same."""

    __slots__ = ("at", "counts", "scope")

    def __init__(self, scope: str, at: float) -> None:
        self.scope = scope
        self.at = at
        self.counts: defaultdict[str, int] = defaultdict(int)

    def token(self, kind: str) -> str:
        n = self.counts[kind]
        self.counts[kind] = n + 1
        return hashlib.sha256(f"{self.scope}\0{kind}\0{n}".encode()).hexdigest()[:48]


#: Random bytes of an id, fetched for many ids in one go: the call costs more than the bytes.
_apart = struct.Struct("18s" * 64)
_pool: list[bytes] = []
os.register_at_fork(after_in_child=_pool.clear)  # what a child shares with its parent is not random


def _more() -> bytes:
    """The random bytes of one id, when there are none left."""
    first: bytes
    first, *others = _apart.unpack(os.urandom(_apart.size))
    _pool.extend(others)
    return first


_frozen: ContextVar[_Frozen | None] = ContextVar("antiphon_frozen", default=None)


def now() -> float:
    """Unix time in seconds."""
    frozen = _frozen.get()
    return time.time() if frozen is None else frozen.at


def new_id(kind: str) -> str:
    """A fresh id of this kind: its prefix and 48 lowercase hex digits, the first 12 of them milliseconds."""
    prefix = PREFIXES.get(kind, "item_")
    frozen = _frozen.get()
    if frozen is not None:
        return prefix + frozen.token(kind)
    try:
        random = _pool.pop()
    except IndexError:
        random = _more()
    milliseconds = time.time_ns() // 1_000_000
    return prefix + (milliseconds.to_bytes(6, "big") + random).hex()


def freezing(scope: str, at: float = 0.0) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A context to be entered many times: in it ids are derived from ``scope`` and their order, which goes on from one
    time to the next, and the clock stands at ``at``."""
    state = _Frozen(scope, at)

    @contextlib.contextmanager
    def frozen() -> Iterator[None]:
        token = _frozen.set(state)
        try:
            yield
        finally:
            _frozen.reset(token)

    return frozen


def freeze(scope: str, at: float = 0.0) -> contextlib.AbstractContextManager[None]:
    """The same, to be entered once."""
    return freezing(scope, at)()


def is_frozen() -> bool:
    """Whether ids repeat themselves here: what was made under the same id before is the same thing, made again."""
    return _frozen.get() is not None
