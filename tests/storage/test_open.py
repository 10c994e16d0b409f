"""Opening: fresh, again, old, newer, unusable; and the schema being the same whichever way it was made."""

from __future__ import annotations

import ast
import asyncio
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon.config import StorageConfig
from antiphon.storage import CannotOpen, Store, compile, migrate, open_store, postgres, sqlite, statements  # noqa: A004
from antiphon.storage.model import Segment, Step
from antiphon.storage.queries import WRITTEN, given
from antiphon.storage.rows import FORMS, TURN
from antiphon.storage.schema import metadata
from tests.databases import FreshDatabase, Kind, query
from tests.storage.values import finished

pytestmark = pytest.mark.anyio


def test_the_compiled_statements_are_fresh() -> None:
    """The committed SQL is what today's schema and queries compile to."""
    assert compile.render() == compile.TARGET.read_text(), "run: python -m antiphon.storage.compile"


def test_rows_have_the_order_of_the_statements() -> None:
    """Both databases take the columns of a commit in the order of the tables."""
    names = [f"{table.name}_{column.name}" for table in WRITTEN for column in given(table)]
    assert tuple(names) == statements.POSTGRESQL["commit"].parameters
    for table in WRITTEN:
        columns = tuple(column.name for column in given(table))
        assert columns == statements.COLUMNS[table.name]


def test_a_form_leaves_out_only_what_may_be_null() -> None:
    """A form of rows has the columns of its table in their order, without some that may be null."""
    for form, (table, null) in FORMS.items():
        assert statements.COLUMNS[form] == tuple(name for name in statements.COLUMNS[table] if name not in null)
        assert all(metadata.tables[table].c[name].nullable for name in null)


def test_owner_is_first_everywhere() -> None:
    """No table without an owner that cannot be null, no key or index that does not begin with it."""
    for table in metadata.sorted_tables:
        assert not table.c.owner.nullable
        for columns in (table.primary_key.columns, *(index.columns for index in table.indexes)):
            assert next(iter(columns)).name == "owner"


