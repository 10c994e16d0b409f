"""Numbers in a row, with ``[number, times]`` where one repeats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TypeAlias

Runs: TypeAlias = list[int | tuple[int, int]]

#: A shorter run is written out.
_RUN = 4


def pack(numbers: Iterable[int]) -> list[int | list[int]]:
    """The numbers as runs."""
    runs: list[int | list[int]] = []
    for number, same in groupby(numbers):
        times = sum(1 for _ in same)
        runs += [[number, times]] if times >= _RUN else [number] * times
    return runs


def unpack(runs: Runs) -> list[int]:
    """The numbers of the runs. Raises ValueError for a number below nought."""
    numbers: list[int] = []
    for run in runs:
        number, times = (run, 1) if isinstance(run, int) else run
        if number < 0 or times < 0:
            raise ValueError(f"{run} counts below nought")
        numbers += [number] * times
    return numbers
