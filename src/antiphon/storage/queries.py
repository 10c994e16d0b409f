"""The statements about responses, in SQLAlchemy Core; ``compile`` turns them into text, nothing else runs them.

``statements(dialect)`` gives them by name. A parameter is always a named ``bindparam`` without a value, so that the
text depends on nothing but this file and the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.sql.selectable import CTE, Select
from sqlalchemy.types import TypeEngine

from antiphon.storage.rows import FORMS
from antiphon.storage.schema import blobs, item_blobs, items, journal, metadata, responses, steps

Dialect = Literal["sqlite", "postgresql"]

#: The tables one commit fills, in the order in which their rows are sent.
WRITTEN = (responses, items, item_blobs, blobs, steps, journal)

#: What a new row has without being told.
_NEW: dict[str, ColumnElement[Any]] = {"deleted": false()}

#: Milliseconds by the clock of the database: the one clock that all who share it have in common.
CLOCK: dict[Dialect, str] = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}

# The SQLite compiler hides a parameter of its own in a LIMIT without OFFSET, so every LIMIT here has both.
ZERO = literal_column("0", Integer)
ONE = literal_column("1", Integer)


def bind(name: str, kind: type[TypeEngine[Any]] = Text) -> ColumnElement[Any]:
    """A parameter."""
    return bindparam(name, type_=kind, required=True)


def database_now(dialect: Dialect) -> ColumnElement[Any]:
    """``CLOCK`` as an expression."""
    return literal_column(CLOCK[dialect], BigInteger)


OWNER = bind("owner")
ID = bind("response_id")


def _mine(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.owner == OWNER, table.c.response_id == ID)


def _my_journal() -> ColumnElement[bool]:
    created_at = select(responses.c.created_at).where(responses.c.owner == OWNER, responses.c.id == ID)
    return and_(_mine(journal), journal.c.created_at == created_at.scalar_subquery())


def _with_blobs(page: FromClause, *order: ColumnElement[Any]) -> Select[Any]:
    """The items of ``page``, one row for each long string of an item (one row for an item without)."""
    uses = and_(
        item_blobs.c.owner == OWNER,
        item_blobs.c.response_id == page.c.response_id,
        item_blobs.c.position == page.c.position,
    )
    kept = and_(blobs.c.owner == OWNER, blobs.c.sha256 == item_blobs.c.sha256)
    return (
        select(page.c.id, page.c.direction, page.c.position, page.c.data, item_blobs.c.at, blobs.c.data, page.c.seen)
        .select_from(page.outerjoin(item_blobs, uses).outerjoin(blobs, kept))
        .order_by(*order, item_blobs.c.at)
    )


def _response() -> Select[Any]:
    c = responses.c
    row = (c.id, c.owner, c.previous_id, c.conversation_id, c.status, c.created_at, c.dialect, c.request, c.result)
    return select(*row, c.previous_step, c.deleted).where(c.owner == OWNER, c.id == ID)


def _output() -> Select[Any]:
    page = select(items).where(_mine(items), items.c.direction == bind("direction")).subquery("page")
    return _with_blobs(page, page.c.position)


def _input_page(order: Literal["asc", "desc"]) -> Select[Any]:
    c = items.c
    named = (_mine(items), c.direction == bind("direction"), c.id == bind("after"))
    # One id may stand twice in an input; the cursor then means the occurrence that lies further on, so that paging
    # always moves.
    mark = select((func.max if order == "asc" else func.min)(c.position)).where(*named).scalar_subquery()
    beyond = c.position > mark if order == "asc" else c.position < mark
    rows = select(items).where(_mine(items), c.direction == bind("direction"), or_(bind("after").is_(None), beyond))
    rows = rows.order_by(c.position if order == "asc" else c.position.desc()).limit(bind("limit", Integer)).offset(ZERO)
    page = rows.subquery("page")
    return _with_blobs(page, page.c.position if order == "asc" else page.c.position.desc())


def _has_item() -> Select[Any]:
    named = (_mine(items), items.c.direction == bind("direction"), items.c.id == bind("after"))
    return select(ONE).where(*named).limit(ONE).offset(ZERO)


def _item() -> Select[Any]:
    """The item of this id in the newest response that holds it; else as it was put into a conversation."""
    owned = and_(responses.c.owner == OWNER, responses.c.id == items.c.response_id)
    found = (
        select(items)
        .select_from(items.outerjoin(responses, owned))
        .where(items.c.owner == OWNER, items.c.id == bind("item_id"))
        .order_by(
            func.coalesce(responses.c.created_at, ZERO).desc(), items.c.response_id.desc(), items.c.position.desc()
        )
        .limit(ONE)
        .offset(ZERO)
    )
    page = found.subquery("page")
    return _with_blobs(page, page.c.position)


def _chain() -> CTE:
    """The responses of a chain, newest first, with running totals; it stops at a tombstone and over a limit.

    ``upto`` is null for a whole response, the end of the step for one that a fork cut, -1 where that step is unknown.
    """
    r = responses.c
    whole = cast(null(), Integer).label("upto")
    root = select(
        r.id, r.previous_id, r.previous_step, r.deleted, ZERO.label("depth"), whole, r.item_count, r.item_bytes
    )
    chain = root.where(r.owner == OWNER, r.id == ID).cte("chain", recursive=True)
    parent, cut = responses.alias("parent"), steps.alias("cut")
    link = and_(parent.c.owner == OWNER, parent.c.id == chain.c.previous_id)
    at = and_(cut.c.owner == OWNER, cut.c.response_id == chain.c.previous_id, cut.c.n == chain.c.previous_step)
    uncut = chain.c.previous_step.is_(None)
    minus = literal_column("-1", Integer)
    count = case((uncut, parent.c.item_count), else_=func.coalesce(cut.c.item_to, ZERO))
    size = case((uncut, parent.c.item_bytes), else_=func.coalesce(cut.c.bytes_to, ZERO))
    step = select(
        parent.c.id,
        parent.c.previous_id,
        parent.c.previous_step,
        parent.c.deleted,
        chain.c.depth + ONE,
        case((uncut, cast(null(), Integer)), else_=func.coalesce(cut.c.item_to, minus)),
        chain.c.item_count + count,
        chain.c.item_bytes + size,
    )
    go_on = (
        chain.c.deleted == false(),
        chain.c.item_count <= bind("max_items", Integer),
        chain.c.item_bytes <= bind("max_bytes", BigInteger),
        # Responses without items count for nothing above; this ends even a chain of only those.
        chain.c.depth < bind("max_depth", Integer),
    )
    return chain.union_all(step.select_from(chain.join(parent, link).outerjoin(cut, at)).where(*go_on))


def _history() -> Select[Any]:
    """Each response of the chain beside its items: one statement, and no item is read from a chain over a limit.

    Rows come in no order: SQLite would copy every item's data into its sorter. ``rows.history`` sorts.
    """
    chain = _chain()
    ends = chain.alias("ends")
    fits = select(
        and_(
            func.max(ends.c.item_count) <= bind("max_items", Integer),
            func.max(ends.c.item_bytes) <= bind("max_bytes", BigInteger),
            func.max(ends.c.depth) < bind("max_depth", Integer),
        )
    ).scalar_subquery()
    i = items.c
    own = and_(
        i.owner == OWNER,
        i.response_id == chain.c.id,
        or_(chain.c.upto.is_(None), i.position < chain.c.upto),
        fits,
    )
    uses = and_(
        item_blobs.c.owner == OWNER,
        item_blobs.c.response_id == i.response_id,
        item_blobs.c.position == i.position,
    )
    kept = and_(blobs.c.owner == OWNER, blobs.c.sha256 == item_blobs.c.sha256)
    return select(
        chain.c.depth,
        chain.c.id,
        chain.c.previous_id,
        chain.c.deleted,
        chain.c.upto,
        chain.c.item_count,
        chain.c.item_bytes,
        i.id,
        i.direction,
        i.position,
        i.data,
        item_blobs.c.at,
        blobs.c.data,
        i.seen,
    ).select_from(chain.outerjoin(items, own).outerjoin(item_blobs, uses).outerjoin(blobs, kept))


def _segments() -> Select[Any]:
    c = journal.c
    return select(c.first_seq, c.last_seq, c.attempt, c.data).where(_my_journal()).order_by(c.first_seq, c.attempt)


def _steps() -> Select[Any]:
    c = steps.c
    row = (c.n, c.kind, c.first_seq, c.last_seq, c.item_from, c.item_to, c.request_parameters, c.exchange)
    return select(*row).where(_mine(steps)).order_by(c.n)


def _forget() -> dict[str, Any]:
    """The statements of a delete, in order. The first says whether there was anything to delete."""
    c = responses.c
    empty = bind("empty", LargeBinary)
    used = select(item_blobs.c.sha256).where(_mine(item_blobs))
    other = item_blobs.alias("other")
    elsewhere = exists().where(other.c.owner == OWNER, other.c.sha256 == blobs.c.sha256, other.c.response_id != ID)
    return {
        "bury": update(responses)
        .where(c.owner == OWNER, c.id == ID, c.deleted == false())
        .values(deleted=true(), item_count=ZERO, item_bytes=ZERO, request=empty, result=empty)
        .returning(c.id),
        "lock_blobs": select(blobs.c.sha256)
        .where(blobs.c.owner == OWNER, blobs.c.sha256.in_(used))
        .order_by(blobs.c.sha256)
        .with_for_update(),
        "delete_blobs": delete(blobs).where(blobs.c.owner == OWNER, blobs.c.sha256.in_(used), ~elsewhere),
        "delete_item_blobs": delete(item_blobs).where(_mine(item_blobs)),
        "delete_items": delete(items).where(_mine(items)),
        "delete_steps": delete(steps).where(_mine(steps)),
        "delete_journal": delete(journal).where(_my_journal()),
        "unbury": delete(responses).where(c.owner == OWNER, c.id == ID),
    }


def _expire() -> Any:
    """Drop the journals of up to ``limit`` old responses of all owners, with a seek per owner."""
    first = select(func.min(journal.c.owner).label("owner")).cte("owners", recursive=True)
    following = select(func.min(journal.c.owner)).where(journal.c.owner > first.c.owner).scalar_subquery()
    owners = first.union_all(select(following).where(first.c.owner.is_not(None)))
    response = (journal.c.owner, journal.c.created_at, journal.c.response_id)
    old = (
        select(*response)
        .select_from(owners.join(journal, journal.c.owner == owners.c.owner))
        .where(journal.c.created_at < bind("before", BigInteger))
        .distinct()
        .limit(bind("limit", Integer))
        .offset(ZERO)
    )
    return delete(journal).where(tuple_(*response).in_(old)).returning(journal.c.owner, journal.c.response_id)


def given(table: Table, null: frozenset[str] = frozenset()) -> list[Column[Any]]:
    """The columns of a new row that a commit gives, in the order of the table's."""
    return [c for c in table.columns if c.name not in _NEW and c.name not in null]


