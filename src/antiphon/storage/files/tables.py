"""The tables of files. Never imported while serving."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Text

from antiphon.storage.schema import owned

#: ``sweep_at``: from when on the housekeeping removes the row with what it names, unix seconds; null: never.
#: ``deleted``: nobody is shown it any more, and ``sweep_at`` has come.
files = owned(
    "files",
    Column("id", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("sha256", LargeBinary, nullable=False),
    Column("media_type", Text),
    Column("sweep_at", BigInteger),
    Column("deleted", Boolean, nullable=False),
    Index(None, "owner", "sha256"),
    Index(None, "owner", "sweep_at"),
    key=("id",),
)

#: ``received`` counts the bytes of all parts that ever came, ``last_part`` is the newest of them. ``expires_after``:
#: seconds, of the file that it will be.
uploads = owned(
    "uploads",
    Column("id", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("expires_after", BigInteger),
    Column("status", Text, nullable=False),
    Column("file_id", Text),
    Column("received", BigInteger, nullable=False),
    Column("last_part", Text),
    Column("sweep_at", BigInteger),
    Index(None, "owner", "sweep_at"),
    key=("id",),
)

upload_parts = owned(
    "upload_parts",
    Column("upload_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Index(None, "owner", "sha256"),
    key=("upload_id", "id"),
)
