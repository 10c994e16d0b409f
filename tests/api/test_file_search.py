"""Files, vector stores and file search, from the upload to the citation, with the official SDK."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.files.parsing.documents import docx, pdf
from tests.server import Server
from tests.upstreams import FakeBackend, Gate, delta, text, tool_calls, usage

covers = pytest.mark.covers

Filled = Callable[..., tuple[str, dict[str, str]]]

MOON = "The moon base Aurora has forty-two inhabitants."
SOUP = "The soup of the day is made of beetroot and dill."
CALL = '{"queries": ["How many people live on the moon base?"]}'


@pytest.fixture
def filled(client: openai.OpenAI) -> Filled:
    """Makes a store of these files, by name and content, and waits until they are in it: its id, and the files' ids."""

    def filled(files: dict[str, bytes], **attributes: Any) -> tuple[str, dict[str, str]]:
        store = client.vector_stores.create(name="test")
        ids = {}
        for name, content in files.items():
            file = client.files.create(file=(name, io.BytesIO(content)), purpose="assistants")
            ids[name] = file.id
            made = client.vector_stores.files.create_and_poll(
                file.id, vector_store_id=store.id, attributes=attributes, poll_interval_ms=10
            )
            assert made.status == "completed", made.last_error
        return store.id, ids

    return filled


def ask(client: openai.OpenAI, *stores: str, **more: Any) -> Any:
    entry = {"type": "file_search", "vector_store_ids": list(stores), **more.pop("entry", {})}
    return client.responses.create(model="m", input="How many?", tools=[entry], **more)


def told(backend: FakeBackend) -> str:
    """What the model was told last."""
    content: str = backend.last["messages"][-1]["content"]
    return content


def test_from_the_upload_to_the_citation(client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """A PDF and a docx go in; the search finds the passage, its citation is an annotation, no marker is left."""
    store, ids = filled({"moon.pdf": pdf(MOON), "soup.docx": docx(SOUP)})
    backend.answer(*tool_calls(("c1", "file_search", CALL)))
    moon = ids["moon.pdf"]
    backend.answer(*text("Forty-two people live ", "there <|fi", f"le-{moon[5:]}|>", ". Yes <|file-none|>."))
    response = ask(client, store, include=["file_search_call.results"], entry={"max_num_results": 1})
    search, message = response.output
    assert (search.type, search.status, search.queries) == (
        "file_search_call", "completed", ["How many people live on the moon base?"],
    )  # fmt: skip
    (result,) = search.results
    assert (result.file_id, result.filename, result.attributes) == (moon, "moon.pdf", {})
    assert MOON in result.text
    assert 0 < result.score <= 1
    assert response.output_text == "Forty-two people live there. Yes."
    (part,) = message.content
    (cited,) = part.annotations
    assert cited.to_dict() == {"type": "file_citation", "file_id": moon, "filename": "moon.pdf", "index": 27}
    assert part.text[: cited.index] == "Forty-two people live there"
    assert f"<|{moon}|> moon.pdf" in told(backend)
    assert MOON in told(backend)
    # Without the include value the results are not there; a later turn of the chain still knows the file.
    assert client.responses.retrieve(response.id).output[0].results is not None
    backend.answer(*text(f"As I said <|{moon}|>."))
    again = client.responses.create(model="m", input="Sure?", previous_response_id=response.id)
    assert again.output_text == "As I said."
    assert [one.file_id for one in again.output[0].content[0].annotations] == [moon]


@covers(
    "event:response.file_search_call.in_progress",
    "event:response.file_search_call.searching",
    "event:response.file_search_call.completed",
)
def test_the_stream(server: Server, client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """The search is told step by step, and the citation when its place is known; no piece of a marker is ever sent."""
    store, ids = filled({"moon.md": MOON.encode()})
    backend.answer(*tool_calls(("c1", "file_search", CALL)))
    marker = f" <|{ids['moon.md']}|>"
    backend.answer(delta(content="Forty-two"), *(delta(content=one) for one in marker), delta(content="."), usage())
    entry = {"type": "file_search", "vector_store_ids": [store]}
    events = server.events({"model": "m", "input": "How many?", "tools": [entry]})
    kinds = [event["type"].removeprefix("response.") for event in events]
    begin = kinds.index("output_item.added")
    assert kinds[begin : begin + 5] == [
        "output_item.added",
        *(f"file_search_call.{step}" for step in ("in_progress", "searching", "completed")),
        "output_item.done",
    ]
    assert {event["output_index"] for event in events[begin : begin + 5]} == {0}
    assert [event["delta"] for event in events if event["type"].endswith("text.delta")] == ["Forty-two", "."]
    (cited,) = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert cited["annotation"]["index"] == len("Forty-two")
    search = events[-1]["response"]["output"][0]
    assert search == events[begin + 4]["item"]
    assert search["results"] is None


def test_one_ranking_of_several_stores(client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """The best passages come first, whichever store they are in, and all together are no more than was asked for."""
    one, first = filled({"moon.md": MOON.encode(), "soup.md": SOUP.encode()})
    two, second = filled({"mars.md": b"On the moon base nobody eats soup. It has no inhabitants from Mars."})
    for limit in (1, 2, 3):
        backend.answer(*tool_calls(("c1", "file_search", CALL)))
        include = ["file_search_call.results"]
        response = ask(client, one, two, include=include, entry={"max_num_results": limit})
        found = response.output[0].results
        assert len(found) == limit
        assert [result.score for result in found] == sorted((result.score for result in found), reverse=True)
        assert found[0].file_id == first["moon.md"]
    assert {result.file_id for result in found} == {*first.values(), *second.values()}


def test_filters(client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """Only files whose attributes fit are found, and the model sees the attributes."""
    store, _ = filled({"moon.md": MOON.encode()}, year=2031)
    for value, fits in ((2031, True), (2032, False)):
        backend.answer(*tool_calls(("c1", "file_search", CALL)))
        filters = {"type": "and", "filters": [{"type": "gte", "key": "year", "value": value}]}
        ask(client, store, entry={"filters": filters})
        assert (MOON in told(backend)) is fits
        assert ("year: 2031" in told(backend)) is fits
    assert told(backend).startswith("Nothing in the files fits ")


def test_what_is_wrong_is_told_before_the_model_is_asked(
    server: Server, client: openai.OpenAI, backend: FakeBackend
) -> None:
    """A store that is not there, and settings that make no sense, are refused by their place."""
    store = client.vector_stores.create(name="empty").id
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"vector_store_ids": [store, "vs_none"]}, 404, "tools[0].vector_store_ids[1]"),
        ({}, 400, "tools[0].vector_store_ids"),
        ({"vector_store_ids": []}, 400, "tools[0].vector_store_ids"),
        ({"vector_store_ids": [store], "max_num_results": 51}, 400, "tools[0].max_num_results"),
        (
            {"vector_store_ids": [store], "filters": {"type": "like", "key": "a", "value": 1}},
            400,
            "tools[0].filters.type",
        ),
        (
            {"vector_store_ids": [store], "ranking_options": {"score_threshold": 2}},
            400,
            "tools[0].ranking_options.score_threshold",
        ),
        (
            {
                "vector_store_ids": [store],
                "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}},
            },
            400,
            "tools[0].ranking_options.hybrid_search",
        ),
    ]
    for entry, status, param in refused:
        for stream in (False, True):
            body = {"model": "m", "input": "x", "tools": [{"type": "file_search", **entry}], "stream": stream}
            reply = server.http.post("/v1/responses", json=body)
            assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)
    assert backend.calls == []


