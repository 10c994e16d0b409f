"""What real clients require of a stream, as a checker that knows nothing of the code that makes it.

Reads the events as plain JSON, in order, and raises ``AssertionError`` with the rule that was broken.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_LIFECYCLE = ("response.created", "response.in_progress")
_ENDS = {
    "response.completed": {"completed"},
    "response.failed": {"failed"},
    "response.incomplete": {"incomplete", "cancelled"},
}
#: By item type: what must be empty in ``added``, and the texts its events grow: (stem, key of .done, index key).
_EMPTY: dict[str, Json] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}
_NEEDED: dict[str, set[str]] = {
    "message": {"id", "status", "role", "content"},
    "reasoning": {"id", "status", "summary"},
    "function_call": {"id", "status", "call_id", "name", "arguments"},
    "custom_tool_call": {"id", "status", "call_id", "name", "input"},
}
_CALL_STEMS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
#: By part type: its text events' stem, their done key, the part events' stem, the index key.
_PARTS = {
    "output_text": ("response.output_text", "text", "response.content_part", "content_index"),
    "refusal": ("response.refusal", "refusal", "response.content_part", "content_index"),
    "reasoning_text": ("response.reasoning_text", "text", "response.content_part", "content_index"),
    "summary_text": ("response.reasoning_summary_text", "text", "response.reasoning_summary_part", "summary_index"),
}


def check(events: list[Json], *, dialect: str = "openai") -> list[Json]:
    """The items of a whole stream that keeps every rule."""
    assert [event["sequence_number"] for event in events] == list(range(len(events))), "numbers count from 0"
    assert tuple(event["type"] for event in events[:2]) == _LIFECYCLE, "created, then in_progress"
    for event in events[:2]:
        assert event["response"]["status"] == "in_progress"
        assert event["response"]["output"] == []
    end = len(events) - 1
    if events[-1]["type"] == "response.failed":
        end -= 1
        _check_error(events[end], events[-1])
    items = _Items(dialect)
    for event in events[2:end]:
        items.take(event)
    assert items.open is None, "an item was left open"
    _check_end(events[-1], items.done)
    _check_lifecycle([event for event in events if "response" in event])
    return items.done


def _check_lifecycle(events: list[Json]) -> None:
    first = events[0]["response"]
    keys = set(first)
    for event in events:
        response = event["response"]
        assert set(response) == keys, "every Response has every key"
        assert (response["id"], response["model"]) == (first["id"], first["model"]), "one id, one model"
        assert isinstance(response["created_at"], int)
        assert isinstance(response["output"], list)
    assert len(events) == 3, "two lifecycle events, and one that ends"


def _check_error(error: Json, failed: Json) -> None:
    assert error["type"] == "error", "an error event precedes response.failed"
    flat = {key: error[key] for key in ("code", "message", "param")}
    assert flat == {key: error["error"][key] for key in flat}, "flat and nested say the same"
    assert isinstance(error["error"]["type"], str)
    told = failed["response"]["error"]
    assert told["message"] == error["message"]
    assert isinstance(told["code"], str)
    assert isinstance(told["type"], str)


def _check_end(event: Json, items: list[Json]) -> None:
    assert event["type"] in _ENDS, f"ends with {event['type']}"
    response = event["response"]
    assert response["status"] in _ENDS[event["type"]]
    assert response["usage"] is not None, "every terminal response has usage"
    assert {"input_tokens_details", "output_tokens_details"} <= set(response["usage"])
    assert response["output"] == items, "the terminal event repeats every item as its done said"
    assert (response["error"] is not None) == (response["status"] == "failed")
    assert (response["incomplete_details"] is not None) == (response["status"] == "incomplete")
    assert (response["completed_at"] is not None) == (response["status"] == "completed")
    for item in items[:-1]:
        assert item["status"] == "completed", "only the last item may be incomplete"
    if response["status"] == "completed":
        assert all(item["status"] == "completed" for item in items)


class _Items:
    """The items between the opening and the end, one at a time."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.done: list[Json] = []
        self.open: _Item | None = None
        self._ids: set[str] = set()
        self._call_ids: set[str] = set()

    def take(self, event: Json) -> None:
        if event["type"] == "response.output_item.added":
            assert self.open is None, "items never overlap"
            assert event["output_index"] == len(self.done), "output_index has no gaps"
            self.open = _Item(event["item"], event["output_index"], self.dialect)
            assert event["item"]["id"] not in self._ids, "item ids are unique"
            self._ids.add(event["item"]["id"])
            call_id = event["item"].get("call_id")
            assert call_id not in self._call_ids, "call ids are unique"
            self._call_ids.update([call_id] if call_id else [])
            return
        assert self.open is not None, f"{event['type']} outside of an item"
        assert event["output_index"] == len(self.done), "the open item's index"
        if event["type"] == "response.output_item.done":
            self.open.finish(event["item"])
            self.done.append(event["item"])
            self.open = None
        else:
            assert event["item_id"] == self.open.item["id"], "one id from added to done"
            self.open.take(event)


