"""``antiphon check``: the effective configuration, where each value came from, and what can be reached.

It changes nothing: no folder is made, no database created or migrated, no model asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from antiphon.cli.reach import look
from antiphon.config.load import Loaded
from antiphon.config.mask import masked
from antiphon.config.tree import ANY, dotted, settings

Say = Callable[[str], None]


def check(loaded: Loaded, environ: Mapping[str, str], say: Say) -> bool:
    """Prints the report; whether everything that is configured could be reached."""
    say(f"File: {loaded.file or 'none (there is no antiphon.toml here)'}")
    say("")
    for line in report(loaded):
        say(line)
    say("")
    findings = asyncio.run(look(loaded.config, environ))
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        say(f"{_MARKS[finding.good]:5}{finding.what:{width}}  {finding.says}")
    return all(finding.good is not False for finding in findings)


_MARKS = {True: "ok", False: "FAIL", None: "-"}


def report(loaded: Loaded) -> list[str]:
    """One line for each setting: its value, secrets masked, and its origin where that is not the default."""
    rows = list(_rows(masked(loaded.config), loaded.origins, ()))
    width = max(len(f"{name} = {value}") for name, value, origin in rows if origin)
    width = min(width, 72) if any(origin for *_, origin in rows) else 0
    return [
        f"{f'{name} = {value}':{width}}  # {origin}" if origin else f"{name} = {value}" for name, value, origin in rows
    ]


def _rows(
    table: Mapping[str, Any], origins: Mapping[tuple[str, ...], str], at: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    for name, value in table.items():
        path = (*at, name)
        if isinstance(value, dict) and _is_table(path):
            yield from _rows(value, origins, path)
        else:
            shown = "(not set)" if value is None else json.dumps(value, ensure_ascii=False)
            yield dotted(path), shown, origins.get(path, "")


def _is_table(path: tuple[str, ...]) -> bool:
    """Whether settings stand below this path, and not a setting at it."""
    return any(
        len(setting) > len(path) and all(there in (name, ANY) for name, there in zip(path, setting, strict=False))
        for setting, _ in settings()
    )