_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
"""


async def _schema(url: str, kind: Kind) -> list[object]:
    if kind == "sqlite":
        rows = await query(url, "SELECT name, sql FROM sqlite_master ORDER BY name")
        return [(name, sql and re.sub(r"\s+", " ", sql).strip()) for name, sql in rows]
    return [await query(url, sql) for sql in (_COLUMNS, _INDEXES, _CONSTRAINTS)]


async def test_the_packaged_schema_is_that_of_the_migrations(kind: Kind, fresh_database: FreshDatabase) -> None:
    """A database made from the packaged DDL and one made by all migrations are the same, revision included."""
    packaged, migrated = fresh_database(kind), fresh_database(kind)
    await (await open_store(StorageConfig(database_url=packaged))).close()
    for sql in migrate.upgrade_statements(kind, None):
        await query(migrated, sql)
    assert await _schema(packaged, kind) == await _schema(migrated, kind)
    assert await query(packaged, migrate.READ_REVISION) == await query(migrated, migrate.READ_REVISION)


async def test_the_metadata_is_what_a_database_has(kind: Kind, url: str) -> None:
    """The columns of the real database are those of the tables in ``schema``."""
    await (await open_store(StorageConfig(database_url=url))).close()
    for table in metadata.sorted_tables:
        rows = await query(url, f"SELECT * FROM {table.name}")
        assert rows == []
        names = ", ".join(column.name for column in table.columns)
        assert await query(url, f"SELECT {names} FROM {table.name}") == []


async def test_a_second_start_finds_what_the_first_left(url: str) -> None:
    """Closing and opening again loses nothing."""
    first = await open_store(StorageConfig(database_url=url))
    given = finished()
    await first.commit(given)
    await first.close()
    second = await open_store(StorageConfig(database_url=url))
    assert given.response == await second.response("default", given.response.id)
    await second.close()


async def test_servers_that_start_together(url: str) -> None:
    """Eight stores opened at once on an empty database all come up, and the schema is made once."""
    config = StorageConfig(database_url=url)
    stores: list[Store] = await asyncio.gather(*(open_store(config) for _ in range(8)))
    given = [finished() for _ in stores]
    await asyncio.gather(*(store.commit(f) for store, f in zip(stores, given, strict=True)))
    assert await query(url, migrate.READ_REVISION) == [(statements.REVISION,)]
    assert given[0].response == await stores[-1].response("default", given[0].response.id)
    for store in stores:
        await store.close()


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this were a program one migration ahead."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    (folder / "versions" / "r9999_next.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision = '9999'\ndown_revision = {statements.REVISION!r}\n"
        "def upgrade():\n"
        "    op.add_column('steps', sa.Column('note', sa.Text))\n"
        "    op.execute(\"UPDATE steps SET note = 'a;\\nb' WHERE n = 0\")\n"
    )
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    monkeypatch.setattr(sqlite, "REVISION", "9999")
    monkeypatch.setattr(postgres, "REVISION", "9999")


async def _written_by_this_version(url: str) -> None:
    store = await open_store(StorageConfig(database_url=url))
    await store.commit(finished())
    await store.close()


async def test_an_old_database_is_migrated(url: str, request: pytest.FixtureRequest) -> None:
    """A database of an earlier revision is upgraded at the start, once, with its rows."""
    await _written_by_this_version(url)
    request.getfixturevalue("next_version")
    stores = await asyncio.gather(*(open_store(StorageConfig(database_url=url)) for _ in range(3)))
    for store in stores:
        await store.close()
    assert await query(url, "SELECT note FROM steps") == [("a;\nb",)]
    assert await query(url, migrate.READ_REVISION) == [("9999",)]


async def test_a_failed_migration_changes_nothing(url: str, request: pytest.FixtureRequest, kind: Kind) -> None:
    """When a migration cannot be finished the database stays as it was, and the start says so."""
    await _written_by_this_version(url)
    before = await _schema(url, kind)
    request.getfixturevalue("next_version")
    broken = migrate.MIGRATIONS / "versions" / "r9999_next.py"
    broken.write_text(broken.read_text() + "    op.execute('UPDATE nowhere SET x = 1')\n")
    with pytest.raises(CannotOpen, match="cannot be used"):
        await open_store(StorageConfig(database_url=url))
    assert await _schema(url, kind) == before
    assert await query(url, migrate.READ_REVISION) == [(statements.REVISION,)]


async def test_a_newer_database_is_refused(url: str) -> None:
    """A revision that this version does not know is a clear error, and nothing is touched."""
    await _written_by_this_version(url)
    await query(url, "UPDATE antiphon_revision SET version_num = 'from_the_future'")
    with pytest.raises(CannotOpen, match=r"from_the_future.*newer than this program"):
        await open_store(StorageConfig(database_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x/y",
        "sqlite://",
        "sqlite:///",
        "antiphon.db",
        "sqlite:////proc/none/x.db",
        "postgresql://127.0.0.1:1/x",
    ],
)
async def test_a_database_that_cannot_be_opened(url: str) -> None:
    """A wrong or unreachable URL is an error for a person, without a traceback of a driver."""
    with pytest.raises(CannotOpen):
        await open_store(StorageConfig(database_url=url))


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is refused and left alone."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to have a header of its own" * 10)
    before = path.read_bytes()
    with pytest.raises(CannotOpen):
        await open_store(StorageConfig(database_url=f"sqlite:///{path}"))
    assert path.read_bytes() == before


async def test_somebody_elses_database(tmp_path: Path) -> None:
    """A database with tables of the same names and no revision of ours is refused, not mixed up."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE items (x)")
    connection.close()
    with pytest.raises(CannotOpen, match="items"):
        await open_store(StorageConfig(database_url=f"sqlite:///{path}"))


