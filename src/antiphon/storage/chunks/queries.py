"""The statements about chunks; ``compile`` turns them into text, nothing else runs them.

They lean on what each database does with a document of rows (``json_each``, ``unnest``), with full text and with
vectors, which SQLAlchemy has no words for: so they are written as SQL.

One write is one transaction. The first statement of it gives the store its next version, and on PostgreSQL holds the
store's row, so that writes to one store follow each other.
"""

# ruff: noqa: S608 - every piece is a constant of this module

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from antiphon.storage.chunks import tables  # noqa: F401
from antiphon.storage.queries import CLOCK, Dialect

_STORE = "owner = :owner AND store_id = :store_id"
_FILE = f"{_STORE} AND file_id = :file_id"

_VERSION = f"(SELECT version FROM chunk_stores WHERE {_STORE})"
#: Null, which the table refuses, where the store has vectors of other dimensions.
_VERSION_OF_FIT = f"(SELECT version FROM chunk_stores WHERE {_STORE} AND dimensions = :dimensions)"

_COMMON = {
    "chunk_version": f"SELECT version, removed, dimensions FROM chunk_stores WHERE {_STORE}",
    "chunk_files": "SELECT file_id, first, chunks, version, written, attributes FROM chunk_files "
    f"WHERE {_STORE} AND version > :since",
    "chunk_file_names": f"SELECT file_id FROM chunk_files WHERE {_STORE}",
    "chunk_contents": f"SELECT text FROM chunks WHERE {_FILE} ORDER BY n",
    "touch_chunk_store": f"UPDATE chunk_stores SET version = version + 1 WHERE {_STORE}",
    "take_from_chunk_store": f"UPDATE chunk_stores SET version = version + 1, removed = version + 1 WHERE {_STORE}",
    "set_chunk_attributes": f"UPDATE chunk_files SET attributes = :attributes, version = {_VERSION} WHERE {_FILE}",
    "drop_chunks": f"DELETE FROM chunks WHERE {_FILE}",
    "drop_chunk_file": f"DELETE FROM chunk_files WHERE {_FILE}",
    "drop_all_chunks": f"DELETE FROM chunks WHERE {_STORE}",
    "drop_all_chunk_files": f"DELETE FROM chunk_files WHERE {_STORE}",
    "drop_chunk_store": f"DELETE FROM chunk_stores WHERE {_STORE}",
}


def _next_version(dialect: Dialect) -> str:
    return (
        "INSERT INTO chunk_stores (owner, store_id, version, removed, dimensions) "
        f"VALUES (:owner, :store_id, {CLOCK[dialect]}, 0, :dimensions) "
        "ON CONFLICT (owner, store_id) DO UPDATE SET version = chunk_stores.version + 1, dimensions = "
        "CASE WHEN chunk_stores.dimensions = 0 THEN excluded.dimensions ELSE chunk_stores.dimensions END"
    )


def _words(where: str, command: str = "") -> str:
    """Chunks' words into the index, each behind the key of the store; or out of it."""
    keyed = "CASE WHEN c.words = '' THEN '' ELSE :key || replace(c.words, ' ', ' ' || :key) END"
    names, values = ("chunk_words, rowid", f"'{command}', ") if command else ("rowid", "")
    return (
        f"INSERT INTO chunk_words ({names}, words) SELECT {values}f.first + c.n, {keyed} FROM chunk_files f "
        "JOIN chunks c ON c.owner = f.owner AND c.store_id = f.store_id AND c.file_id = f.file_id "
        f"WHERE {where} ORDER BY f.first + c.n"
    )


_F_STORE = "f.owner = :owner AND f.store_id = :store_id"
_SQLITE = {
    "chunk_vectors": "SELECT file_id, first, chunks, version, written, attributes, lengths, vectors FROM chunk_files "
    f"WHERE {_STORE} AND file_id IN (SELECT value FROM json_each(:files))",
    "chunk_postings": "SELECT group_concat(doc) FROM chunk_vocabulary WHERE term = :term",
    "chunk_texts": "SELECT c.file_id, c.n, c.text, f.written FROM json_each(:hits) h "
    "CROSS JOIN chunks c ON c.owner = :owner AND c.store_id = :store_id AND c.file_id = json_extract(h.value, '$[0]') "
    "AND c.n = json_extract(h.value, '$[1]') "
    "JOIN chunk_files f ON f.owner = c.owner AND f.store_id = c.store_id AND f.file_id = c.file_id",
    "drop_words": _words(f"{_F_STORE} AND f.file_id = :file_id", "delete"),
    "drop_all_words": _words(_F_STORE, "delete"),
    "add_chunk_file": "INSERT INTO chunk_files "
    "(owner, store_id, file_id, first, chunks, version, written, attributes, lengths, vectors) "
    "VALUES (:owner, :store_id, :file_id, (SELECT coalesce(max(id), 0) + 1 FROM chunk_words_docsize), :count, "
    f"{_VERSION_OF_FIT}, {_VERSION}, :attributes, :lengths, :vectors)",
    "add_chunks": "INSERT INTO chunks (owner, store_id, file_id, n, tokens, text, words) "
    "SELECT :owner, :store_id, :file_id, key, json_extract(value, '$[0]'), json_extract(value, '$[1]'), "
    "json_extract(value, '$[2]') FROM json_each(:rows)",
    "add_words": _words(f"{_F_STORE} AND f.file_id = :file_id"),
}

_ALLOWED = "(CAST(:files AS TEXT[]) IS NULL OR {0}.file_id = ANY(CAST(:files AS TEXT[])))"