class _Item:
    """One item from added to done."""

    def __init__(self, item: Json, index: int, dialect: str) -> None:
        self.item = item
        self.kind = item["type"]
        self.dialect = dialect
        self.parts: list[Json] = []
        self.said: str | None = None  # of a call, once done
        self.pieces: list[str] = []
        self.logprobs: list[Json] = []
        self.part: Json | None = None
        self.part_text: str | None = None  # of the open part, once done
        assert item["status"] == "in_progress"
        _check_item(item)
        assert {key: item[key] for key in _EMPTY[self.kind]} == _EMPTY[self.kind], "items begin empty"
        assert item.get("content", []) == []

    def take(self, event: Json) -> None:
        assert self.said is None, "nothing between the done of a call's text and that of the item"
        if self.kind in _CALL_STEMS:
            stem, key = _CALL_STEMS[self.kind]
            if event["type"] == stem + ".delta":
                self.pieces.append(event["delta"])
            else:
                assert event["type"] == stem + ".done", event["type"]
                self.said = event[key]
                assert self.said == "".join(self.pieces), "done repeats the deltas"
            return
        if self.part is None:
            self._begin_part(event)
        else:
            self._grow_part(event)

    def _begin_part(self, event: Json) -> None:
        part = event["part"]
        _, key, part_stem, index_key = _PARTS[part["type"]]
        assert event["type"] == part_stem + ".added", event["type"]
        assert event[index_key] == len(self.parts), "part indexes count"
        assert part[key] == "", "parts begin empty"
        assert (part["type"] in ("output_text", "refusal")) == (self.kind == "message")
        _check_part(part)
        self.part, self.part_text, self.pieces, self.logprobs = part, None, [], []

    def _grow_part(self, event: Json) -> None:
        assert self.part is not None
        stem, key, part_stem, index_key = _PARTS[self.part["type"]]
        if self.dialect == "open-responses" and stem == "response.reasoning_text":
            stem = "response.reasoning"
        assert event[index_key] == len(self.parts), "the open part's index"
        if event["type"] == stem + ".delta":
            assert self.part_text is None, "no delta after done"
            self.pieces.append(event["delta"])
            if stem == "response.output_text":
                self.logprobs += event["logprobs"]
        elif event["type"] == stem + ".done":
            assert self.part_text is None, "done comes once"
            self.part_text = event[key]
            assert self.part_text == "".join(self.pieces), "done repeats the deltas"
            if stem == "response.output_text":
                assert event["logprobs"] == self.logprobs
        else:
            assert event["type"] == part_stem + ".done", event["type"]
            assert event["part"]["type"] == self.part["type"]
            assert event["part"][key] == self.part_text, "the part repeats its text"
            assert event["part"].get("logprobs", []) == self.logprobs
            _check_part(event["part"])
            self.parts.append(event["part"])
            self.part = None

    def finish(self, item: Json) -> None:
        _check_item(item)
        assert item["status"] in ("completed", "incomplete")
        for key in ("id", "type", "role", "call_id", "name", "namespace"):
            assert item.get(key) == self.item.get(key), f"{key} changed between added and done"
        if self.kind in _CALL_STEMS:
            assert self.said is not None, "the done of the call's text is missing"
            assert item[_CALL_STEMS[self.kind][1]] == self.said
            return
        assert self.part is None, "a part was left open"
        assert self.parts, "an item of text has a part"
        told = [*item["summary"], *item.get("content", [])] if self.kind == "reasoning" else item["content"]
        assert told == self.parts, "the item repeats its parts"


def _check_item(item: Json) -> None:
    assert set(item) >= _NEEDED[item["type"]], item
    assert _NEEDED[item["type"]] | {"type", "content", "encrypted_content", "namespace"} >= set(item), item
    _no_nulls(item)
    for part in [*item.get("content", []), *item.get("summary", [])]:
        _check_part(part)


def _check_part(part: Json) -> None:
    _no_nulls(part)
    if part["type"] == "output_text":
        assert part["annotations"] == []
        assert isinstance(part["logprobs"], list)


def _no_nulls(value: Any) -> None:
    assert value is not None, "absent, never null"
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_nulls(inner)
