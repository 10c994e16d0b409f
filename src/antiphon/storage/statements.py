"""The compiled statements, ready for a driver.

Nothing here knows SQLAlchemy: ``_compiled`` is plain text, written ahead of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from antiphon.storage import _compiled

REVISION = _compiled.REVISION
SQLITE_DDL = _compiled.SQLITE_DDL
POSTGRESQL_DDL = _compiled.POSTGRESQL_DDL


class Statement(NamedTuple):
    """SQL, and the names of its parameters in the order in which the driver wants them."""

    sql: str
    parameters: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in the driver's order."""
        return tuple(values[name] for name in self.parameters)


def _ready(table: dict[str, tuple[str, str]]) -> dict[str, Statement]:
    return {name: Statement(sql, tuple(parameters.split())) for name, (sql, parameters) in table.items()}


SQLITE = _ready(_compiled.SQLITE)
POSTGRESQL = _ready(_compiled.POSTGRESQL)

#: The columns of each form of rows that a commit writes, in the order of their values.
COLUMNS = {
    name.removeprefix("insert_"): statement.parameters
    for name, statement in SQLITE.items()
    if name.startswith("insert_")
}
