"""Whether a live answer still has the shape of the recorded one: keys, types, finish reasons and tool calls, not words.

What a model says differs from run to run, and so do the number of chunks and the fields that are null or empty: none of
that is drift. A status, a field that came or went, a value of another type, another finish reason, other tools called
or other arguments in them, vectors of another length, or a stream that ends otherwise, is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from antiphon.tape.model import HttpResponse, Json, Response, ToolResponse

_decode = msgspec.json.Decoder().decode

#: Drift beyond this many sentences is one big change; the rest is counted.
MOST = 40

#: Fields that say why an answer ended, in the dialects that stream.
_FINISH = ("finish_reason", "stop_reason", "finishReason", "done_reason")
_CALL_ITEMS = frozenset({"function_call", "tool_use", "custom_tool_call"})


def compare(recorded: Response, live: Response) -> list[str]:
    """Each difference in shape as a sentence without values of the answer but short words; empty when there is none."""
    if isinstance(recorded, ToolResponse) or isinstance(live, ToolResponse):
        found = list(_tools(recorded, live))
    else:
        found = list(_http(recorded, live))
    if len(found) > MOST:
        found = [*found[:MOST], f"and {len(found) - MOST} more differences"]
    return found


def _tools(recorded: Response, live: Response) -> Iterator[str]:
    if not isinstance(recorded, ToolResponse) or not isinstance(live, ToolResponse):
        yield "one is the answer of a tool, the other one of HTTP"
        return
    was, now = recorded.error, live.error
    if was is not None or now is not None:
        if was is None or now is None or was.type != now.type:
            yield _changed("error", was and was.type, now and now.type)
        return
    yield from _schemas(_schema([recorded.result]), _schema([live.result]), "$")


def _http(recorded: HttpResponse, live: HttpResponse) -> Iterator[str]:
    if recorded.status != live.status:
        yield _changed("status", recorded.status, live.status)
    if recorded.end != live.end:
        yield _changed("end", recorded.end, live.end)
    media, now = _media(recorded), _media(live)
    if media != now:
        yield _changed("content-type", media or "none", now or "none")
        return
    was, came = _values(recorded), _values(live)
    if was is None or came is None:
        if (was is None) != (came is None):
            yield _changed("body", *("not JSON" if values is None else "JSON" for values in (was, came)))
        elif bool(recorded.content) != bool(live.content):
            yield _changed("body", *("not empty" if each.content else "empty" for each in (recorded, live)))
        return
    yield from _meaning(was, came)
    for kind in _union(was, came):
        path = f"${{{kind}}}" if kind else "$"
        if kind not in came:
            yield f"{path}: no such event any more"
        elif kind not in was:
            yield f"{path}: a new kind of event"
        else:
            yield from _schemas(_schema(was[kind]), _schema(came[kind]), path)


def _media(response: HttpResponse) -> str:
    for name, value in response.headers:
        if name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return ""


def _values(response: HttpResponse) -> dict[str, list[Json]] | None:
    """The JSON values of the body by kind of event, or under ``""`` when it is no event stream; None: not JSON."""
    content = response.content
    if _media(response) == "text/event-stream":
        return _events(content)
    lines = [content] if _media(response) != "application/x-ndjson" else content.splitlines()
    try:
        return {"": [_decode(line) for line in lines if line.strip()]}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _events(content: bytes) -> dict[str, list[Json]]:
    """Events by their name, else the ``type`` or ``object`` of their data, else the word that they are."""
    found: dict[str, list[Json]] = {}
    for block in content.replace(b"\r\n", b"\n").split(b"\n\n"):
        name, data = "", []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"event":
                name = value.strip().decode("utf-8", "replace")
            elif field == b"data":
                data.append(value.removeprefix(b" "))
        if not data:
            continue
        try:
            value_ = _decode(b"\n".join(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found.setdefault(b"\n".join(data).decode("utf-8", "replace")[:20], []).append(None)
            continue
        found.setdefault(name or _kind(value_), []).append(value_)
    return found


def _kind(value: Json) -> str:
    if isinstance(value, dict):
        if "error" in value and "choices" not in value:
            return "error"
        for field in ("type", "object"):
            if isinstance(value.get(field), str):
                return str(value[field])
    return ""


# -- what the answer means


def _meaning(was: dict[str, list[Json]], now: dict[str, list[Json]]) -> Iterator[str]:
    for name, read in (("finish reason", _finishes), ("tool calls", _calls)):
        before, after = read(was), read(now)
        if before != after:
            yield _changed(name, ", ".join(before) or "none", ", ".join(after) or "none")


def _finishes(values: dict[str, list[Json]]) -> list[str]:
    found = []
    for node in _nodes(values):
        found += [str(node[field]) for field in _FINISH if node.get(field)]
    return found


def _calls(values: dict[str, list[Json]]) -> list[str]:
    """Each call as ``name(argument, argument)``, in order; the pieces of a streamed one are joined by its index."""
    calls: dict[Any, tuple[list[str], list[str]]] = {}
    for node in _nodes(values):
        if node.get("type") in _CALL_ITEMS and isinstance(node.get("name"), str):
            # Streams say an item several times; the last time it is whole.
            key = node.get("call_id") or node.get("id") or len(calls)
            calls[key] = ([node["name"]], [_text(node.get("arguments", node.get("input")))])
        for position, call in enumerate(_list(node.get("tool_calls"))):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                index = call.get("index", position)
                names, pieces = calls.setdefault(("chat", index), ([], []))
                names += [function["name"]] if isinstance(function.get("name"), str) else []
                pieces.append(_text(function.get("arguments")))
    return [f"{''.join(names)}({', '.join(_arguments(''.join(pieces)))})" for names, pieces in calls.values()]


def _arguments(text: str) -> list[str]:
    try:
        value = _decode(text or "{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ["not JSON"]
    return sorted(value) if isinstance(value, dict) else ["not an object"]


def _text(value: Json) -> str:
    if value is None or value == {}:  # a call that has only begun
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _nodes(values: dict[str, list[Json]]) -> Iterator[dict[str, Any]]:
    """Every object in the values, the outer before the inner."""
    waiting: list[Json] = [value for each in reversed(values.values()) for value in reversed(each)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


# -- keys and types


class _Schema(msgspec.Struct):
    """What a place holds, over all values seen there. ``lengths`` are those of vectors."""

    types: set[str]
    fields: dict[str, _Schema]
    items: _Schema | None = None
    lengths: set[int] = msgspec.field(default_factory=set)


def _schema(values: Sequence[Json]) -> _Schema:
    """The shape of several values at one place. Null says nothing, so it is not a type."""
    schema = _Schema(set(), {})
    fields: dict[str, list[Json]] = {}
    items: list[Json] = []
    for value in values:
        if isinstance(value, dict):
            schema.types.add("object")
            for name, each in value.items():
                fields.setdefault(name, []).append(each)
        elif isinstance(value, list):
            schema.types.add("list")
            if len(value) > 1 and all(type(each) in (int, float) for each in value):
                schema.lengths.add(len(value))
            items += value
        elif value is not None:
            schema.types.add(_TYPES[type(value)])
    schema.fields = {name: _schema(each) for name, each in fields.items()}
    schema.items = _schema(items) if items else None
    return schema


_TYPES = {str: "string", bool: "boolean", int: "number", float: "number"}


def _schemas(was: _Schema, now: _Schema, path: str) -> Iterator[str]:
    if not was.types or not now.types:
        return  # null on one side
    if not was.types & now.types:
        yield _changed(path, *(" or ".join(sorted(each.types)) for each in (was, now)))
        return
    if was.lengths and now.lengths and len(was.lengths | now.lengths) > 1 and _vectors(path):
        yield _changed(f"{path} length", *("/".join(map(str, sorted(each.lengths))) for each in (was, now)))
    if was.items is not None and now.items is not None:
        yield from _schemas(was.items, now.items, f"{path}[*]")
    for name in _union(was.fields, now.fields):
        before, after = was.fields.get(name), now.fields.get(name)
        if before is None or after is None:
            # A field that is null or empty, and one that is absent, tell a client the same.
            if (before or after) and (before or after).types:  # type: ignore[union-attr]
                yield f"{path}.{name}: {'is new' if before is None else 'is missing'}"
        else:
            yield from _schemas(before, after, f"{path}.{name}")


def _vectors(path: str) -> bool:
    """Token ids and byte lists are as long as the words; a vector has the length of its model."""
    return path.endswith("embedding") or "embeddings" in path


def _union(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [*was, *(name for name in now if name not in was)]


def _changed(what: str, was: object, now: object) -> str:
    return f"{what}: {was} became {now}"