def _of(alias: str) -> str:
    return f"{alias}.owner = :owner AND {alias}.store_id = :store_id"


_RANK = (
    "(SELECT coalesce(sum(t.weight * ts_rank({0}.words, CAST(t.term AS TSQUERY))), 0) "
    "FROM unnest(CAST(:terms AS TEXT[]), CAST(:weights AS FLOAT8[])) AS t(term, weight))"
)
_HERE = "{0}.owner = :owner AND {0}.store_id = :store_id AND {0}.file_id = p.file_id AND {0}.n = p.n"
_NEAR = "CAST(-(v.vector <#> CAST(CAST(:vector AS REAL[]) AS vector)) AS FLOAT8)"
_BY_VECTOR = (
    f"SELECT v.file_id, v.n FROM chunk_vectors v WHERE {_of('v')} AND {_ALLOWED.format('v')} "
    "ORDER BY v.vector <#> CAST(CAST(:vector AS REAL[]) AS vector) LIMIT :most"
)
_BY_WORDS = (
    f"SELECT w.file_id, w.n FROM chunk_words w WHERE {_of('w')} AND w.words @@ CAST(:query AS TSQUERY) "
    f"AND {_ALLOWED.format('w')} ORDER BY {_RANK.format('w')} DESC, w.file_id, w.n LIMIT :most"
)


def _search(picked: str, near: str, rank: str, joins: str = "") -> str:
    return (
        f"WITH p AS ({picked}) SELECT c.file_id, c.n, c.text, {near}, {rank} FROM p "
        f"JOIN chunks c ON {_HERE.format('c')} {joins}"
    )


_JOIN_VECTORS = f"LEFT JOIN chunk_vectors v ON {_HERE.format('v')}"
_JOIN_WORDS = f"LEFT JOIN chunk_words w ON {_HERE.format('w')}"

_POSTGRESQL = {
    "chunk_term_counts": "SELECT t.at, (SELECT count(*) FROM chunk_words w WHERE "
    f"{_of('w')} AND w.words @@ CAST(t.term AS TSQUERY)) "
    "FROM unnest(CAST(:terms AS TEXT[])) WITH ORDINALITY AS t(term, at)",
    "chunk_count": f"SELECT CAST(coalesce(sum(chunks), 0) AS BIGINT) FROM chunk_files WHERE {_STORE}",
    "search_vectors": _search(_BY_VECTOR, _NEAR, "CAST(0 AS FLOAT8)", _JOIN_VECTORS),
    "search_words": _search(_BY_WORDS, "CAST(0 AS FLOAT8)", _RANK.format("w"), _JOIN_WORDS),
    "search_both": _search(
        f"({_BY_VECTOR}) UNION ({_BY_WORDS})", _NEAR, _RANK.format("w"), f"{_JOIN_VECTORS} {_JOIN_WORDS}"
    ),
    "drop_words": f"DELETE FROM chunk_words WHERE {_FILE}",
    "drop_all_words": f"DELETE FROM chunk_words WHERE {_STORE}",
    "drop_vectors": f"DELETE FROM chunk_vectors WHERE {_FILE}",
    "drop_all_vectors": f"DELETE FROM chunk_vectors WHERE {_STORE}",
    "add_chunk_file": "INSERT INTO chunk_files "
    "(owner, store_id, file_id, first, chunks, version, written, attributes, lengths, vectors) "
    f"VALUES (:owner, :store_id, :file_id, 0, :count, {_VERSION_OF_FIT}, {_VERSION}, :attributes, :lengths, :vectors)",
    "add_chunks": "INSERT INTO chunks (owner, store_id, file_id, n, tokens, text, words) "
    "SELECT CAST(:owner AS TEXT), CAST(:store_id AS TEXT), CAST(:file_id AS TEXT), r.at - 1, r.tokens, r.text, '' "
    "FROM unnest(CAST(:tokens AS INTEGER[]), CAST(:texts AS TEXT[])) WITH ORDINALITY AS r(tokens, text, at)",
    "add_words": "INSERT INTO chunk_words (owner, store_id, file_id, n, words) "
    "SELECT CAST(:owner AS TEXT), CAST(:store_id AS TEXT), CAST(:file_id AS TEXT), r.at - 1, "
    "CAST(r.words AS TSVECTOR) FROM unnest(CAST(:words AS TEXT[])) WITH ORDINALITY AS r(words, at)",
    "add_vectors": "INSERT INTO chunk_vectors (owner, store_id, file_id, n, vector) "
    "SELECT CAST(:owner AS TEXT), CAST(:store_id AS TEXT), CAST(:file_id AS TEXT), n, "
    "CAST((CAST(:flat AS REAL[]))[n * :dimensions + 1 : (n + 1) * :dimensions] AS vector) "
    "FROM generate_series(0, :count - 1) AS n",
    "has_vector_extension": "SELECT extversion FROM pg_extension WHERE extname = 'vector'",
    "has_vector_table": "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'chunk_vectors'",
    "make_vector_extension": "CREATE EXTENSION IF NOT EXISTS vector",
    "make_vector_table": "CREATE TABLE IF NOT EXISTS chunk_vectors (owner TEXT NOT NULL, store_id TEXT NOT NULL, "
    "file_id TEXT NOT NULL, n INTEGER NOT NULL, vector vector NOT NULL, "
    "CONSTRAINT pk_chunk_vectors PRIMARY KEY (owner, store_id, file_id, n))",
}


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    own = _SQLITE if dialect == "sqlite" else _POSTGRESQL
    every = {**_COMMON, "next_chunk_version": _next_version(dialect), **own}
    return {name: text(sql) for name, sql in every.items()}
