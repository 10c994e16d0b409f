"""The tables of chunks. Never imported while serving.

What SQLAlchemy cannot say is text here (``MORE``), made with the tables and in the migration alike: the index of words.
It is an FTS5 table on SQLite and a table with a ``tsvector`` on PostgreSQL. Every word stands in it behind a key of its
store, so that one store's words are looked up, counted and removed without touching another's.

Vectors lie with their file on SQLite, where they are only ever read as a whole. On PostgreSQL they have a table that is
made at the first use (``VECTORS``), because it needs the extension ``vector``, which not every server has.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

from antiphon.storage.schema import owned

#: ``version`` starts at the database's clock in milliseconds, so that a store made anew never repeats one.
chunk_stores = owned(
    "chunk_stores",
    Column("store_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("dimensions", Integer, nullable=False),
    key=("store_id",),
)

#: The large columns last: a row that is read without them then stays on its page.
chunk_files = owned(
    "chunk_files",
    Column("store_id", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("lengths", LargeBinary, nullable=False),
    Column("vectors", LargeBinary, nullable=False),
    key=("store_id", "file_id"),
)

chunks = owned(
    "chunks",
    Column("store_id", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("words", Text, nullable=False),
    key=("store_id", "file_id", "n"),
)

#: DDL beside that of the tables, by dialect.
MORE = {
    "sqlite": (
        "CREATE VIRTUAL TABLE chunk_words USING fts5(words, content='', tokenize='ascii')",
        "CREATE VIRTUAL TABLE chunk_vocabulary USING fts5vocab('chunk_words', 'instance')",
    ),
    "postgresql": (
        (
            "CREATE TABLE chunk_words (owner TEXT NOT NULL, store_id TEXT NOT NULL, file_id TEXT NOT NULL, "
            "n INTEGER NOT NULL, words TSVECTOR NOT NULL, "
            "CONSTRAINT pk_chunk_words PRIMARY KEY (owner, store_id, file_id, n))"
        ),
        "CREATE INDEX ix_chunk_words_words ON chunk_words USING gin (words)",
    ),
}
