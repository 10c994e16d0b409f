"""The real recordings, told by their own files alone: nothing here knows how the tape reads them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.recordings.tape import unwrapped
from tests.shared import shared

Json = Any


@cache
def raw() -> dict[str, bytes]:
    """Every file below the shared recordings, by its path there."""
    root = shared("recordings")
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.json"))}


@cache
def files() -> dict[str, dict[str, Json]]:
    """The same, parsed."""
    return {name: json.loads(data) for name, data in raw().items()}


def copy(folder: Path) -> Path:
    """A copy of the folder, so that nothing is written beside the originals."""
    for name, data in raw().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def chunks(file: dict[str, Json]) -> list[Json] | None:
    """What a stream's file holds, chunk by chunk, the envelopes taken off; None when it is no stream."""
    answer = file["response"]
    return unwrapped(answer["body"]) if answer.get("is_streaming") else None
