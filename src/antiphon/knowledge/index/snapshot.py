"""One store in memory, as one version of it was: every vector, and what is known of every file.

A snapshot never changes, so a search works on it undisturbed. The next one is made from it and from what has changed:
vectors lie in blocks that both share, new ones are written behind those that the older one knows, and a removed file's
stay as dead rows until they are too many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.filters import Filter
from antiphon.knowledge.index.attributes import Attributes
from antiphon.storage.chunks.model import IndexedFile, LoadedFile

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Rows of a full block; a new one has as many as are to be written, or a part of what is there already.
_BLOCK = 8192
_GROWTH = 8
#: A snapshot with more than one dead row in so many is made anew.
_DEAD = 4

_encode = msgspec.json.Encoder().encode


class _Block:
    """Rows of vectors; the first ``used`` are written and never change again."""

    __slots__ = ("rows", "used")

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.used = 0


class _Place(msgspec.Struct, frozen=True, gc=False):
    """A file, and the row of its first chunk."""

    file: IndexedFile
    start: int


class Snapshot:
    """A store at ``version``. ``rows`` counts dead ones too."""

    def __init__(self, version: int, dimensions: int) -> None:
        np = numpy()
        self.version = version
        self.dimensions = dimensions
        self.rows = 0
        self.chunks = 0
        self.places: dict[str, _Place] = {}
        self._blocks: tuple[tuple[_Block, int], ...] = ()
        self._of_row = np.empty(0, np.int32)
        self._n_of_row = np.empty(0, np.int32)
        self._lengths = np.empty(0, np.uint32)
        self._order: list[_Place] = []
        self._attributes = Attributes(())
        self._masks: dict[bytes, Array] = {}

    @property
    def bytes(self) -> int:
        """Memory it takes, about."""
        vectors = sum(block.rows.nbytes for block, _ in self._blocks)
        return vectors + 12 * self.rows + 512 * len(self.places)

    @property
    def wasteful(self) -> bool:
        """Whether it would be better made anew."""
        return self.rows > _BLOCK // 4 and (self.rows - self.chunks) * _DEAD > self.rows

    def next(self, version: int, removed: Iterable[str], changed: Sequence[IndexedFile], room: int) -> _Next:
        """What becomes the snapshot of ``version``: without these files, and with others' attributes; those that were
        written anew are still to be added, ``room`` chunks in all."""
        return _Next(self, version, removed, changed, room)

    def near(self, vector: Array, start: int, end: int) -> Array:
        """The product of each row of the blocks from ``start`` to ``end`` with a vector."""
        np = numpy()
        blocks = self._blocks[start:end]
        found = np.empty(sum(used for _, used in blocks), np.float32)
        at = 0
        for block, used in blocks:
            np.dot(block.rows[:used], vector, out=found[at : at + used])
            at += used
        return found  # type: ignore[no-any-return]

    @property
    def blocks(self) -> int:
        """How many there are."""
        return len(self._blocks)

    def rows_of(self, numbers: Array) -> Array:
        """The row of each chunk number; -1 for what is not of this store, or not of this version."""
        np = numpy()
        order = self._by_first()
        if not len(order[0]):
            return np.full(len(numbers), -1)  # type: ignore[no-any-return]
        firsts, counts, starts = order
        at = np.searchsorted(firsts, numbers, "right") - 1
        into = numbers - firsts[at]
        return np.where((at >= 0) & (into < counts[at]), starts[at] + into, -1)  # type: ignore[no-any-return]

    def lengths(self) -> tuple[Array, float]:
        """The number of words of each row, and their mean."""
        alive = self._of_row >= 0
        mean = float(self._lengths[alive].mean()) if self.chunks else 0.0
        return self._lengths, mean or 1.0

    def allowed(self, filters: Filter | None) -> Array | None:
        """For each row whether it may be found; None where all may."""
        if filters is None:
            return None if self.chunks == self.rows else self._of_row >= 0
        key = _encode(filters)
        mask = self._masks.get(key)
        if mask is None:
            np = numpy()
            files = np.append(self._attributes.allowed(filters), False)  # the last is what dead rows have
            mask = files[self._of_row]
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            self._masks[key] = mask
        return mask

    def chunk(self, row: int) -> tuple[str, int, int]:
        """A row's file, its number there, and the ``written`` of the file."""
        place = self._order[self._of_row[row]]
        return place.file.file_id, int(self._n_of_row[row]), place.file.written

    def _by_first(self) -> tuple[Array, Array, Array]:
        np = numpy()
        if self._firsts is None:
            places = sorted((p for p in self._order if p.file.chunks), key=lambda p: p.file.first)
            columns = ([p.file.first for p in places], [p.file.chunks for p in places], [p.start for p in places])
            self._firsts = tuple(np.asarray(column, np.int64) for column in columns)
        return self._firsts  # type: ignore[no-any-return]

    _firsts: Any = None


