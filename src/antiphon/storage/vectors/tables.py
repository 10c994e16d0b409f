"""The tables of vectors. Never imported while serving."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Text

from antiphon.storage.schema import owned

#: ``expired`` is set once what it held is being removed. Metadata, attributes and chunking are JSON.
vector_stores = owned(
    "vector_stores",
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("expires_days", Integer),
    Column("last_active_at", BigInteger, nullable=False),
    Column("expired", Boolean, nullable=False),
    Column("embedding_model", Text, nullable=False),
    Column("dimensions", Integer),
    Index(None, "owner", "created_at", "id"),
    key=("id",),
)

#: ``job_id`` is the job that makes it what it is to be, or made it so: no other may write here. ``document`` is the
#: name under which the index has it, a new one each time it is read; ``replaced`` the one before, until that is
#: removed. ``version`` counts the changes.
vector_store_files = owned(
    "vector_store_files",
    Column("store_id", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("usage_bytes", BigInteger, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("attributes", Text, nullable=False),
    Column("chunking", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("document", Text),
    Column("replaced", Text),
    Column("version", Integer, nullable=False),
    Index(None, "owner", "store_id", "created_at", "file_id"),
    Index(None, "owner", "file_id"),
    key=("store_id", "file_id"),
)

file_batches = owned(
    "file_batches",
    Column("store_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    key=("store_id", "id"),
)

#: Which files a batch named; what became of them stands in ``vector_store_files``.
file_batch_files = owned(
    "file_batch_files",
    Column("store_id", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    key=("store_id", "batch_id", "file_id"),
)
