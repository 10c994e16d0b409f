"""SQLite: one thread that writes in groups, a few that read, no other process or service.

WAL with ``synchronous=FULL``: what was acknowledged survives a power cut. Several server processes may share the
file; they take turns with ``BEGIN IMMEDIATE``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from antiphon.errors import APIError, Conflict, InternalError, InvalidRequest, Unavailable
from antiphon.storage.group import GroupCommit
from antiphon.storage.migrate import READ_REVISION, upgrade_statements
from antiphon.storage.model import CannotOpen, claim_lost
from antiphon.storage.rows import TURN, Packed, Row, Values, merge
from antiphon.storage.statements import COLUMNS, REVISION, SQLITE, SQLITE_DDL
from antiphon.storage.threads import Threads

#: RETURNING came with 3.35.
OLDEST = (3, 35, 0)

#: Seconds to wait for another process that is writing.
BUSY_SECONDS = 10.0

READERS = 3

#: Pages of the log before they are moved into the file. A page that many commits change moves once for all of them.
_LOG_PAGES = 8_000

#: After a burst the log is cut back to this.
_LOG_BYTES = 64 * 1024 * 1024

_SETTINGS = (
    "PRAGMA synchronous=FULL",
    # A deleted response is gone from the file, not only from the index.
    "PRAGMA secure_delete=ON",
    f"PRAGMA journal_size_limit={_LOG_BYTES}",
    f"PRAGMA wal_autocheckpoint={_LOG_PAGES}",
)

_END_TURN = SQLITE["end_turn"]

#: The most rows of one statement.
_ROWS_AT_ONCE = 32

#: Statements that a connection keeps prepared: an insert of each number of rows of each form, 5 KB on average, and the
#: others.
_PREPARED = len(COLUMNS) * _ROWS_AT_ONCE + 256

_VALUES = re.compile(r"VALUES (\([?, 0]+\))")

# For a value of these types the driver first looks for an adapter, which takes longer than handing the value on, and
# longest where there is none: so they get one, which changes nothing.
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), {None: None}.get)

#: A job of the writer thread: it works inside a transaction that is already open.
Job = Packed | Callable[[sqlite3.Connection], Sequence[Row]]
Outcome = Sequence[Row] | None | BaseException


class SqliteDatabase:
    """The connections to one file and the threads that use them."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, writer: sqlite3.Connection, thread: Threads) -> None:
        """``thread`` is one thread, and the only one to use ``writer``."""
        self._writer = writer
        self._thread = thread
        self._readers = _Readers(path)
        self._reading = Threads(READERS, "sqlite-read")
        self._group: GroupCommit[Job, Sequence[Row] | None] = GroupCommit(self._write_group)

    async def fetch(self, name: str, **values: Any) -> Sequence[Row]:
        """The rows of a reading statement, from one of the reader threads."""
        statement = SQLITE[name]
        return await self._reading.call(self._readers.fetch, statement.sql, statement.arguments(values))

    def commit(self, packed: Packed) -> Awaitable[object]:
        """Write one response in the next group."""
        return self._group.submit(packed)

    async def write(self, names: Sequence[str], *, answer: int = 0, **values: Any) -> Sequence[Row]:
        """Run these statements inside the next group's transaction; the rows of number ``answer``."""
        calls = [(SQLITE[name].sql, SQLITE[name].arguments(values)) for name in names]

        def run(connection: sqlite3.Connection) -> Sequence[Row]:
            results = [connection.execute(sql, arguments).fetchall() for sql, arguments in calls]
            return results[answer]

        return await self._group.submit(run) or ()

    async def close(self) -> None:
        """Finish what was accepted, then close every connection (the last one empties the log into the file)."""
        await self._group.close()
        await self._reading.close()
        self._readers.close()
        await self._thread.call(self._writer.close)
        await self._thread.close()

    async def _write_group(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        return await self._thread.call(write_group, self._writer, jobs)


class _Readers:
    """For each thread a connection of its own that cannot write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def fetch(self, sql: str, arguments: Sequence[Any]) -> list[Row]:
        try:
            return self._connection().execute(sql, arguments).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise refusal(error) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    def close(self) -> None:
        for connection in self._opened:
            connection.close()


def refusal(error: Exception) -> Exception:
    """The typed error for what the database said, with its words in the cause; what is not the database's as it is."""
    typed: APIError
    match error:
        case sqlite3.IntegrityError():
            typed = Conflict("A response of this id is stored already.")
        case sqlite3.OperationalError():
            typed = Unavailable("The store does not answer.")
        case sqlite3.ProgrammingError() | sqlite3.DataError() | OverflowError() | UnicodeEncodeError():
            typed = InvalidRequest("The store cannot hold a value of this response.")
        case sqlite3.Error():
            typed = InternalError("The store failed.")
        case _:
            return error
    typed.__cause__ = error
    return typed


def write_group(connection: sqlite3.Connection, jobs: Sequence[Job]) -> Sequence[Outcome]:
    """One transaction for all; when that fails, one with a savepoint for each, so that only the guilty fail."""
    try:
        with _transaction(connection):
            return _apply(connection, jobs)
    except sqlite3.OperationalError as error:
        return [refusal(error)] * len(jobs)
    except Exception as error:  # noqa: BLE001 - becomes the outcome of the job that caused it
        if len(jobs) == 1:
            return [refusal(error)]
    try:
        with _transaction(connection):
            return [_apply_alone(connection, job) for job in jobs]
    except sqlite3.Error as error:
        return [refusal(error)] * len(jobs)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        # A full disk has already rolled back by itself.
        if connection.in_transaction:
            connection.rollback()
        raise


def _apply(connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Outcome]:
    """Responses first, table by table, then the rest; nobody has been answered, so nothing depends on another."""
    packed = [job for job in jobs if isinstance(job, Packed)]
    if packed:
        whole = merge(packed)
        for turn in whole.turns:
            _end_turn(connection, turn)
        for form, values in whole.rows.items():
            _insert(connection, form, values)
    return [None if isinstance(job, Packed) else job(connection) for job in jobs]


def _end_turn(connection: sqlite3.Connection, turn: Values) -> None:
    arguments = _END_TURN.arguments(dict(zip(TURN, turn, strict=True)))
    if connection.execute(_END_TURN.sql, arguments).rowcount != 1:
        raise claim_lost()


def _insert(connection: sqlite3.Connection, form: str, values: list[Any]) -> None:
    """All rows of a form, many to a statement.

    A statement lets go of the interpreter while it runs and must win it back from the event loop afterwards: with one
    for each row that costs more than the writing.
    """
    width = len(COLUMNS[form])
    for at in range(0, len(values), width * _ROWS_AT_ONCE):
        some = values[at : at + width * _ROWS_AT_ONCE]
        connection.execute(_of_rows(form, len(some) // width), some)


@functools.cache
def _of_rows(form: str, count: int) -> str:
    """The insert of one row made an insert of ``count`` rows."""
    head, row, tail = _VALUES.split(SQLITE[f"insert_{form}"].sql)
    return f"{head}VALUES {', '.join([row] * count)}{tail}"


def _apply_alone(connection: sqlite3.Connection, job: Job) -> Outcome:
    connection.execute("SAVEPOINT job")
    try:
        (outcome,) = _apply(connection, [job])
    except Exception as error:
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO job")
        outcome = refusal(error)
    connection.execute("RELEASE job")
    return outcome


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings. Transactions are ours (no implicit BEGIN)."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=_PREPARED
    )
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def _opened(path: Path) -> sqlite3.Connection:
    """The writer's connection to a file of today's schema, made or migrated when it is not. Raises ``CannotOpen``."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise CannotOpen(f"SQLite {sqlite3.sqlite_version} is too old: this needs 3.35 or newer")
    try:
        # The log beside it takes the mode of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise CannotOpen(f"{path} cannot be opened: {error}") from error
    try:
        _bring_up_to_date(connection)
    except sqlite3.Error as error:
        connection.close()
        raise CannotOpen(f"{path} cannot be used: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    if _revision(connection) == REVISION:
        _use_log(connection)
        return
    _use_log(connection)
    with _transaction(connection):
        # Another process may have been faster.
        current = _revision(connection)
        if current == REVISION:
            return
        for sql in SQLITE_DDL if current is None else upgrade_statements("sqlite", current):
            connection.execute(sql)


def _revision(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute(READ_REVISION).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if row is None else str(row[0])


def _use_log(connection: sqlite3.Connection) -> None:
    """WAL mode, kept in the file. Changing it does not honour the busy timeout, so two starting at once try again."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


async def open_sqlite(path: Path) -> SqliteDatabase:
    """The file at ``path``, made when there is none. Raises ``CannotOpen``."""
    thread = Threads(1, "sqlite-write")
    try:
        writer = await thread.call(_opened, path)
    except BaseException:
        await thread.close()
        raise
    return SqliteDatabase(path, writer, thread)
