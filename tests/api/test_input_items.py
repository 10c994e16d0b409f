"""``input_items``: pages of what one response was sent, in both orders, by cursors."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.api.talk import ask, dump, live, refused
from tests.server import Server
from tests.upstreams import FakeBackend, Gate, delta, text

covers = pytest.mark.covers


def numbered(count: int) -> list[Any]:
    """So many user messages, the n-th saying ``n``, each with an id of its own."""
    return [{"type": "message", "role": "user", "id": f"u{n}", "content": f"{n}"} for n in range(count)]


def ids(page: Any) -> list[str]:
    """Of the items on one page."""
    return [item.id for item in page.data]


@covers("endpoint:GET /v1/responses/{id}/input_items")
def test_pages(client: openai.OpenAI) -> None:
    """Newest first and 20 a page unless asked otherwise; the SDK's own paging reaches every item once."""
    made = ask(client, numbered(45))
    names = [f"u{n}" for n in range(45)]
    page = client.responses.input_items.list(made.id)
    assert ids(page) == names[:-21:-1]
    assert (page.has_more, dump(page)["first_id"], dump(page)["last_id"]) == (True, "u44", "u25")
    assert dump(page)["object"] == "list"
    assert [item.id for item in client.responses.input_items.list(made.id, limit=7)] == names[::-1]
    assert [item.id for item in client.responses.input_items.list(made.id, order="asc")] == names
    assert ids(client.responses.input_items.list(made.id, order="asc", limit=100)) == names


@covers("endpoint:GET /v1/responses/{id}/input_items")
def test_cursors(client: openai.OpenAI) -> None:
    """``after`` goes on behind that item in the asked order; the last page says so, and past it is an empty one."""
    made = ask(client, numbered(3))
    listing = client.responses.input_items
    assert ids(listing.list(made.id, order="asc", after="u0")) == ["u1", "u2"]
    assert ids(listing.list(made.id, after="u1")) == ["u0"]
    assert listing.list(made.id, after="u1").has_more is False
    empty = listing.list(made.id, after="u0")
    assert dump(empty) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    exact = listing.list(made.id, limit=3)
    assert (len(exact.data), exact.has_more) == (3, False)
    refused(lambda: listing.list(made.id, after="nobody"), param="after", code="invalid_cursor")


@covers("endpoint:GET /v1/responses/{id}/input_items")
@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"limit": "x"}, "limit"), ({"order": "sideways"}, "order")],
)
def test_wrong_queries(client: openai.OpenAI, query: dict[str, Any], param: str) -> None:
    """A 400 that names the parameter."""
    made = ask(client)
    refused(lambda: client.responses.input_items.list(made.id, **query), param=param, code="invalid_value")


def test_only_its_own_input(client: openai.OpenAI) -> None:
    """Not what came before it in the chain, not its instructions, not its output."""
    first = ask(client, "1")
    second = ask(client, "2", previous_response_id=first.id, instructions="rule")
    (item,) = client.responses.input_items.list(second.id).data
    assert dump(item)["content"] == [{"type": "input_text", "text": "2"}]
    third = client.responses.create(model="m", previous_response_id=second.id)
    assert client.responses.input_items.list(third.id).data == []


def test_of_a_response_that_runs(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The list waits for the end rather than saying that there is none."""
    gate = Gate()
    backend.answer(delta(content="one"), gate, *text("two"))
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
        gate.open()
        assert len(client.responses.input_items.list(created.response.id).data) == 1
        list(events)


def test_secrets_are_not_listed(client: openai.OpenAI, server: Server) -> None:
    """Credentials of tools among the items are neither kept nor shown."""
    tool = {
        "type": "mcp",
        "server_label": "s",
        "server_url": "http://h",
        "authorization": "hush",
        "headers": {"a": "hush"},
    }
    made = ask(
        client, [{"type": "additional_tools", "role": "developer", "tools": [tool]}, {"role": "user", "content": "x"}]
    )
    told = server.http.get(f"/v1/responses/{made.id}/input_items").text
    assert "hush" not in told
    assert "http://h" in told
