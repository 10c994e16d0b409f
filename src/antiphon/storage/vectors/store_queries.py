"""The statements about vector stores, their files and batches; ``compile`` turns them into text.

A file's row is written by the job that it names and by requests, and each change counts its ``version``. Whoever reads,
works and writes says which version it has read; where that is gone it has to look again.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    Text,
    and_,
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
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.sql.selectable import Select

from antiphon.storage.given import given_rows, given_values
from antiphon.storage.jobs.queries import cancelled, held
from antiphon.storage.jobs.tables import jobs
from antiphon.storage.queries import ONE, OWNER, ZERO, Dialect, bind, rows
from antiphon.storage.vectors.tables import file_batch_files, file_batches, vector_store_files, vector_stores

_STORE = bind("store_id")
_FILE = bind("file_id")
_BATCH = bind("batch_id")
_JOB = bind("job_id")
_NOW = bind("now", BigInteger)
_VERSION = bind("version", Integer)
_LIMIT = bind("limit", Integer)

_s, _f, _b, _m = vector_stores.c, vector_store_files.c, file_batches.c, file_batch_files.c

_STORE_ROW = tuple(_s)
_FILE_ROW = tuple(_f)

_THIS_STORE = and_(_s.owner == OWNER, _s.id == _STORE)
_THIS_FILE = and_(_f.owner == OWNER, _f.store_id == _STORE, _f.file_id == _FILE)
_THIS_BATCH = and_(_b.owner == OWNER, _b.store_id == _STORE, _b.id == _BATCH)
_OF_STORE = and_(_f.owner == OWNER, _f.store_id == _STORE)
_OF_BATCH = and_(_m.owner == OWNER, _m.store_id == _STORE, _m.batch_id == _BATCH)


def _word(text: str) -> ColumnElement[Any]:
    return literal_column(f"'{text}'", Text)


_IN_PROGRESS = _f.status == _word("in_progress")
_CHANGED = {"version": _f.version + ONE}
#: What it had in the index is to be removed, and nothing new is there.
_EMPTIED: dict[str, Any] = {**_CHANGED, "replaced": _f.document, "document": null(), "usage_bytes": ZERO}


# -- lists


def _beyond(
    order: Literal["asc", "desc"], table: FromClause, at: Column[Any], key: Column[Any], mark: Any
) -> tuple[ColumnElement[bool], ...]:
    """What lies between two cursors, either of which may be null."""
    place = tuple_(at, key)

    def cursor(name: str) -> Any:
        other = table.alias(name)
        found = mark(other, bind(name))
        return select(other.c[at.name], other.c[key.name]).where(found).scalar_subquery()

    after, before = cursor("after"), cursor("before")
    later, earlier = (place > after, place < before) if order == "asc" else (place < after, place > before)
    return (or_(bind("after").is_(None), later), or_(bind("before").is_(None), earlier))


def _stores(order: Literal["asc", "desc"]) -> Select[Any]:
    def named(table: FromClause, cursor: ColumnElement[Any]) -> ColumnElement[bool]:
        return and_(table.c.owner == OWNER, table.c.id == cursor)

    by = (_s.created_at, _s.id) if order == "asc" else (_s.created_at.desc(), _s.id.desc())
    between = _beyond(order, vector_stores, _s.created_at, _s.id, named)
    return select(*_STORE_ROW).where(_s.owner == OWNER, *between).order_by(*by).limit(_LIMIT).offset(ZERO)


def _files(order: Literal["asc", "desc"], *, of_batch: bool) -> Select[Any]:
    def named(table: FromClause, cursor: ColumnElement[Any]) -> ColumnElement[bool]:
        return and_(table.c.owner == OWNER, table.c.store_id == _STORE, table.c.file_id == cursor)

    by = (_f.created_at, _f.file_id) if order == "asc" else (_f.created_at.desc(), _f.file_id.desc())
    between = _beyond(order, vector_store_files, _f.created_at, _f.file_id, named)
    status = or_(bind("status").is_(None), _f.status == bind("status"))
    chosen = select(*_FILE_ROW).where(_OF_STORE, status, *between)
    if of_batch:
        chosen = chosen.where(_f.file_id.in_(select(_m.file_id).where(_OF_BATCH)))
    return chosen.order_by(*by).limit(_LIMIT).offset(ZERO)


def _counts(dialect: Dialect) -> dict[str, Any]:
    many = func.count()
    # The sum of PostgreSQL is a decimal; of these values it always fits a whole number.
    size = cast(func.coalesce(func.sum(_f.usage_bytes), ZERO), BigInteger)
    of_these = (_f.owner == OWNER, _f.store_id.in_(given_values(dialect, "store_ids")))
    listed = and_(_m.owner == _f.owner, _m.store_id == _f.store_id, _m.file_id == _f.file_id)
    batch = select(_f.status, many).select_from(file_batch_files.join(vector_store_files, listed)).where(_OF_BATCH)
    return {
        "vector_store_counts": select(_f.store_id, _f.status, many, size)
        .where(*of_these)
        .group_by(_f.store_id, _f.status),
        "file_batch_counts": batch.group_by(_f.status),
    }


# -- stores


def _change_store() -> Any:
    """Each of the three where its flag is set."""

    def changed(name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
        return case((bind(f"set_{name}", Boolean), value), else_=_s[name])

    values = {
        "name": changed("name", bind("name")),
        "metadata": changed("metadata", bind("metadata")),
        "expires_days": changed("expires_days", bind("expires_days", Integer)),
    }
    return update(vector_stores).where(_THIS_STORE).values(values).returning(*_STORE_ROW)


def _due() -> Select[Any]:
    """Stores of all owners whose time is over, and that still hold something."""
    over = _s.last_active_at + _s.expires_days * literal_column("86400", BigInteger) <= _NOW
    chosen = select(_s.owner, _s.id).where(_s.expired == false(), _s.expires_days.is_not(None), over)
    return chosen.limit(_LIMIT).offset(ZERO)


# -- files


def _attach(dialect: Dialect) -> Any:
    """The ``files`` given as [file, name, attributes, chunking, job]; those that are there are read anew."""
    given = given_rows(dialect, "files", ("file_id", "filename", "attributes", "chunking", "job_id"))
    names = [c.name for c in vector_store_files.columns]
    fixed: dict[str, Any] = {
        "owner": OWNER,
        "store_id": _STORE,
        "created_at": _NOW,
        "status": _word("in_progress"),
        "usage_bytes": ZERO,
        "version": ZERO,
    }
    chosen = select(*(fixed[n] if n in fixed else given.c[n] if n in given.c else null().label(n) for n in names))
    chosen = chosen.select_from(given).where(exists().where(_THIS_STORE)).order_by(given.c.file_id)
    new = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(vector_store_files).from_select(names, chosen)
    again: dict[str, Any] = {n: new.excluded[n] for n in ("status", "attributes", "chunking", "job_id")}
    again |= {"error_code": null(), "error_message": null(), "version": _f.version + ONE}
    return new.on_conflict_do_update(index_elements=["owner", "store_id", "file_id"], set_=again)


def _name_in_batch(dialect: Dialect) -> Any:
    given = given_rows(dialect, "named", ("file_id",))
    names = ["owner", "store_id", "batch_id", "file_id"]
    chosen = select(OWNER, _STORE, _BATCH, given.c.file_id).where(exists().where(_THIS_STORE))
    return insert(file_batch_files).from_select(names, chosen)


def _new_batch() -> Any:
    names = ["owner", "store_id", "id", "created_at", "cancelled"]
    chosen = select(OWNER, _STORE, _BATCH, _NOW, false()).where(exists().where(_THIS_STORE))
    return insert(file_batches).from_select(names, chosen).returning(_b.id)


def _work() -> dict[str, Any]:
    """What a job writes, while it holds itself and its file, and the file is as the job has read it."""
    mine = and_(_THIS_FILE, _f.job_id == _JOB, _IN_PROGRESS, held())
    done = {"status": _word("completed"), "document": _JOB, "replaced": _f.document, "error_code": null()}
    size = {"usage_bytes": bind("usage_bytes", BigInteger), "error_message": null()}
    failed = {"status": _word("failed"), "error_code": bind("error_code"), "error_message": bind("error_message")}
    return {
        "complete_file": update(vector_store_files)
        .where(mine, _f.version == _VERSION)
        .values({**_CHANGED, **done, **size})
        .returning(*_FILE_ROW),
        "fail_file": update(vector_store_files).where(mine).values({**_EMPTIED, **failed}).returning(*_FILE_ROW),
    }


def _gone(dialect: Dialect) -> dict[str, Any]:
    working = select(_f.job_id).where(_OF_STORE, _IN_PROGRESS)
    named = select(_m.file_id).where(_OF_BATCH)
    stopped = {**_EMPTIED, "status": _word("cancelled")}
    return {
        "delete_vector_store": delete(vector_stores).where(_THIS_STORE).returning(_s.id),
        "delete_vector_store_files": delete(vector_store_files).where(_OF_STORE),
        "delete_file_batches": delete(file_batches).where(_b.owner == OWNER, _b.store_id == _STORE),
        "delete_file_batch_files": delete(file_batch_files).where(_m.owner == OWNER, _m.store_id == _STORE),
        "delete_file_of_store": delete(vector_store_files)
        .where(_THIS_FILE, _f.version == _VERSION)
        .returning(_f.file_id),
        "forget_in_batches": delete(file_batch_files).where(
            _m.owner == OWNER, _m.store_id == _STORE, _m.file_id == _FILE, ~exists().where(_THIS_FILE)
        ),
        "cancel_jobs_of_store": cancelled(dialect, jobs.c.id.in_(working)),
        "cancel_jobs_of_batch": cancelled(dialect, jobs.c.id.in_(working.where(_f.file_id.in_(named)))),
        "cancel_file_batch": update(file_batches).where(_THIS_BATCH).values(cancelled=true()).returning(_b.id),
        "cancel_files_of_batch": update(vector_store_files)
        .where(_OF_STORE, _IN_PROGRESS, _f.file_id.in_(named))
        .values(stopped),
        "cancel_files_of_store": update(vector_store_files).where(_OF_STORE, _IN_PROGRESS).values(stopped),
        "expire_vector_store": update(vector_stores).where(_THIS_STORE).values(expired=true()).returning(_s.id),
        "empty_files_of_store": update(vector_store_files).where(_OF_STORE).values(_EMPTIED),
    }


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    found = {
        "add_vector_store": rows(vector_stores),
        "vector_store": select(*_STORE_ROW).where(_THIS_STORE),
        "lock_vector_store": select(_s.id).where(_THIS_STORE).with_for_update(),
        "change_vector_store": _change_store(),
        "touch_vector_store": update(vector_stores)
        .where(_THIS_STORE, _s.expired == false(), _s.last_active_at < _NOW)
        .values(last_active_at=_NOW),
        "due_vector_stores": _due(),
        "fix_dimensions": update(vector_stores)
        .where(_THIS_STORE)
        .values(dimensions=func.coalesce(_s.dimensions, bind("dimensions", Integer)))
        .returning(*_STORE_ROW),
        "attach_files": _attach(dialect),
        "add_file_batch": _new_batch(),
        "name_in_batch": _name_in_batch(dialect),
        "file_of_store": select(*_FILE_ROW).where(_THIS_FILE),
        "some_files_of_store": select(*_FILE_ROW).where(_OF_STORE, _f.file_id.in_(given_values(dialect, "file_ids"))),
        "stores_of_file": select(_f.store_id).where(_f.owner == OWNER, _f.file_id == _FILE),
        "change_attributes": update(vector_store_files)
        .where(_THIS_FILE)
        .values({**_CHANGED, "attributes": bind("attributes")})
        .returning(*_FILE_ROW),
        "file_batch": select(_b.id, _b.store_id, _b.created_at, _b.cancelled).where(_THIS_BATCH),
        **_counts(dialect),
        **_work(),
        **_gone(dialect),
    }
    for order in ("asc", "desc"):
        found[f"vector_stores_{order}"] = _stores(order)
        found[f"files_of_store_{order}"] = _files(order, of_batch=False)
        found[f"files_of_batch_{order}"] = _files(order, of_batch=True)
    return found
