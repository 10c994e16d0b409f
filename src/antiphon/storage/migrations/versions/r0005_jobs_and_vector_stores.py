"""Jobs, and vector stores with their files and batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """New tables only."""
    op.create_table(
        "jobs",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("ready_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("token", sa.Text),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_owner_ready_at_id", "jobs", ["owner", "ready_at", "id"])
    op.create_table(
        "vector_stores",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("expired", sa.Boolean, nullable=False),
        sa.Column("embedding_model", sa.Text, nullable=False),
        sa.Column("dimensions", sa.Integer),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_vector_stores"),
    )
    op.create_index("ix_vector_stores_owner_created_at_id", "vector_stores", ["owner", "created_at", "id"])
    op.create_table(
        "vector_store_files",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("usage_bytes", sa.BigInteger, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("chunking", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("replaced", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", "file_id", name="pk_vector_store_files"),
    )
    op.create_index(
        "ix_vector_store_files_owner_store_id_created_at_file_id",
        "vector_store_files",
        ["owner", "store_id", "created_at", "file_id"],
    )
    op.create_index("ix_vector_store_files_owner_file_id", "vector_store_files", ["owner", "file_id"])
    op.create_table(
        "file_batches",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", "id", name="pk_file_batches"),
    )
    op.create_table(
        "file_batch_files",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "store_id", "batch_id", "file_id", name="pk_file_batch_files"),
    )
