"""Conversations: their rows, and items that say where their content is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make ``conversations``; version 0.1 never wrote to ``conversation_items``, so that is made anew."""
    op.create_table(
        "conversations",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.LargeBinary, nullable=False),
        sa.Column("next_position", sa.Integer, nullable=False),
        sa.Column("item_count", sa.Integer, nullable=False),
        sa.Column("item_bytes", sa.BigInteger, nullable=False),
        sa.Column("claim", sa.Text),
        sa.Column("claimed_until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_conversations"),
    )
    op.drop_table("conversation_items")
    op.create_table(
        "conversation_items",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("item_position", sa.Integer, nullable=False),
        sa.Column("item_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", "conversation_id", "position", name="pk_conversation_items"),
    )
    op.create_index(
        "ix_conversation_items_owner_conversation_id_item_id",
        "conversation_items",
        ["owner", "conversation_id", "item_id"],
    )
