"""The tables, once, for both databases: SQLAlchemy Core, never imported while serving.

``python -m antiphon.storage.compile`` turns them into the DDL of ``_compiled.py``. Every primary key and every index
begins with ``owner``, so that no statement can be cheap across tenants by accident.

There are no foreign keys: one commit writes a whole response or nothing, a delete clears every table of it, and a
check per row would cost more than the row.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"})


def owned(name: str, *parts: SchemaItem, key: tuple[str, ...], by_key: bool = False) -> Table:
    """A table whose every row says whose it is; ``key`` is what makes a row one of its owner's.

    With ``by_key`` SQLite keeps the rows in the tree of their key, which saves it the other one: for small rows only.
    """
    owner = Column("owner", Text, nullable=False)
    return Table(name, metadata, owner, *parts, PrimaryKeyConstraint("owner", *key), sqlite_with_rowid=not by_key)


#: ``item_count`` and ``item_bytes`` let a history know what it would cost before it reads a single item.
responses = owned(
    "responses",
    Column("id", Text, nullable=False),
    Column("previous_id", Text),
    Column("previous_step", Integer),
    Column("conversation_id", Text),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("item_count", Integer, nullable=False),
    Column("item_bytes", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("result", LargeBinary, nullable=False),
    key=("id",),
)

items = owned(
    "items",
    Column("response_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("seen", LargeBinary),
    # Not unique: a client may send the same item of ours into many responses.
    Index(None, "owner", "id"),
    key=("response_id", "position"),
)

#: ``claim`` is the token of who may append now, until ``claimed_until`` (milliseconds, the database's own clock).
conversations = owned(
    "conversations",
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Column("next_position", Integer, nullable=False),
    Column("item_count", Integer, nullable=False),
    Column("item_bytes", BigInteger, nullable=False),
    Column("claim", Text),
    Column("claimed_until", BigInteger, nullable=False),
    key=("id",),
)

#: Each names its row of ``items``: a response's, or one under the id of the conversation at this same ``position``.
conversation_items = owned(
    "conversation_items",
    Column("conversation_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("response_id", Text, nullable=False),
    Column("item_position", Integer, nullable=False),
    Column("item_bytes", BigInteger, nullable=False),
    Index(None, "owner", "conversation_id", "item_id"),
    key=("conversation_id", "position"),
)

#: ``bytes_to`` is the size of the items before ``item_to``: what a history cut at this step holds of its response.
steps = owned(
    "steps",
    Column("response_id", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("item_from", Integer, nullable=False),
    Column("item_to", Integer, nullable=False),
    Column("bytes_to", BigInteger, nullable=False),
    Column("request_parameters", LargeBinary, nullable=False),
    Column("exchange", LargeBinary),
    key=("response_id", "n"),
    by_key=True,
)

#: ``created_at`` is the response's, first in the key so that expiry touches only what it removes.
journal = owned(
    "journal",
    Column("response_id", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    key=("created_at", "response_id", "first_seq", "attempt"),
)

#: A long string taken out of an item, and the byte of the item's ``data`` before which it goes back.
item_blobs = owned(
    "item_blobs",
    Column("response_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Index(None, "owner", "sha256"),
    key=("response_id", "position", "at"),
)

blobs = owned(
    "blobs",
    Column("sha256", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    key=("sha256",),
)
