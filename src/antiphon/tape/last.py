"""The last event of a stream: who hangs up behind it has had all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Events after which nothing follows in a stream: some clients hang up there, and have had all of it.
_LAST = re.compile(
    rb"^(?:data: ?\[DONE\]|event: ?(?:message_stop|response\.(?:completed|failed|incomplete)))\r?$", re.MULTILINE
)
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_TAIL = 64


class LastEvent:
    """Looks out for the last event of a stream, in reads that may be cut anywhere."""

    __slots__ = ("_begun", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._begun = False

    def feed(self, data: bytes) -> None:
        """One read."""
        seen = self._tail + data
        self._begun = self._begun or _LAST.search(seen) is not None
        self._tail = seen[-_TAIL:]

    @property
    def here(self) -> bool:
        """Whether the last event is whole."""
        return self._begun and self._tail.endswith(_EVENT_ENDS)


def is_whole(reads: Iterable[bytes]) -> bool:
    """Whether these reads of a stream have its last event."""
    last = LastEvent()
    for data in reads:
        last.feed(data)
    return last.here
