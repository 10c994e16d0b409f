"""PostgreSQL: asyncpg, with every waiting response in one statement.

Imported only when the configuration names such a database. A group is one statement with one array per column, so it
is one round trip and a transaction by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from antiphon.errors import APIError, Conflict, InternalError, InvalidRequest, Unavailable
from antiphon.storage import rows
from antiphon.storage.group import GroupCommit
from antiphon.storage.migrate import READ_REVISION, upgrade_statements
from antiphon.storage.model import CannotOpen, claim_lost
from antiphon.storage.rows import FORMS, TURN, Packed, Row, merge
from antiphon.storage.statements import COLUMNS, POSTGRESQL, POSTGRESQL_DDL, REVISION

CONNECTIONS = 10
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0

#: How often a response whose group lost its connection is tried again before the store counts as gone.
ATTEMPTS = 3

#: Two servers that start together on an empty or an old database take turns by this number ("antiphon" in ASCII).
_START_LOCK = 0x616E746970686F6E

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
_Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

#: The server or the way to it is gone, full or busy: the same statement may succeed later.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


_RESPONSE = ("responses", "items", "item_blobs", "blobs", "steps")
#: What each commit takes, in the order of its parameters: an array for each column.
_FILLED = {
    "commit": (*_RESPONSE, "journal"),
    "commit_turns": (*_RESPONSE, "turns", "conversations", "conversation_items", "journal"),
}

#: The forms in which the rows of a table come.
_FORMS = {table: [table, *(form for form, (of, _) in FORMS.items() if of == table)] for table in COLUMNS}

#: A value that no retry will make fit: too big a number, a NUL in a text. The client's own says so before it is sent.
_WRONG = (asyncpg.DataError, asyncpg.exceptions._base.DataError, OverflowError, UnicodeEncodeError)


class PostgresDatabase:
    """A pool, and the task that commits in groups."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._group: GroupCommit[Packed, None] = GroupCommit(self._write_group)

    async def fetch(self, name: str, **values: Any) -> Sequence[Row]:
        """The rows of a reading statement."""
        statement = POSTGRESQL[name]
        async with self._connection() as connection:
            return cast("Sequence[Row]", await connection.fetch(statement.sql, *statement.arguments(values)))

    def commit(self, packed: Packed) -> Awaitable[object]:
        """Write one response in the next group."""
        return self._group.submit(packed)

    async def write(self, names: Sequence[str], *, answer: int = 0, **values: Any) -> Sequence[Row]:
        """Run these statements in a transaction of their own; the rows of number ``answer``."""
        async with self._connection() as connection, connection.transaction():
            results: list[Any] = []
            for name in names:
                statement = POSTGRESQL[name]
                results.append(await connection.fetch(statement.sql, *statement.arguments(values)))
            return cast("Sequence[Row]", results[answer])

    async def close(self) -> None:
        """Finish what was accepted, then let go."""
        await self._group.close()
        await self._pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """A connection of the pool; what goes wrong on it leaves as a typed error."""
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                try:
                    yield connection
                except _PASSING as error:
                    if not isinstance(error, _WRONG):
                        _discard(connection)
                    raise
        except (*_PASSING, *_WRONG, asyncpg.PostgresError) as error:
            raise refusal(error) from error

    async def _write_group(self, group: Sequence[Packed]) -> Sequence[BaseException | None]:
        """All in one statement; when that fails, each by itself, so that only the guilty fail."""
        try:
            await self._insert(merge(group))
        except APIError as error:
            # A connection that broke may have done its work before, so those are tried again even alone.
            uncertain = isinstance(error, Unavailable)
            if len(group) == 1 and not uncertain:
                return [error]
            return await self._write_each(group, uncertain=uncertain)
        return [None] * len(group)

    async def _write_each(self, group: Sequence[Packed], *, uncertain: bool) -> Sequence[BaseException | None]:
        outcomes: list[BaseException | None] = []
        for packed in group:
            outcome = await self._write_alone(packed, uncertain=uncertain)
            outcomes.append(outcome)
            if isinstance(outcome, Unavailable):
                # There is no server; asking it again for each of the others would keep them all waiting.
                return [*outcomes, *([outcome] * (len(group) - len(outcomes)))]
        return outcomes

    async def _write_alone(self, packed: Packed, *, uncertain: bool) -> APIError | None:
        """What became of it; ``uncertain`` when an attempt before may have written it."""
        gone: APIError | None = None
        for _ in range(ATTEMPTS):
            try:
                await self._insert_once(packed, uncertain=uncertain)
            except Unavailable as error:
                gone, uncertain = error, True
            except APIError as error:
                return error
            else:
                return None
        return gone

    async def _insert_once(self, packed: Packed, *, uncertain: bool) -> None:
        try:
            await self._insert(packed)
        except Conflict:
            if not (uncertain and await self._is_there(packed)):
                raise

    async def _is_there(self, packed: Packed) -> bool:
        """Whether an attempt that nobody heard the end of has written this."""
        if (response := rows.response_in(packed)) is not None:
            _, (owner, response_id, *_) = response
            found = await self.fetch("response", owner=owner, response_id=response_id)
            return bool(found) and rows.is_of(packed, rows.response(found[0]))
        if "conversations" in packed.rows:
            owner, conversation_id, *_ = packed.rows["conversations"]
            return bool(await self.fetch("conversation", owner=owner, conversation_id=conversation_id))
        owner, conversation_id, position, item_id, *_ = packed.rows["conversation_items"]
        found = await self.fetch("conversation_item", owner=owner, conversation_id=conversation_id, item_id=item_id)
        return bool(found) and rows.items(found)[0].position == position

    async def _insert(self, packed: Packed) -> None:
        name = "commit_turns" if packed.in_conversations else "commit"
        columns = [column for table in _FILLED[name] for column in _columns(packed, table)]
        async with self._connection() as connection:
            await connection.execute(POSTGRESQL[name].sql, *columns)


