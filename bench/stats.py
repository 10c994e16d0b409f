"""The little arithmetic a benchmark needs. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

median = statistics.median


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of ``ordered`` (ascending, not empty) do not exceed."""
    if not ordered:
        raise ValueError("a percentile of nothing")
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def spread(values: Sequence[float]) -> float:
    """(max - min) / median: how far the rounds of one run disagree. 0 when the median is 0."""
    middle = median(values)
    return (max(values) - min(values)) / abs(middle) if middle else 0.0