async def test_the_data_folder_is_private(tmp_path: Path) -> None:
    """The default database lies in a new folder that only its user may enter, in a file only they may read."""
    folder = tmp_path / "new" / "data"
    store = await open_store(StorageConfig(data_dir=str(folder)))
    await store.commit(finished())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert "antiphon.db" in {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await store.close()
    assert [file.name for file in folder.iterdir()] == ["antiphon.db"]


async def test_a_deleted_text_is_not_in_the_files(tmp_path: Path) -> None:
    """After a delete and a stop no byte of the content is left on the disk in our files."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    secret = b'{"text":"a very private sentence"}'
    given = finished()
    many = [finished(items=[msg]) for msg in given.items]
    private = finished(items=[type(given.items[0])("msg_1", "in", 0, secret)])
    for f in (*many, private):
        await store.commit(f)
    await store.delete("default", private.response.id)
    await store.close()
    assert b"private sentence" not in b"".join(file.read_bytes() for file in list(tmp_path.iterdir()))  # noqa: ASYNC240


_LIGHT = """
import asyncio, sys
from antiphon.config import StorageConfig
from antiphon.storage import open_store

async def main():
    store = await open_store(StorageConfig(data_dir=sys.argv[1]))
    await store.close()

asyncio.run(main())
print([name for name in ("sqlalchemy", "alembic", "asyncpg", "mako") if name in sys.modules])
"""


def test_serving_imports_no_heavy_library(tmp_path: Path) -> None:
    """A start on a new and on an existing file imports neither SQLAlchemy nor alembic nor asyncpg."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", _LIGHT, str(tmp_path)], capture_output=True, text=True, check=True)
        assert ast.literal_eval(done.stdout) == []


async def test_a_database_of_version_0_1(kind: Kind, url: str) -> None:
    """Its responses are there after the start, and can be turns of conversations from then on."""
    for sql in migrate.upgrade_statements(kind, None)[: -len(_since_0001(kind))]:
        await query(url, sql)
    assert await query(url, migrate.READ_REVISION) == [("0001",)]
    given = finished()
    row = given.response
    values = f"'default', '{row.id}', 'completed', 1, 'openai', {'0' if kind == 'sqlite' else 'false'}, 0, 0, '', ''"
    names = "owner, id, status, created_at, dialect, deleted, item_count, item_bytes, request, result"
    await query(url, f"INSERT INTO responses ({names}) VALUES ({values})")
    store = await open_store(StorageConfig(database_url=url))
    kept = await store.response("default", row.id)
    assert kept is not None
    assert kept.conversation_id is None
    assert await store.delete("default", row.id)
    assert await query(url, migrate.READ_REVISION) == [(statements.REVISION,)]
    await store.close()


async def test_a_database_with_the_keys_of_0006(kind: Kind, url: str) -> None:
    """Steps and journals of a response that was written before their keys changed are there after the start."""
    for sql in migrate.upgrade_statements(kind, None)[: -len(migrate.upgrade_statements(kind, "0006"))]:
        await query(url, sql)
    false = "0" if kind == "sqlite" else "false"
    kept = "X'78'" if kind == "sqlite" else "'x'"
    for sql in (
        f"INSERT INTO responses VALUES ('me', 'r', NULL, NULL, NULL, 'completed', 7, 'openai', {false}, 0, 0, '', '')",
        f"INSERT INTO steps VALUES ('me', 'r', 0, 'model', 1, 2, 0, 0, 0, {kept}, NULL)",
        f"INSERT INTO journal VALUES ('me', 'r', 0, 1, 9, 7, {kept})",
    ):
        await query(url, sql)
    store = await open_store(StorageConfig(database_url=url))
    assert await store.steps("me", "r") == [Step(0, "model", 1, 2, 0, 0, b"x")]
    assert await store.segments("me", "r") == [Segment(0, 9, 1, b"x")]
    assert await store.expire_journals(8) == 1
    assert await store.segments("me", "r") == []
    await store.close()


def _since_0001(kind: Kind) -> Sequence[str]:
    return migrate.upgrade_statements(kind, "0001")


def test_a_commit_of_turns_takes_its_columns_in_order() -> None:
    """What PostgreSQL gets for a turn is in the order of the statement's parameters."""
    for name, tables in postgres._FILLED.items():
        parameters = statements.POSTGRESQL[name].parameters
        at = 0
        for table in tables:
            width = len(TURN if table == "turns" else statements.COLUMNS[table])
            assert {p.startswith(f"{table}_") for p in parameters[at : at + width]} == {True}, (name, table)
            at += width
        assert at == len(parameters)
    insert = statements.SQLITE["insert_conversation_items"].parameters
    sent = [name for name in statements.POSTGRESQL["commit_turns"].parameters if name.startswith("conversation_items_")]
    assert [f"conversation_items_{one}" for one in insert] == sent