def _columns(packed: Packed, table: str) -> Sequence[Sequence[Any]]:
    """An array for each column that a commit gives."""
    if table == "turns":
        return list(zip(*packed.turns, strict=True)) or [()] * len(TURN)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS[table]}
    for form in _FORMS[table]:
        values, given = packed.rows.get(form, []), COLUMNS[form]
        empty = [None] * (len(values) // len(given))
        for name, column in columns.items():
            column.extend(values[given.index(name) :: len(given)] if name in given else empty)
    return list(columns.values())


def refusal(error: BaseException) -> APIError:
    """The typed error for what the database or the way to it said. The words of the database stay in its cause."""
    if isinstance(error, asyncpg.NotNullViolationError) and error.table_name == "conversation_items":
        return claim_lost()
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return Conflict("A response of this id is stored already.")
    if isinstance(error, _WRONG):
        return InvalidRequest("The store cannot hold a value of this response.")
    if isinstance(error, _PASSING):
        return Unavailable("The store does not answer.")
    return InternalError("The store failed.")


def _discard(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    """It may be dead without knowing it yet, and the next one must not get it."""
    try:
        connection.terminate()
    except asyncpg.InterfaceError:
        # It did know, and the pool has taken it back already.
        pass


async def _leave(_connection: object) -> None:
    """What the pool does between two uses: nothing, because nothing is ever left behind on a connection."""


async def _bring_up_to_date(connection: _Connection) -> None:
    if await _revision(connection) == REVISION:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _START_LOCK)
        # Another server may have been faster.
        current = await _revision(connection)
        if current == REVISION:
            return
        for sql in POSTGRESQL_DDL if current is None else upgrade_statements("postgresql", current):
            await connection.execute(sql)


async def _revision(connection: _Connection) -> str | None:
    try:
        # Of its own, because a missing table would spoil a transaction around it.
        async with connection.transaction():
            found: str | None = await connection.fetchval(READ_REVISION)
    except asyncpg.UndefinedTableError:
        return None
    return found


async def open_postgres(url: str) -> PostgresDatabase:
    """The database at ``url``; an empty one gets its tables. Raises ``CannotOpen``."""
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            reset=_leave,
            server_settings={"application_name": "antiphon"},
        )
    except ValueError as error:
        # What it complains about may be a piece of the password, where that was written without escapes.
        raise CannotOpen("the URL of the PostgreSQL database cannot be read") from error
    except (*_PASSING, asyncpg.PostgresError) as error:
        raise CannotOpen(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error
    try:
        async with pool.acquire() as connection:
            await _bring_up_to_date(connection)
    except (*_PASSING, asyncpg.PostgresError) as error:
        pool.terminate()
        raise CannotOpen(f"the PostgreSQL database cannot be used: {error}") from error
    except BaseException:
        pool.terminate()
        raise
    return PostgresDatabase(pool)