def rows(table: Table, null: frozenset[str] = frozenset()) -> Insert:
    """One row per execution, parameters in the order of the table's columns; those in ``null`` stay null."""
    new = {name: value for name, value in _NEW.items() if name in table.c}
    return insert(table).values({c.name: bind(c.name, type(c.type)) for c in given(table, null)} | new)


def unnested(prefix: str, kinds: Mapping[str, TypeEngine[Any]]) -> FromClause:
    """Rows from one array per column, each the parameter ``prefix_column``."""
    arrays = [bindparam(f"{prefix}_{name}", type_=ARRAY(kind), required=True) for name, kind in kinds.items()]
    return func.unnest(*arrays).table_valued(*kinds, name="given").render_derived()


def columns(table: Table) -> Insert:
    """All rows at once: one array per column, named ``table_column``, unnested."""
    arrays = unnested(table.name, {c.name: c.type for c in given(table)})
    new = {name: value for name, value in _NEW.items() if name in table.c}
    names = [c.name for c in given(table)]
    chosen = select(*(arrays.c[name] for name in names), *(value.label(name) for name, value in new.items()))
    names += new
    if table is not blobs:
        return insert(table).from_select(names, chosen)
    # Touching the row that is already there holds it against a delete that is about to find it unused. In order,
    # so that two commits cannot wait for each other.
    known = postgresql.insert(table).from_select(names, chosen.order_by(arrays.c.owner, arrays.c.sha256))
    return known.on_conflict_do_update(index_elements=["owner", "sha256"], set_={"sha256": known.excluded.sha256})


