"""Files and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Their tables; what they hold lies beside the database."""
    op.create_table(
        "files",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("media_type", sa.Text),
        sa.Column("sweep_at", sa.BigInteger),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_files"),
    )
    op.create_index("ix_files_owner_sha256", "files", ["owner", "sha256"])
    op.create_index("ix_files_owner_sweep_at", "files", ["owner", "sweep_at"])
    op.create_table(
        "uploads",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("expires_after", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("last_part", sa.Text),
        sa.Column("sweep_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_owner_sweep_at", "uploads", ["owner", "sweep_at"])
    op.create_table(
        "upload_parts",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("upload_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "upload_id", "id", name="pk_upload_parts"),
    )
    op.create_index("ix_upload_parts_owner_sha256", "upload_parts", ["owner", "sha256"])
