"""The values that fill one hole, from the first event to the last: one of four forms, by length.

- a list: ``["The", " capital", null]``
- mostly one value: ``{"all": null, "at": {"0": "assistant", "-1": "x"}}``; from the second half on, rows are counted
  from the end, so that an answer that grows by a word does not move them
- counting: ``{"from": 4, "step": 1}``
- running text: ``{"by": "|", "text": ["The| capital| of|", " France"], "at": {"-1": null}}``

The second and the third do not know how many they are; the others do (``Column.count``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from antiphon.tape.codec.pieces import join, wrap
from antiphon.tape.codec.spelling import Quote, read_scalar, spell
from antiphon.tape.model import Json

#: Between two values of a running text: the first of these that no value holds.
_SEPARATORS = "|~^¦·¬§†"
#: A running text is preferred even when it is so many characters longer.
_READS_BETTER = 16


def pack(texts: Sequence[str], quote: Quote) -> Json:
    """The column of the scalars spelled ``texts``."""
    cells = [read_scalar(text, quote) for text in texts]
    running = _running(cells)
    others = [form for form in (cells, _mostly(cells, texts), _counting(cells)) if form is not None]
    best = min(others, key=_size)
    return best if running is None or _size(best) + _READS_BETTER < _size(running) else running


def count(column: Json) -> int | None:
    """How many values a column has; None when it fits any number."""
    if isinstance(column, list):
        return len(column)
    if "text" in column:
        return join(column["text"]).count(column["by"]) + 1
    return None


def unpack(column: Json, rows: int, quote: Quote) -> list[str]:
    """The spelled values of a column of ``rows`` rows. Raises TypeError, ValueError, KeyError for what is no column."""
    if isinstance(column, list):
        cells = column
    elif "text" in column:
        cells = join(column["text"]).split(column["by"])
    elif "from" in column:
        cells = [column["from"] + column["step"] * row for row in range(rows)]
    else:
        cells = [column["all"]] * rows
    if len(cells) != rows:
        raise ValueError(f"{len(cells)} values where the event comes {rows} times")
    texts = [quote(cell) if isinstance(cell, str) else spell(cell, quote) for cell in cells]
    if isinstance(column, dict):
        for row, cell in column.get("at", {}).items():
            place = int(row)
            if not -rows <= place < rows:
                raise ValueError(f"there is no row {row} among {rows}")
            texts[place] = spell(cell, quote)
    return texts


def _size(form: Json) -> int:
    return len(json.dumps(form, ensure_ascii=False, separators=(",", ":")))


def _place(row: int, rows: int) -> str:
    return str(row if row < rows / 2 else row - rows)


def _at(cells: list[Json], rows: list[int]) -> dict[str, Json]:
    return {_place(row, len(cells)): cells[row] for row in rows}


def _mostly(cells: list[Json], texts: Sequence[str]) -> Json | None:
    most, times = Counter(texts).most_common(1)[0]
    if times * 2 <= len(cells):
        return None
    others = [row for row, text in enumerate(texts) if text != most]
    return {"all": cells[texts.index(most)], "at": _at(cells, others)}


def _counting(cells: list[Json]) -> Json | None:
    if len(cells) < 3 or not all(type(cell) is int for cell in cells):
        return None
    steps = {after - before for before, after in pairwise(cells)}
    return {"from": cells[0], "step": steps.pop()} if len(steps) == 1 else None


def _running(cells: list[Json]) -> Json | None:
    others = [row for row, cell in enumerate(cells) if not isinstance(cell, str)]
    words = [cell if isinstance(cell, str) else "" for cell in cells]
    text = "".join(words)
    by = next((sign for sign in _SEPARATORS if sign not in text), None)
    if by is None:
        return None
    form: dict[str, Json] = {"by": by, "text": wrap(by.join(words), by)}
    if others:
        form["at"] = _at(cells, others)
    return form
