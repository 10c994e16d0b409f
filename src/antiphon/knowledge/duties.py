"""The work that vector stores owe: its kinds, and what each job must know. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from antiphon.jobs.work import new_job_id
from antiphon.storage.jobs.model import NewJob

#: A file is read into a store; what a store does not hold any more is removed from the index; a store has expired.
READ, FORGET, EXPIRE = "vector_store.read", "vector_store.forget", "vector_store.expire"


class ReadFile(msgspec.Struct, frozen=True):
    """The file to be read, and where to. The job's id is the name of the document that it makes."""

    store_id: str
    file_id: str


class Forget(msgspec.Struct, frozen=True):
    """Documents that nobody wants any more; None is all of the store, which is gone."""

    store_id: str
    documents: tuple[str, ...] | None = None


class Expire(msgspec.Struct, frozen=True):
    """A store whose time is over."""

    store_id: str


def read_file(store_id: str, file_id: str) -> NewJob:
    """A job of a fresh name, from which the file's id can be told."""
    name = f"{file_id}.{secrets.token_hex(8)}"  # whatever is frozen: no two documents may share one
    return NewJob(name, READ, msgspec.json.encode(ReadFile(store_id, file_id)))


def file_of(document: str) -> str:
    """The file that this document was made of."""
    return document.rpartition(".")[0]


def forget(store_id: str, documents: Sequence[str | None] | None = None) -> NewJob:
    """A job that removes those of these that there are, or all of the store."""
    known = None if documents is None else tuple(one for one in documents if one is not None)
    return NewJob(new_job_id(), FORGET, msgspec.json.encode(Forget(store_id, known)))


def expire(store_id: str) -> NewJob:
    """A job of which there is one for each store."""
    return NewJob(f"expire.{store_id}", EXPIRE, msgspec.json.encode(Expire(store_id)))
