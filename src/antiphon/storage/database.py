"""What a driver has to do: send a compiled statement, write a response, run several statements as one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Literal, Protocol

from antiphon.storage.rows import Packed, Row


class Database(Protocol):
    """One database. Failures come as ``errors.APIError``."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which SQL it speaks."""

    async def fetch(self, name: str, **values: Any) -> Sequence[Row]:
        """The rows of a reading statement."""

    def commit(self, packed: Packed) -> Awaitable[object]:
        """Write one response, or what a conversation gets; returns when it is durable."""

    async def write(self, names: Sequence[str], *, answer: int = 0, **values: Any) -> Sequence[Row]:
        """Run these statements, in order, in one transaction; the rows that number ``answer`` of them returns."""

    async def close(self) -> None:
        """Finish what was accepted, then let go."""
