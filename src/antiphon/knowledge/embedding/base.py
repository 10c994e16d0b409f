"""What an embedder is: texts in, vectors of length 1 out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """One model. A vector is its little-endian 32-bit floats, brought to length 1, as bytes."""

    @property
    def model(self) -> str:
        """Its name, as a vector store keeps it."""

    @property
    def dimensions(self) -> int | None:
        """Numbers in a vector; None for an endpoint's model that has not answered yet and of which nothing is
        configured."""

    async def documents(self, texts: Sequence[str]) -> list[bytes]:
        """One vector for each text that is to be found. Raises ``errors.APIError``."""

    async def query(self, text: str) -> bytes:
        """The vector of a question, which some models make otherwise than a document's. Raises ``errors.APIError``."""
