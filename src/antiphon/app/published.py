"""Tools of others: those that the configuration names, and those that installed packages publish."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.config import KitConfig
from antiphon.tools.base import Kit

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The group of the entry points. Each is something that makes a kit when it is called with its settings.
GROUP = "antiphon.tools"


class CannotLoad(Exception):
    """Why a kit cannot be made, in a sentence that names its table."""


def kits_of_others(configured: Mapping[str, KitConfig]) -> list[Kit]:
    """Every kit, in the order of its name; who asks closes them. Raises ``CannotLoad``."""
    published = _published()
    asked = {**dict.fromkeys(published, KitConfig()), **configured}
    return [_made(name, asked[name], published.get(name)) for name in sorted(asked) if asked[name].enabled]


def _published() -> dict[str, EntryPoint]:
    """What packages publish, by name. First a look for the group's name in their files: whoever has no such package
    need not wait for the library that reads them, which takes as long as a tenth of our start."""
    head = f"[{GROUP}]".encode()
    files = (file for folder in sys.path for file in Path(folder).glob("*-info/entry_points.txt"))
    if not any(head in file.read_bytes() for file in files):
        return {}
    from importlib.metadata import entry_points

    return {found.name: found for found in entry_points(group=GROUP)}


def _made(name: str, config: KitConfig, published: EntryPoint | None) -> Kit:
    place = f"tools.kits.{name}"
    if not config.use and published is None:
        raise CannotLoad(
            f"'{place}' says no 'use', and no installed package publishes a tool of this name (group '{GROUP}')"
        )
    where = config.use or (published.value if published is not None else "")
    try:
        make = _found(where) if config.use or published is None else published.load()
        kit: Kit = make(dict(config.settings))
    except Exception as why:
        # What a third party's module raises while it is loaded may be anything, and may hold its settings.
        raise CannotLoad(f"'{place}': {where} cannot be made into tools ({type(why).__name__})") from why
    for wanted in ("types", "missing", "toolset", "aclose"):
        if not hasattr(kit, wanted):
            raise CannotLoad(f"'{place}': what {where} gives has no '{wanted}', so it is no kit")
    return kit


def _found(where: str) -> Callable[[Mapping[str, str]], Any]:
    module, _, attribute = where.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    make: Callable[[Mapping[str, str]], Any] = found
    return make