def commit() -> Any:
    """Every table of a whole group in one statement: one round trip, and a transaction by itself."""
    *others, last = WRITTEN
    whole = columns(last)
    for table in others:
        whole = whole.add_cte(columns(table).cte(f"new_{table.name}"))
    return whole


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    common = {
        "response": _response(),
        "output": _output(),
        "input_asc": _input_page("asc"),
        "input_desc": _input_page("desc"),
        "has_item": _has_item(),
        "item": _item(),
        "history": _history(),
        "segments": _segments(),
        "steps": _steps(),
        "expire": _expire(),
        **_forget(),
    }
    if dialect == "postgresql":
        return {**common, "commit": commit()}
    inserts = {table.name: rows(table) for table in WRITTEN if table is not blobs}
    inserts |= {form: rows(metadata.tables[table], null) for form, (table, null) in FORMS.items()}
    # What fails is undone by the transaction or by the savepoint around it: SQLite need not keep, for each statement
    # of many rows, the pages as they were.
    inserts = {f"insert_{form}": one.prefix_with("OR FAIL") for form, one in inserts.items()}
    known = sqlite.insert(blobs).values({c.name: bind(c.name, type(c.type)) for c in blobs.columns})
    return {**common, **inserts, "insert_blobs": known.on_conflict_do_nothing()}
