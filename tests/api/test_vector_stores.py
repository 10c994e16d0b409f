"""Vector stores through the SDK: what can be done with one, its files and its batches, and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai
import pytest
from openai.types import VectorStore

from tests.api.talk import dump, refused
from tests.server import Server, Servers

covers = pytest.mark.covers

NOBODY = "vs_" + "0" * 48
NO_FILE = "file-" + "0" * 48
UNKNOWN: Any = {"code": "not_found", "error": openai.NotFoundError}
NONE: Any = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
AUTO = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}

TEA = "Green tea is steeped for two minutes at eighty degrees; black tea wants boiling water."
SHIPS = "The harbour master lowers the flag when the last ferry has left the quay at night."
OWLS = "Barn owls hunt voles over rough grassland, mostly at dusk and without a sound."


def upload(client: openai.OpenAI, text: str | bytes, name: str = "text.txt") -> str:
    """The id of a new file."""
    content = text.encode() if isinstance(text, str) else text
    return client.files.create(file=(name, content), purpose="assistants").id


def made(client: openai.OpenAI, texts: Sequence[str] = (), **more: Any) -> VectorStore:
    """A store with these texts, all of them read."""
    store = client.vector_stores.create(**more)
    if texts:
        files = [(f"{n}.txt", text.encode()) for n, text in enumerate(texts)]
        client.vector_stores.file_batches.upload_and_poll(store.id, files=files, poll_interval_ms=20)
    return store


def put(client: openai.OpenAI, store: VectorStore, text: str | bytes, name: str = "a.txt", **more: Any) -> Any:
    """A file that was read, or could not be."""
    return client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=(name, text if isinstance(text, bytes) else text.encode()), **more
    )


def found(client: openai.OpenAI, store: VectorStore, query: Any, **more: Any) -> list[str]:
    """The texts that a search finds, best first."""
    return [one.content[0].text for one in client.vector_stores.search(store.id, query=query, **more).data]


def counts(client: openai.OpenAI, store: VectorStore) -> Any:
    """Files by status."""
    return dump(client.vector_stores.retrieve(store.id))["file_counts"]


@covers(
    "endpoint:POST /v1/vector_stores",
    "endpoint:GET /v1/vector_stores/{id}",
    "endpoint:POST /v1/vector_stores/{id}",
    "endpoint:DELETE /v1/vector_stores/{id}",
)
def test_a_life(client: openai.OpenAI) -> None:
    """Made, read, changed and deleted; then it is nowhere."""
    store = client.vector_stores.create(
        name="tea", description="all of it", metadata={"a": "b"}, expires_after={"anchor": "last_active_at", "days": 2}
    )
    assert dump(store) == {
        "id": store.id,
        "object": "vector_store",
        "created_at": store.created_at,
        "name": "tea",
        "description": "all of it",
        "usage_bytes": 0,
        "file_counts": NONE,
        "status": "completed",
        "expires_after": {"anchor": "last_active_at", "days": 2},
        "expires_at": store.created_at + 2 * 86400,
        "last_active_at": store.created_at,
        "metadata": {"a": "b"},
        "embedding_model": "all-MiniLM-L6-v2",
        "embedding_dimensions": 384,
    }
    assert store.id.startswith("vs_")
    assert client.vector_stores.retrieve(store.id) == store
    other = client.vector_stores.update(store.id, name="coffee")
    assert dump(other) == {**dump(store), "name": "coffee"}
    other = client.vector_stores.update(store.id, metadata={"c": "d"}, expires_after=None)
    changed = {"name": "coffee", "metadata": {"c": "d"}, "expires_after": None, "expires_at": None}
    assert dump(other) == {**dump(store), **changed}
    assert client.vector_stores.update(store.id, metadata=None).metadata == {}
    gone = client.vector_stores.delete(store.id)
    assert dump(gone) == {"id": store.id, "object": "vector_store.deleted", "deleted": True}
    refused(lambda: client.vector_stores.retrieve(store.id), param="vector_store_id", **UNKNOWN)


def test_an_empty_body_makes_an_empty_store(server: Server) -> None:
    """Nothing is needed, not even a body; and nothing is found in it."""
    store = server.http.post("/v1/vector_stores").json()
    assert (store["name"], store["metadata"], store["description"]) == ("", {}, None)
    page = server.http.post(f"/v1/vector_stores/{store['id']}/search", json={"query": "anything"}).json()
    assert page == {
        "object": "vector_store.search_results.page",
        "search_query": ["anything"],
        "data": [],
        "has_more": False,
        "next_page": None,
    }


@covers("endpoint:GET /v1/vector_stores")
def test_a_list_of_stores(client: openai.OpenAI, server: Server) -> None:
    """Pages by both cursors and in both orders; a cursor to nothing is refused."""
    ids = [client.vector_stores.create(name=str(n)).id for n in range(5)]
    newest = [one.id for one in client.vector_stores.list(limit=2)]
    assert [one for one in newest if one in ids] == ids[::-1]
    page = client.vector_stores.list(after=ids[0], order="asc", limit=100).data
    assert [one.id for one in page][:4] == ids[1:]
    raw = server.http.get("/v1/vector_stores", params={"before": ids[3], "order": "asc", "limit": 2}).json()
    assert [one["id"] for one in raw["data"]] == ids[1:3]
    assert (raw["first_id"], raw["last_id"], raw["has_more"]) == (ids[1], ids[2], True)
    raw = server.http.get("/v1/vector_stores", params={"after": ids[3], "before": ids[0]}).json()
    assert [one["id"] for one in raw["data"]] == [ids[2], ids[1]]
    for name in ("after", "before"):
        cursor: Any = {name: NOBODY}
        refused(lambda: client.vector_stores.list(**cursor), param=name, code="invalid_cursor")  # noqa: B023


@covers(
    "endpoint:POST /v1/vector_stores/{id}/files",
    "endpoint:GET /v1/vector_stores/{id}/files/{file}",
    "endpoint:POST /v1/vector_stores/{id}/files/{file}",
    "endpoint:DELETE /v1/vector_stores/{id}/files/{file}",
    "endpoint:GET /v1/vector_stores/{id}/files/{file}/content",
)
def test_a_file_in_a_store(client: openai.OpenAI) -> None:
    """Put in, read, found, described anew, and taken out, while the file itself stays."""
    store, files = made(client), client.vector_stores.files
    file_id = upload(client, TEA)
    file = files.create_and_poll(file_id, vector_store_id=store.id, attributes={"kind": "drink", "n": 1.5, "hot": True})
    usage = len(TEA.encode()) + 384 * 4
    assert dump(file) == {
        "id": file_id,
        "object": "vector_store.file",
        "created_at": file.created_at,
        "usage_bytes": usage,
        "vector_store_id": store.id,
        "status": "completed",
        "last_error": None,
        "chunking_strategy": AUTO,
        "attributes": {"kind": "drink", "n": 1.5, "hot": True},
    }
    whole = dump(client.vector_stores.retrieve(store.id))
    assert (whole["usage_bytes"], whole["status"]) == (usage, "completed")
    assert whole["file_counts"] == {**NONE, "completed": 1, "total": 1}
    (result,) = client.vector_stores.search(store.id, query="How hot should the water be?").data
    assert 0 < result.score <= 1
    assert dump(result) == {
        "file_id": file_id,
        "filename": "text.txt",
        "score": result.score,
        "attributes": {"kind": "drink", "n": 1.5, "hot": True},
        "content": [{"type": "text", "text": TEA}],
    }
    assert [one.text for one in files.content(file_id, vector_store_id=store.id)] == [TEA]
    updated = files.update(file_id, vector_store_id=store.id, attributes={"kind": "plant"})
    assert dump(updated) == {**dump(file), "attributes": {"kind": "plant"}}
    for value, texts in (("plant", [TEA]), ("drink", [])):
        assert found(client, store, "tea", filters={"type": "eq", "key": "kind", "value": value}) == texts
    assert files.update(file_id, vector_store_id=store.id, attributes=None).attributes == {}
    gone = files.delete(file_id, vector_store_id=store.id)
    assert dump(gone) == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    assert found(client, store, "tea") == []
    assert counts(client, store) == NONE
    refused(lambda: files.retrieve(file_id, vector_store_id=store.id), param="file_id", **UNKNOWN)
    assert client.files.retrieve(file_id).id == file_id


def test_what_is_not_there(client: openai.OpenAI) -> None:
    """Every operation on what is unknown is a 404 that names it, and nothing is half done."""
    stores, files, batches = client.vector_stores, client.vector_stores.files, client.vector_stores.file_batches
    store, file_id = made(client).id, upload(client, TEA)
    for unknown in (NOBODY, "x", "vs_é"):
        place: Any = {"vector_store_id": unknown}
        for call in (
            lambda: stores.retrieve(unknown),  # noqa: B023
            lambda: stores.update(unknown, name="x"),  # noqa: B023
            lambda: stores.delete(unknown),  # noqa: B023
            lambda: stores.search(unknown, query="x"),  # noqa: B023
            lambda: files.create(file_id=file_id, **place),  # noqa: B023
            lambda: files.list(**place),  # noqa: B023
            lambda: files.list(after=file_id, **place),  # noqa: B023
            lambda: files.retrieve(file_id, **place),  # noqa: B023
            lambda: files.update(file_id, attributes={}, **place),  # noqa: B023
            lambda: files.delete(file_id, **place),  # noqa: B023
            lambda: files.content(file_id, **place),  # noqa: B023
            lambda: batches.create(file_ids=[file_id], **place),  # noqa: B023
            lambda: batches.retrieve("vsfb_1", **place),  # noqa: B023
            lambda: batches.cancel("vsfb_1", **place),  # noqa: B023
            lambda: batches.list_files("vsfb_1", **place),  # noqa: B023
        ):
            refused(call, param="vector_store_id", **UNKNOWN)
    here: Any = {"vector_store_id": store}
    for call in (
        lambda: files.create(file_id=NO_FILE, **here),
        lambda: files.retrieve(file_id, **here),
        lambda: files.update(file_id, attributes={}, **here),
        lambda: files.delete(file_id, **here),
        lambda: files.content(file_id, **here),
    ):
        refused(call, param="file_id", **UNKNOWN)
    for call in (
        lambda: batches.retrieve("vsfb_1", **here),
        lambda: batches.cancel("vsfb_1", **here),
        lambda: batches.list_files("vsfb_1", **here),
    ):
        refused(call, param="batch_id", **UNKNOWN)
    before = len(list(stores.list(limit=100)))
    refused(lambda: stores.create(file_ids=[file_id, NO_FILE]), param="file_ids[1]", **UNKNOWN)
    assert len(list(stores.list(limit=100))) == before
    refused(lambda: batches.create(file_ids=[file_id, NO_FILE], **here), param="file_ids[1]", **UNKNOWN)
    wrong: Any = [{"file_id": file_id}, {"file_id": NO_FILE}]
    refused(lambda: batches.create(files=wrong, **here), param="files[1].file_id", **UNKNOWN)
    assert list(files.list(**here)) == []
    refused(lambda: files.list(after=NO_FILE, **here), param="after", code="invalid_cursor")


def test_an_unknown_model(servers: Servers) -> None:
    """A store is not made with a model that nobody serves."""
    asked: Any = {"extra_body": {"embedding_model": "no-such-model-here"}}
    named: Any = {"param": "embedding_model", "code": "model_not_found", "error": openai.NotFoundError}
    refused(lambda: servers.without_upstreams().client.vector_stores.create(**asked), **named)


@pytest.mark.parametrize(
    ("path", "body", "param", "code"),
    [
        ("", {"name": 1}, "name", "invalid_type"),
        ("", {"metadata": {str(n): "x" for n in range(17)}}, "metadata", "invalid_value"),
        ("", {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor", "invalid_value"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days", "invalid_value"),
        ("", {"chunking_strategy": {"type": "other"}}, "chunking_strategy.type", "invalid_value"),
        ("", {"embedding_dimensions": 12}, "embedding_dimensions", "invalid_value"),
        ("", {"file_ids": ["x"] * 2001}, "file_ids", "invalid_value"),
        ("/search", {}, "query", "missing_required_parameter"),
        ("/search", {"query": []}, "query", "invalid_value"),
        ("/search", {"query": ["a", 1]}, "query[1]", "invalid_type"),
        ("/search", {"query": "a", "max_num_results": 51}, "max_num_results", "invalid_value"),
        ("/search", {"query": "a", "max_num_results": 0}, "max_num_results", "invalid_value"),
        ("/search", {"query": "a", "rewrite_query": True}, "rewrite_query", "unsupported_parameter"),
        ("/search", {"query": "a", "ranking_options": {"ranker": "x"}}, "ranking_options.ranker", "invalid_value"),
        (
            "/search",
            {"query": "a", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
            "invalid_value",
        ),
        (
            "/search",
            {"query": "a", "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
            "invalid_value",
        ),
        ("/search", {"query": "a", "filters": {"type": "like"}}, "filters.type", "invalid_value"),
        (
            "/search",
            {"query": "a", "filters": {"type": "and", "filters": [{"type": "eq", "key": 1, "value": 2}]}},
            "filters.filters[0].key",
            "invalid_type",
        ),
        ("/files", {}, "file_id", "missing_required_parameter"),
        ("/files", {"file_id": "f", "attributes": {"k" * 65: 1}}, "attributes." + "k" * 65, "invalid_value"),
        ("/files", {"file_id": "f", "attributes": {"k": "v" * 513}}, "attributes.k", "invalid_value"),
        ("/files", {"file_id": "f", "attributes": {"k": [1]}}, "attributes.k", "invalid_type"),
        ("/files", {"file_id": "f", "attributes": {str(n): n for n in range(17)}}, "attributes", "invalid_value"),
        (
            "/files",
            {
                "file_id": "f",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 101, "chunk_overlap_tokens": 51},
                },
            },
            "chunking_strategy.static.chunk_overlap_tokens",
            "invalid_value",
        ),
        (
            "/files",
            {
                "file_id": "f",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0},
                },
            },
            "chunking_strategy.static.max_chunk_size_tokens",
            "invalid_value",
        ),
        ("/file_batches", {}, "file_ids", "missing_required_parameter"),
        ("/file_batches", {"file_ids": ["a"], "files": [{"file_id": "a"}]}, "files", "mutually_exclusive_parameters"),
        ("/file_batches", {"file_ids": ["x"] * 2001}, "file_ids", "invalid_value"),
        ("/file_batches", {"files": [{"file_id": "a"}, {"file_id": "a"}]}, "files[1].file_id", "invalid_value"),
        ("/file_batches", {"files": [{"attributes": {}}]}, "files[0].file_id", "missing_required_parameter"),
        (
            "/file_batches",
            {"files": [{"file_id": "a", "attributes": {"k": {}}}]},
            "files[0].attributes.k",
            "invalid_type",
        ),
    ],
)
def test_what_is_refused(server: Server, path: str, body: Any, param: str, code: str) -> None:
    """A wrong request is a 400 that names the JSON path."""
    known = server.client.vector_stores.create().id if path else ""
    reply = server.http.post(f"/v1/vector_stores{'/' if path else ''}{known}{path}", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (400, param, code), error["message"]


@covers("endpoint:GET /v1/vector_stores/{id}/files", "endpoint:POST /v1/vector_stores/{id}/file_batches")
def test_one_broken_file_among_good_ones(client: openai.OpenAI) -> None:
    """It fails alone, and says why; the others are found."""
    store = client.vector_stores.create()
    files = [
        ("tea.md", TEA.encode()),
        ("broken.pdf", b"%PDF-1.7 and nothing that a PDF has"),
        ("ships.txt", SHIPS.encode()),
        ("program.exe", b"MZ\x00\x01\x02\x03\xff\xfe" * 9),
        ("empty.txt", b""),
    ]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=files, poll_interval_ms=20)
    assert batch.status == "completed"
    assert dump(batch)["file_counts"] == {**NONE, "completed": 2, "failed": 3, "total": 5}
    failed = {
        client.files.retrieve(one.id).filename: one.last_error
        for one in client.vector_stores.files.list(store.id, filter="failed")
    }
    codes = {name: error.code for name, error in failed.items() if error is not None}
    assert codes == {"broken.pdf": "invalid_file", "program.exe": "unsupported_file", "empty.txt": "invalid_file"}
    assert all(error is not None and error.message for error in failed.values())
    assert found(client, store, "at what time does the last boat go?")[0] == SHIPS
    for file in client.vector_stores.files.list(store.id, filter="failed"):
        assert list(client.vector_stores.files.content(file.id, vector_store_id=store.id)) == []
        assert file.usage_bytes == 0


@covers(
    "endpoint:POST /v1/vector_stores/{id}/file_batches",
    "endpoint:GET /v1/vector_stores/{id}/file_batches/{batch}",
    "endpoint:GET /v1/vector_stores/{id}/file_batches/{batch}/files",
)
def test_files_of_a_batch_have_their_own_settings(client: openai.OpenAI) -> None:
    """Attributes and chunking of each ``files`` entry are its own; those for all are for ``file_ids``."""
    store, batches = client.vector_stores.create(), client.vector_stores.file_batches
    small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 10}}
    one, two, three = upload(client, TEA), upload(client, " ".join([SHIPS] * 20)), upload(client, OWLS)
    batch = batches.create_and_poll(
        store.id,
        files=[{"file_id": one, "attributes": {"n": 1}}, {"file_id": two, "chunking_strategy": small}],
        attributes={"ignored": True},
        poll_interval_ms=20,
    )
    assert dump(batch) == {
        "id": batch.id,
        "object": "vector_store.files_batch",
        "created_at": batch.created_at,
        "vector_store_id": store.id,
        "status": "completed",
        "file_counts": {**NONE, "completed": 2, "total": 2},
    }
    both = batches.create_and_poll(store.id, file_ids=[two, three, three], attributes={"n": 3}, poll_interval_ms=20)
    assert dump(both)["file_counts"] == {**NONE, "completed": 2, "total": 2}
    shown = {file.id: dump(file) for file in client.vector_stores.files.list(store.id)}
    assert {name: file["attributes"] for name, file in shown.items()} == {one: {"n": 1}, two: {"n": 3}, three: {"n": 3}}
    # Named again without its own chunking, it was cut anew.
    assert {name: file["chunking_strategy"] for name, file in shown.items()} == dict.fromkeys((one, two, three), AUTO)
    listed = [file.id for file in batches.list_files(batch.id, vector_store_id=store.id, limit=1)]
    assert sorted(listed) == sorted([one, two])
    page = batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    assert page.data == []
    assert dump(batches.retrieve(batch.id, vector_store_id=store.id))["file_counts"]["total"] == 2


def test_static_chunks(client: openai.OpenAI) -> None:
    """Chunks of the size that was asked for, which is also shown."""
    store = client.vector_stores.create()
    small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    file = put(client, store, " ".join([SHIPS, TEA, OWLS] * 10), chunking_strategy=small)
    assert dump(file)["chunking_strategy"] == small
    texts = [one.text for one in client.vector_stores.files.content(file.id, vector_store_id=store.id)]
    assert len(texts) > 3
    assert "".join(texts) == " ".join([SHIPS, TEA, OWLS] * 10)
    assert len(found(client, store, "owls", max_num_results=3)) == 3


def test_a_file_that_is_put_in_twice(client: openai.OpenAI) -> None:
    """It is there once. Cut otherwise it is read anew, and one that had failed is tried again."""
    store, files = client.vector_stores.create(), client.vector_stores.files
    file = put(client, store, TEA, attributes={"a": 1})
    again = files.create(store.id, file_id=file.id)
    assert again == file
    other = files.create(store.id, file_id=file.id, attributes={"a": 2})
    assert dump(other) == {**dump(file), "attributes": {"a": 2}}
    small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    anew = files.create_and_poll(file.id, vector_store_id=store.id, chunking_strategy=small)
    assert dump(anew) == {**dump(other), "chunking_strategy": small}
    assert found(client, store, "tea") == [TEA]
    bad = put(client, store, b"%PDF-1.7 nothing", "bad.pdf")
    assert bad.status == "failed"
    assert files.create(store.id, file_id=bad.id).status == "in_progress"
    assert files.poll(bad.id, vector_store_id=store.id).status == "failed"
    assert counts(client, store) == {**NONE, "completed": 1, "failed": 1, "total": 2}


def test_files_are_taken_along(client: openai.OpenAI) -> None:
    """A store that is made with files reads them; deleting the file takes it out of every store."""
    file_id = upload(client, TEA)
    stores = [client.vector_stores.create(file_ids=[file_id]) for _ in range(2)]
    for store in stores:
        client.vector_stores.files.poll(file_id, vector_store_id=store.id, poll_interval_ms=20)
        assert found(client, store, "tea") == [TEA]
    client.files.delete(file_id)
    for store in stores:
        assert found(client, store, "tea") == []
        assert counts(client, store) == NONE


@covers("endpoint:POST /v1/vector_stores/{id}/search")
def test_search(client: openai.OpenAI) -> None:
    """By meaning and by words; several questions, filters, thresholds, weights and numbers of results."""
    store = made(client, [TEA, SHIPS, OWLS])
    files = {client.files.retrieve(one.id).filename: one.id for one in client.vector_stores.files.list(store.id)}
    for n, name in enumerate(("0.txt", "1.txt", "2.txt")):
        client.vector_stores.files.update(
            files[name], vector_store_id=store.id, attributes={"n": n, "even": n % 2 == 0}
        )
    assert found(client, store, "a bird that looks for its prey in the evening")[0] == OWLS
    assert found(client, store, "quay", ranking_options={"ranker": "none"})[0] == SHIPS
    assert set(found(client, store, ["hot drinks", "birds of prey"], max_num_results=2)) == {TEA, OWLS}
    page = client.vector_stores.search(store.id, query=["one", "two"])
    assert page.model_extra is not None
    assert page.model_extra["search_query"] == ["one", "two"]
    even: Any = {"type": "eq", "key": "even", "value": True}
    some: Any = {"type": "and", "filters": [even, {"type": "gt", "key": "n", "value": 0}]}
    assert set(found(client, store, "green tea, barn owls", filters=even)) == {TEA, OWLS}
    assert found(client, store, "owls and tea", filters=some) == [OWLS]
    assert found(client, store, "owls", ranking_options={"score_threshold": 0.999}) == []
    assert len(found(client, store, "owls", max_num_results=1)) == 1
    words: Any = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    assert found(client, store, "voles", ranking_options=words) == [OWLS]
    assert found(client, store, "rodents", ranking_options=words) == []
    meaning: Any = {"alpha": 1}
    assert found(client, store, "rodents that are hunted by a bird", ranking_options=meaning)[0] == OWLS
    assert found(client, store, "voles", ranking_options={"ranker": "rrf"})[0] == OWLS  # type: ignore[typeddict-item]


def test_scores_fall(client: openai.OpenAI) -> None:
    """The best first, each from 0 to 1; and no text twice, however many questions find it."""
    store = made(client, [TEA, SHIPS, OWLS])
    data = client.vector_stores.search(store.id, query=["tea", "green tea", "owls at night"]).data
    scores = [one.score for one in data]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len({one.file_id for one in data}) == len(data) == 3


@covers("endpoint:POST /v1/vector_stores/{id}/file_batches/{batch}/cancel")
def test_a_batch_that_is_cancelled(client: openai.OpenAI) -> None:
    """What is not read yet is not read any more, what is there stays, and a second time changes nothing."""
    store, batches = client.vector_stores.create(), client.vector_stores.file_batches
    ids = [upload(client, f"{TEA} {n}") for n in range(12)]
    batch = batches.create(store.id, file_ids=ids)
    assert (batch.status, batch.file_counts.total) == ("in_progress", 12)
    cancelled = batches.cancel(batch.id, vector_store_id=store.id)
    assert cancelled.status == "cancelled"
    assert cancelled.file_counts.in_progress == 0
    assert cancelled.file_counts.cancelled > 0
    assert cancelled.file_counts.cancelled + cancelled.file_counts.completed == 12
    assert batches.cancel(batch.id, vector_store_id=store.id) == cancelled
    assert batches.poll(batch.id, vector_store_id=store.id) == cancelled
    there = {one.id for one in client.vector_stores.files.list(store.id, filter="completed")}
    assert len(there) == cancelled.file_counts.completed
    results = client.vector_stores.search(store.id, query="tea", max_num_results=50).data
    assert {one.file_id for one in results} == there
    whole = batches.create_and_poll(store.id, file_ids=ids, poll_interval_ms=20)
    assert dump(whole)["file_counts"] == {**NONE, "completed": 12, "total": 12}


def test_a_done_batch_is_not_cancelled(client: openai.OpenAI) -> None:
    """There is nothing to cancel, so it stays what it is."""
    store, batches = client.vector_stores.create(), client.vector_stores.file_batches
    batch = batches.create_and_poll(store.id, file_ids=[upload(client, TEA)], poll_interval_ms=20)
    assert batches.cancel(batch.id, vector_store_id=store.id) == batch


def test_a_batch_of_which_every_file_failed(client: openai.OpenAI) -> None:
    """Has failed."""
    store = client.vector_stores.create()
    batch = client.vector_stores.file_batches.create_and_poll(
        store.id, file_ids=[upload(client, b"", "empty.txt")], poll_interval_ms=20
    )
    assert batch.status == "failed"


def test_pollers_are_told_when_to_ask(server: Server) -> None:
    """The header goes to those who say that they poll."""
    store = server.client.vector_stores.create().id
    path, header = f"/v1/vector_stores/{store}", "openai-poll-after-ms"
    polling = server.http.get(path, headers={"X-Stainless-Poll-Helper": "true"})
    assert int(polling.headers[header]) > 0
    assert header not in server.http.get(path).headers


def test_deleting_a_store_leaves_the_files(client: openai.OpenAI) -> None:
    """And the same file in another store."""
    file_id = upload(client, TEA)
    gone, other = (client.vector_stores.create(file_ids=[file_id]) for _ in range(2))
    client.vector_stores.files.poll(file_id, vector_store_id=other.id, poll_interval_ms=20)
    client.vector_stores.delete(gone.id)
    refused(lambda: found(client, gone, "tea"), param="vector_store_id", **UNKNOWN)
    assert found(client, other, "tea") == [TEA]
    assert client.files.retrieve(file_id).id == file_id


def test_a_header_for_the_beta_means_nothing(server: Server) -> None:
    """SDKs send it, others need not."""
    for headers in ({}, {"OpenAI-Beta": "assistants=v2"}, {"OpenAI-Beta": "x"}):
        assert server.http.get("/v1/vector_stores", headers=headers).status_code == 200
