"""What a result becomes for the model and for the item, and which list of tools is used again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.mcp.entry import read_entry
from antiphon.tools.mcp.listing import Listed, allowed, listed, listed_before
from antiphon.tools.mcp.results import read

TEXT = st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=5))
IMAGE = st.just({"type": "image", "mimeType": "image/png", "data": "AAAA"})
OTHER = st.sampled_from(
    [
        {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "image/gif", "blob": "AAAA"}},
        {"type": "resource", "resource": {"uri": "file:///a", "blob": "AAAA"}},
        {"type": "resource_link", "uri": "file:///a", "name": "a"},
        {"type": "unheard-of", "x": 1},
    ]
)
CONTENT = st.lists(TEXT | IMAGE | OTHER, max_size=4)


@given(CONTENT, st.booleans())
def test_every_result_is_read(content: list[dict[str, Any]], failed: bool) -> None:
    """An item has an output or an error; the model gets text, or parts when there is an image and no failure."""
    reading = read({"content": content, "failed": failed}, "one")
    assert (reading.output is None) == failed
    assert (reading.error is not None) == failed
    images = sum("image/" in str(block) for block in content)
    if images and not failed:
        assert isinstance(reading.shown, list)
        assert sum(part["type"] == "image_url" for part in reading.shown) == images
        assert len(reading.shown) == len(content)
    else:
        assert isinstance(reading.shown, str)
    if failed:
        assert reading.error == {"type": "mcp_tool_execution_error", "content": content}


def test_images_become_data_urls() -> None:
    """In their place among the texts; the item's output, which is text, names them."""
    image = {"type": "image", "mimeType": "image/png", "data": "AAAA"}
    reading = read({"content": [{"type": "text", "text": "look"}, image], "failed": False}, "one")
    assert reading.shown == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert reading.output == "look\n[image: image/png]"


def test_structure() -> None:
    """It is read where the server gave nothing else, and not told twice."""
    only = read({"content": [], "failed": False, "structured": {"a": "ä"}}, "one")
    assert (only.shown, only.output) == ('{"a": "ä"}', '{"a": "ä"}')
    both = read({"content": [{"type": "text", "text": "a is ä"}], "failed": False, "structured": {"a": "ä"}}, "one")
    assert both.shown == "a is ä"


def test_errors_are_told_in_words() -> None:
    """With the server's label, so that the model can say what is wrong."""
    error = {"type": "http_error", "code": 401, "message": "The server answered HTTP 401."}
    reading = read({"error": error}, "one")
    assert reading.error == error
    assert reading.shown == "The tool could not be called on the MCP server 'one'. The server answered HTTP 401."


TOOLS = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)


def item(names: list[str], label: str = "one", **more: Any) -> dict[str, Any]:
    """An ``mcp_list_tools`` item."""
    tools = [{"name": name, "input_schema": {}, "annotations": None} for name in names]
    return {"type": "mcp_list_tools", "id": "x", "server_label": label, "tools": tools, **more}


@given(TOOLS, st.none() | TOOLS)
def test_a_list_in_the_conversation_is_used_again(there: list[str], wanted: list[str] | None) -> None:
    """Where it has tools, and every one that is asked for by name; the latest of this label."""
    entry = read_entry({"server_label": "one", "server_url": "http://x/", "allowed_tools": wanted}, "tools[0]")
    before = [item(["z"]), item(there), item(["y"], label="other"), {"type": "message"}]
    again = listed_before(before, entry)
    assert (again is not None) == (bool(there) and set(wanted or ()) <= set(there))
    if again is not None:
        assert [tool.name for tool in allowed(again, entry)] == [n for n in there if wanted is None or n in wanted]


def test_a_list_that_failed_is_not() -> None:
    """Nor one that a client made up."""
    entry = read_entry({"server_label": "one", "server_url": "http://x/"}, "tools[0]")
    assert listed_before([item(["a"], error="no")], entry) is None
    assert listed_before([item([], tools="nonsense")], entry) is None
    assert listed_before([item([], tools=[1, {"name": 5}, {"name": "a"}])], entry) is None


def test_a_listed_tool_for_each_reader() -> None:
    """No null in the item; a whole function for the model."""
    (bare,) = listed([{"name": "a", "input_schema": {}}])
    assert bare.shown() == {"name": "a", "input_schema": {}}
    assert bare.definition() == {"name": "a", "description": "", "parameters": {"type": "object", "properties": {}}}
    (full,) = listed(2 * [{"name": "a", "input_schema": {"type": "object"}, "description": "d", "annotations": {}}])
    assert full.shown() == {"name": "a", "input_schema": {"type": "object"}, "description": "d", "annotations": {}}
    assert full.definition("Server.")["description"] == "Server.\n\nd"


def test_what_may_be_repeated() -> None:
    """A tool that only reads, or that does no more the second time; nothing else."""
    hints = [{"readOnlyHint": True}, {"idempotentHint": True}, {"readOnlyHint": False}, {}, {"idempotentHint": "yes"}]
    assert [Listed("a", {}, annotations=each).repeatable for each in hints] == [True, True, False, False, False]
