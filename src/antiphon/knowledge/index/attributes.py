"""The attributes of many files, so that a filter is answered for all of them at once.

For every key that a filter names there is a column, made at its first use: a number for each file that says which of
the key's values it has. A comparison is then made once for each value, not once for each file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.filters import Comparison, Filter, holds

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Attributes:
    """Of files in a certain order, as JSON. Never changes; may be used by several threads."""

    def __init__(self, files: Sequence[bytes]) -> None:
        self._files = files
        self._columns: dict[str, tuple[Array, list[Any]]] = {}
        self._read: list[dict[str, Any]] | None = None

    def allowed(self, filter: Filter) -> Array:  # noqa: A002 - the API's word
        """For each file whether it is let through."""
        np = numpy()
        if isinstance(filter, Comparison):
            codes, values = self._column(filter.key)
            verdict = np.fromiter((holds(filter, value) for value in values), bool, len(values))
            return verdict[codes]  # type: ignore[no-any-return]
        found = np.full(len(self._files), filter.type == "and")
        for one in filter.filters:
            found = found & self.allowed(one) if filter.type == "and" else found | self.allowed(one)
        return found  # type: ignore[no-any-return]

    def _column(self, key: str) -> tuple[Array, list[Any]]:
        if key not in self._columns:
            np = numpy()
            if self._read is None:
                empty: dict[str, Any] = {}
                self._read = [empty if data == b"{}" else _decode(data) for data in self._files]
            known: dict[tuple[type, Any], int] = {(type(None), None): 0}
            # By type too, because True == 1 here and not in JSON.
            marks = ((type(value), value) for value in (file.get(key) for file in self._read))
            codes = np.fromiter((known.setdefault(mark, len(known)) for mark in marks), np.int32, len(self._read))
            self._columns[key] = codes, [value for _, value in known]
        return self._columns[key]
