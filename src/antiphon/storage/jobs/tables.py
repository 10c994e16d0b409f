"""The tables of jobs. Never imported while serving."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Text

from antiphon.storage.schema import owned

#: A row is work that is owed, and is gone when that is done. ``ready_at`` (milliseconds, the database's own clock) is
#: when it may be claimed: of a job that waits the time of its next attempt, of one that runs the end of its lease.
#: ``token`` is who runs it; ``attempts`` counts the claims.
jobs = owned(
    "jobs",
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("ready_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("token", Text),
    Index(None, "owner", "ready_at", "id"),
    key=("id",),
)
