"""Items made by tools of ours: what the model was shown instead of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """A column that old rows do not need."""
    op.add_column("items", sa.Column("seen", sa.LargeBinary))