def test_it_is_served(server: Server, client: openai.OpenAI, backend: FakeBackend) -> None:
    """It is not named among what nobody runs here, and can be forced; an empty store has no citations to make up."""
    store = client.vector_stores.create(name="empty").id
    entry = {"type": "file_search", "vector_store_ids": [store]}
    backend.answer(*tool_calls(("c1", "file_search", CALL)))
    backend.answer(*text("I do not know <|file-abc|>."))
    body = {"model": "m", "input": "x", "tools": [entry], "tool_choice": {"type": "file_search"}}
    reply = server.http.post("/v1/responses", json=body)
    assert "antiphon-unserved-tools" not in reply.headers
    assert backend.requests[0]["tool_choice"] == {"type": "function", "function": {"name": "file_search"}}
    message = reply.json()["output"][-1]["content"][0]
    assert (message["text"], message["annotations"]) == ("I do not know.", [])


def test_a_store_that_goes_away(client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """Where one of two stores cannot be searched, the item has failed and the model is told; nothing looks like an
    answer of fewer results."""
    one, _ = filled({"moon.md": MOON.encode()})
    two, _ = filled({"soup.md": SOUP.encode()})
    gate = Gate()
    backend.answer(gate, *tool_calls(("c1", "file_search", CALL)))
    backend.answer(*text("Sorry."))
    entry: Any = {"type": "file_search", "vector_store_ids": [one, two]}
    include: Any = ["file_search_call.results"]
    with client.responses.create(model="m", input="x", tools=[entry], include=include, stream=True) as stream:
        gate.reached()
        client.vector_stores.delete(two)
        gate.open()
        response: Any = list(stream)[-1].response
    assert response.status == "completed"
    assert (response.output[0].status, response.output[0].results) == ("failed", None)
    assert told(backend).startswith(f"The file search failed: No vector store found with id '{two}'")


def test_a_conversation_knows_its_files(client: openai.OpenAI, backend: FakeBackend, filled: Filled) -> None:
    """What was found in one turn may be cited in the next, which has no tools."""
    store, ids = filled({"moon.md": MOON.encode()})
    conversation = client.conversations.create()
    backend.answer(*tool_calls(("c1", "file_search", CALL)))
    backend.answer(*text("42."))
    ask(client, store, conversation=conversation.id)
    backend.answer(*text(f"It was 42 <|{ids['moon.md']}|> <|file-0123|>!"))
    response = client.responses.create(model="m", input="Sure?", conversation=conversation.id)
    assert response.output_text == "It was 42!"
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.type for item in items] == ["message", "file_search_call", "message", "message", "message"]
