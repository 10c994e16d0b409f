"""The statements about jobs, in SQLAlchemy Core; ``compile`` turns them into text, nothing else runs them.

Two laws. A job is run by one at a time: a claim is one statement that finds a job ready and makes it not ready. And who
lost a job writes nothing: every result goes into a transaction that begins with ``hold_job``, and its statements
ask for the same token.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    and_,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import CTE, Select

from antiphon.storage.given import given_rows, given_values
from antiphon.storage.jobs.tables import jobs
from antiphon.storage.queries import ONE, OWNER, ZERO, Dialect, bind, database_now

_ID = bind("job_id")
_TOKEN = bind("token")
_MILLISECONDS = bind("milliseconds", BigInteger)
_THIS = and_(jobs.c.owner == OWNER, jobs.c.id == _ID)
_MINE = and_(_THIS, jobs.c.token == _TOKEN)


def held() -> ColumnElement[bool]:
    """Whether the job of this ``job_id`` is still that of this ``token``: the condition of everything it writes."""
    return exists().where(_MINE)


def added(dialect: Dialect) -> Any:
    """Insert the ``jobs`` given as [id, kind, payload, milliseconds to wait]; what is there already stays."""
    given = given_rows(dialect, "jobs", ("id", "kind", "payload", "wait"))
    chosen = select(
        OWNER,
        given.c.id,
        given.c.kind,
        given.c.payload,
        database_now(dialect) + cast(given.c.wait, BigInteger),
        ZERO,
        false(),
    ).where(true())
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    names = ["owner", "id", "kind", "payload", "ready_at", "attempts", "cancelled"]
    return insert(jobs).from_select(names, chosen).on_conflict_do_nothing()


def cancelled(dialect: Dialect, which: ColumnElement[bool]) -> Any:
    """Mark those jobs; one that waits becomes ready at once, one that runs is left to whom it belongs."""
    sooner = case((jobs.c.token.is_(None), database_now(dialect)), else_=jobs.c.ready_at)
    return update(jobs).where(jobs.c.owner == OWNER, which).values(cancelled=true(), ready_at=sooner)


def _owners() -> CTE:
    """Each owner that is owed work, with an index seek per owner."""
    first = select(func.min(jobs.c.owner).label("owner")).cte("owners", recursive=True)
    following = select(func.min(jobs.c.owner)).where(jobs.c.owner > first.c.owner).scalar_subquery()
    return first.union_all(select(following).where(first.c.owner.is_not(None)))


def _ready(dialect: Dialect, owners: CTE) -> tuple[ColumnElement[bool], ...]:
    kinds = given_values(dialect, "kinds")
    return (jobs.c.owner == owners.c.owner, jobs.c.ready_at <= database_now(dialect), jobs.c.kind.in_(kinds))


def _claim(dialect: Dialect) -> Any:
    """Up to ``limit`` jobs that are ready, of every owner in turn: the many jobs of one do not hold up another's."""
    owners = _owners()
    now = database_now(dialect)
    values = {"token": _TOKEN, "ready_at": now + _MILLISECONDS, "attempts": jobs.c.attempts + ONE}
    row = (jobs.c.owner, jobs.c.id, jobs.c.kind, jobs.c.payload, jobs.c.attempts, jobs.c.cancelled)
    limit = bind("limit", Integer)
    if dialect == "sqlite":
        first = (
            select(jobs.c.id)
            .where(*_ready(dialect, owners))
            .order_by(jobs.c.ready_at, jobs.c.id)
            .limit(ONE)
            .offset(ZERO)
            .correlate(owners)
            .scalar_subquery()
        )
        chosen: Any = select(owners.c.owner, first.label("id")).where(first.is_not(None)).limit(limit).offset(ZERO)
        found = chosen.subquery("found")
    else:
        nth = (
            select(jobs.c.owner, jobs.c.id)
            .where(*_ready(dialect, owners))
            .order_by(jobs.c.ready_at, jobs.c.id)
            .limit(ONE)
            .offset(ZERO)
            .with_for_update(skip_locked=True)
            .lateral("nth")
        )
        chosen = select(nth.c.owner, nth.c.id).select_from(owners.join(nth, true())).limit(limit).offset(ZERO)
        found = chosen.cte("found")
    return update(jobs).where(jobs.c.owner == found.c.owner, jobs.c.id == found.c.id).values(values).returning(*row)


def _renew(dialect: Dialect) -> Any:
    """The leases of all that one worker runs, [owner, id, token] each; those that it still has come back."""
    given = given_rows(dialect, "held", ("owner", "id", "token"))
    mine = and_(jobs.c.owner == given.c.owner, jobs.c.id == given.c.id, jobs.c.token == given.c.token)
    values = {"ready_at": database_now(dialect) + _MILLISECONDS}
    return update(jobs).where(mine).values(values).returning(jobs.c.owner, jobs.c.id, jobs.c.token, jobs.c.cancelled)


def _next(dialect: Dialect) -> Select[Any]:
    """Milliseconds until the next job is ready, none or fewer for one that is; null when nothing is owed."""
    owners = _owners()
    first = select(func.min(jobs.c.ready_at)).where(jobs.c.owner == owners.c.owner).correlate(owners).scalar_subquery()
    return select(func.min(first) - database_now(dialect)).select_from(owners)


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    now = database_now(dialect)
    free: dict[str, Any] = {"token": null()}
    return {
        "add_jobs": added(dialect),
        "claim_jobs": _claim(dialect),
        "renew_jobs": _renew(dialect),
        "next_job": _next(dialect),
        "hold_job": select(jobs.c.id).where(_MINE).with_for_update(),
        "finish_job": delete(jobs).where(_MINE).returning(jobs.c.id),
        "put_off_job": update(jobs).where(_MINE).values(**free, ready_at=now + _MILLISECONDS).returning(jobs.c.id),
        "give_job_back": update(jobs)
        .where(_MINE)
        .values(**free, ready_at=now, attempts=jobs.c.attempts - ONE)
        .returning(jobs.c.id),
        "cancel_job": cancelled(dialect, jobs.c.id == _ID).returning(jobs.c.id),
        "job": select(jobs.c.kind, jobs.c.payload, jobs.c.attempts, jobs.c.cancelled, jobs.c.token).where(_THIS),
    }
