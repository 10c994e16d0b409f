"""Fewer trees to write for a response: a journal is found by its time, and SQLite keeps steps in their key's order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_JOURNAL = ["owner", "created_at", "response_id", "first_seq", "attempt"]


def upgrade() -> None:
    """Other keys; SQLite cannot change the key of a table, so there both are made anew."""
    op.drop_index("ix_journal_owner_created_at", "journal")
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint("pk_journal", "journal")
        op.create_primary_key("pk_journal", "journal", _JOURNAL)
    else:
        _make_anew()


def _make_anew() -> None:
    for table in ("steps", "journal"):
        op.rename_table(table, f"old_{table}")
    op.create_table(
        "steps",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("item_from", sa.Integer, nullable=False),
        sa.Column("item_to", sa.Integer, nullable=False),
        sa.Column("bytes_to", sa.BigInteger, nullable=False),
        sa.Column("request_parameters", sa.LargeBinary, nullable=False),
        sa.Column("exchange", sa.LargeBinary),
        sa.PrimaryKeyConstraint("owner", "response_id", "n", name="pk_steps"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "journal",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint(*_JOURNAL, name="pk_journal"),
    )
    for table in ("steps", "journal"):
        op.execute(f"INSERT INTO {table} SELECT * FROM old_{table}")  # noqa: S608 - constants
        op.drop_table(f"old_{table}")
