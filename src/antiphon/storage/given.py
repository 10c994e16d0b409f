"""Many rows in one parameter: a JSON array of arrays, unfolded by the database. For statements that add or name many.

Only ``compile`` uses this. On both databases the text is the same for one row and for two thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Integer, Text, cast, column, func, literal_column, select
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import Subquery

from antiphon.storage.queries import Dialect, bind


def given_rows(dialect: Dialect, parameter: str, names: Sequence[str]) -> Subquery:
    """The rows of ``parameter``, whose n-th values are the text columns ``names``; a null stays one."""
    kind: Any = JSON(none_as_null=True)
    if dialect == "sqlite":
        each: Any = func.json_each(bind(parameter)).table_valued(column("value", Text), name=f"each_{parameter}")
    else:
        each = func.json_array_elements(cast(bind(parameter), kind)).table_valued(
            column("value", kind), name=f"each_{parameter}"
        )

    def value(n: int) -> ColumnElement[Any]:
        if dialect == "sqlite":
            return func.json_extract(each.c.value, literal_column(f"'$[{n}]'", Text), type_=Text)
        found: ColumnElement[Any] = each.c.value.op("->>", return_type=Text())(literal_column(str(n), Integer))
        return found

    return select(*(value(n).label(name) for n, name in enumerate(names))).select_from(each).subquery(parameter)


def given_values(dialect: Dialect, parameter: str) -> Any:
    """A subquery of the strings of ``parameter``, a JSON array of them, for ``in_``."""
    if dialect == "sqlite":
        each: Any = func.json_each(bind(parameter)).table_valued(column("value", Text), name=f"each_{parameter}")
    else:
        each = func.json_array_elements_text(cast(bind(parameter), JSON())).table_valued(
            column("value", Text), name=f"each_{parameter}"
        )
    return select(each.c.value)
