"""Chunks of vector stores, and the index of their words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_WORDS = {
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


def upgrade() -> None:
    """New tables only."""
    op.create_table(
        "chunk_stores",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", name="pk_chunk_stores"),
    )
    op.create_table(
        "chunk_files",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("written", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        sa.Column("lengths", sa.LargeBinary, nullable=False),
        sa.Column("vectors", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", "file_id", name="pk_chunk_files"),
    )
    op.create_table(
        "chunks",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", "file_id", "n", name="pk_chunks"),
    )
    for sql in _WORDS[op.get_context().dialect.name]:
        op.execute(sql)
