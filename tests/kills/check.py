"""What must be true after each restart: of each response over HTTP, and of every row in the database itself."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

from antiphon.wire.encode import data_of
from antiphon.wire.segments import decode
from tests.databases import query
from tests.kills.load import Conversation, Told
from tests.live.rawhttp import Connection, payload, sse
from tests.responses.grammar import check as check_grammar

_ENDED = ("completed", "failed", "incomplete", "cancelled")
_READERS = 8


async def expect_kept(port: int, told: Sequence[Told], chance: random.Random) -> tuple[int, int, int]:
    """Every promise is kept and nothing is half there: how many were promised, gone, and complete unasked."""
    counts = [0, 0, 0]
    waiting = list(told)

    async def reader() -> None:
        connection = await Connection.open(port)
        while waiting:
            one = waiting.pop()
            if one.body is not None:
                await _expect_promised(connection, one, chance)
                counts[0] += 1
            elif one.id:
                counts[2 if await _is_complete(connection, one) else 1] += 1
        await connection.close()

    await asyncio.gather(*(reader() for _ in range(_READERS)))
    return counts[0], counts[1], counts[2]


async def _expect_promised(connection: Connection, told: Told, chance: random.Random) -> None:
    path = f"/v1/responses/{told.id}"
    found = await connection.ask("GET", path)
    assert found.status == 200, f"{told.id} was acknowledged and is gone: {found.data!r}"
    assert found.json() == told.body
    events = await _replay(connection, path)
    assert payload(events[-1])["response"] == told.body
    if told.request["stream"]:
        assert events == told.events, "the replay is not what the client had received"
    for after in {chance.randrange(len(events)), chance.randrange(len(events))}:
        assert await _replay(connection, path, after) == events[after + 1 :]
    page = (await connection.ask("GET", f"{path}/input_items?order=asc")).json()
    (item,), (sent,) = page["data"], told.request["input"]
    said = item["output"] if "output" in item else item["content"][0]["text"]
    assert said == (sent.get("output") or sent["content"])


async def _is_complete(connection: Connection, told: Told) -> bool:
    """A response whose end its client did not see: absent, or all there and going on from what the client saw."""
    path = f"/v1/responses/{told.id}"
    found = await connection.ask("GET", path)
    if found.status == 404:
        for below in (f"{path}?stream=true", f"{path}/input_items"):
            assert (await connection.ask("GET", below)).status == 404
        return False
    assert found.status == 200
    response = found.json()
    assert response["status"] in _ENDED, "a half response is visible"
    events = await _replay(connection, path)
    check_grammar([payload(event) for event in events])
    assert payload(events[-1])["response"] == response
    assert events[: len(told.events)] == told.events, "the client was told something else before"
    return True


async def _replay(connection: Connection, path: str, after: int = -1) -> list[bytes]:
    reply = await connection.ask("GET", f"{path}?stream=true&starting_after={after}")
    assert reply.status == 200, reply.data
    *events, done = sse(reply.data)
    assert done == b"data: [DONE]\n\n"
    return events


async def expect_goes_on(port: int, conversations: Sequence[Conversation], chance: random.Random) -> None:
    """Each conversation can be continued, and the model is asked with all of it."""
    connection = await Connection.open(port)
    for conversation in conversations:
        told = conversation.next(chance, stream=False)
        reply = await connection.ask("POST", "/v1/responses", told.request)
        assert reply.status == 200, reply.data
        told.body = reply.json()
        conversation.after(told)
    await connection.close()


# -- the database itself

_TABLES = ("items", "steps", "journal", "item_blobs")
_COUNTS = """
SELECT r.id, r.status, r.item_count, r.result,
  (SELECT count(*) FROM items i WHERE i.owner = r.owner AND i.response_id = r.id),
  (SELECT coalesce(max(i.position), -1) + 1 FROM items i WHERE i.owner = r.owner AND i.response_id = r.id),
  (SELECT count(*) FROM steps s WHERE s.owner = r.owner AND s.response_id = r.id),
  (SELECT count(*) FROM journal j WHERE j.owner = r.owner AND j.response_id = r.id)
FROM responses r WHERE r.created_at >= {since}
"""
_JOURNAL = """
SELECT response_id, first_seq, last_seq, data FROM journal
WHERE created_at >= {since} ORDER BY response_id, first_seq
"""
_OUTPUT = """
SELECT i.response_id, i.data FROM items i JOIN responses r ON r.owner = i.owner AND r.id = i.response_id
WHERE r.created_at >= {since} AND i.direction = 'out' ORDER BY i.response_id, i.position
"""


async def expect_whole_rows(url: str, since: int = 0) -> int:
    """No row without its response, and each response since then has all of its rows; how many responses there are."""
    for table in _TABLES:
        owned = "SELECT 1 FROM responses r WHERE r.owner = t.owner AND r.id = t.response_id"
        orphans = await query(url, f"SELECT count(*) FROM {table} t WHERE NOT EXISTS ({owned})")
        assert orphans == [(0,)], f"{table} has rows without a response"
    logs: dict[str, list[tuple[int, int, bytes]]] = {}
    for response_id, first, last, data in await query(url, _JOURNAL.format(since=since)):
        logs.setdefault(response_id, []).append((first, last, bytes(data)))
    output: dict[str, list[Any]] = {}
    for response_id, data in await query(url, _OUTPUT.format(since=since)):
        output.setdefault(response_id, []).append(json.loads(bytes(data)))
    rows = await query(url, _COUNTS.format(since=since))
    for response_id, status, item_count, result, items, positions, steps, segments in rows:
        assert status in _ENDED
        assert item_count == items == positions
        assert (steps, segments) == (1, len(logs[response_id])), f"{response_id} lacks rows"
        _expect_log(logs[response_id], json.loads(bytes(result)), output[response_id])
    assert {row[0] for row in rows} >= logs.keys() | output.keys()
    return len(rows)


def _expect_log(segments: list[tuple[int, int, bytes]], result: dict[str, Any], output: list[Any]) -> None:
    """The log counts from 0 without a gap, and its last event says what the other tables say."""
    number, last = 0, b""
    for first, last_seq, data in segments:
        frames = decode(data)
        assert (first, last_seq) == (number, number + len(frames) - 1)
        number, last = number + len(frames), frames[-1]
    assert json.loads(data_of(last))["response"] == {**result, "output": output}