#: Filters whose answer is remembered, for as long as the store does not change.
_MASKS = 16


class _Next:
    """A snapshot in the making."""

    def __init__(
        self, old: Snapshot, version: int, removed: Iterable[str], changed: Sequence[IndexedFile], room: int
    ) -> None:
        np = numpy()
        new = Snapshot(version, old.dimensions)
        new.places = dict(old.places)
        new._blocks = old._blocks
        new.rows, new.chunks = old.rows, old.chunks
        self._new = new
        self._room = room
        total = old.rows + room
        self._n = np.concatenate([old._n_of_row, np.empty(room, np.int32)])
        self._lengths = np.concatenate([old._lengths, np.empty(room, np.uint32)])
        assert len(self._n) == total
        for file_id in removed:
            self._drop(file_id)
        for file in changed:
            new.places[file.file_id] = _Place(file, new.places[file.file_id].start)

    def add(self, files: Sequence[LoadedFile]) -> None:
        """Files written anew. One that has grown since it was listed is left for the next search to list."""
        for loaded in files:
            if loaded.file.chunks <= self._room:
                self._add(loaded)
            else:
                # Older than any version, so that everything that is missing is read.
                self._new.version = 0

    def _add(self, loaded: LoadedFile) -> None:
        np = numpy()
        file, new = loaded.file, self._new
        self._drop(file.file_id)
        new.places[file.file_id] = _Place(file, new.rows)
        if not file.chunks:
            return
        vectors = np.frombuffer(loaded.vectors, "<f4").reshape(file.chunks, -1)
        if not new.dimensions:
            new.dimensions = vectors.shape[1]
        end = new.rows + file.chunks
        self._n[new.rows : end] = np.arange(file.chunks)
        self._lengths[new.rows : end] = np.frombuffer(loaded.lengths, "<u4")
        self._write(vectors)
        self._room -= file.chunks
        new.rows = end
        new.chunks += file.chunks

    def finish(self) -> Snapshot:
        """The snapshot."""
        np = numpy()
        new = self._new
        new._order = list(new.places.values())
        counts = np.fromiter((place.file.chunks for place in new._order), np.int64, len(new._order))
        starts = np.fromiter((place.start for place in new._order), np.int64, len(new._order))
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        new._of_row = np.full(new.rows, -1, np.int32)
        new._of_row[np.repeat(starts, counts) + within] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        new._n_of_row, new._lengths = self._n[: new.rows], self._lengths[: new.rows]
        new._attributes = Attributes([place.file.attributes for place in new._order])
        return new

    def _drop(self, file_id: str) -> None:
        place = self._new.places.pop(file_id, None)
        if place is not None:
            self._new.chunks -= place.file.chunks

    def _write(self, vectors: Array) -> None:
        new = self._new
        at = 0
        while at < len(vectors):
            last = new._blocks[-1] if new._blocks else None
            # Behind what this line of snapshots knows there may be rows of another that was never finished.
            if last is None or last[0].used != last[1] or last[1] == len(last[0].rows):
                last = (self._block(), 0)
                new._blocks = (*new._blocks, last)
            block, used = last
            count = min(len(vectors) - at, len(block.rows) - used)
            block.rows[used : used + count] = vectors[at : at + count]
            block.used = used + count
            new._blocks = (*new._blocks[:-1], (block, used + count))
            at += count

    def _block(self) -> _Block:
        np = numpy()
        rows = min(_BLOCK, max(self._room, self._new.rows // _GROWTH, 16))
        return _Block(np.empty((rows, self._new.dimensions), np.float32))
