"""What alembic runs around the revisions. It writes SQL for the dialect that ``migrate`` names and connects nowhere."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes["configure"], as_sql=True)
context.run_migrations()
