"""The first schema: responses with their items, steps, journal and long strings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of version 0.1."""
    _responses()
    _items()
    _run()
    _blobs()


def _responses() -> None:
    op.create_table(
        "responses",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("previous_id", sa.Text),
        sa.Column("previous_step", sa.Integer),
        sa.Column("conversation_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("item_count", sa.Integer, nullable=False),
        sa.Column("item_bytes", sa.BigInteger, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_responses"),
    )


def _items() -> None:
    op.create_table(
        "items",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "response_id", "position", name="pk_items"),
    )
    op.create_index("ix_items_owner_id", "items", ["owner", "id"])
    op.create_table(
        "conversation_items",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "conversation_id", "position", name="pk_conversation_items"),
    )


def _run() -> None:
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
        sa.PrimaryKeyConstraint("owner", "response_id", "first_seq", "attempt", name="pk_journal"),
    )
    op.create_index("ix_journal_owner_created_at", "journal", ["owner", "created_at"])


def _blobs() -> None:
    op.create_table(
        "item_blobs",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "response_id", "position", "at", name="pk_item_blobs"),
    )
    op.create_index("ix_item_blobs_owner_sha256", "item_blobs", ["owner", "sha256"])
    op.create_table(
        "blobs",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "sha256", name="pk_blobs"),
    )
