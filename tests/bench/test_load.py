"""Scripts, the mock back end's bytes and the checker that reads them agree, however the bytes are cut."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import Checker, Job, request_bytes
from bench.script import Script, parse
from bench.upstream import completion, writes

scripts = st.builds(Script, st.integers(1, 40), st.integers(1, 999), st.booleans())


@given(scripts)
def test_a_model_name_is_its_script(script: Script) -> None:
    """Name and script are one and the same; other names are no scripts."""
    assert parse(script.model) == script
    assert parse("x" + script.model) is None


def body(raw: bytes) -> bytes:
    """The body of a chunked answer."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert b"chunked" in head
    out = b""
    while size := int(rest[: rest.index(b"\r\n")], 16):
        start = rest.index(b"\r\n") + 2
        out, rest = out + rest[start : start + size], rest[start + size + 2 :]
    assert rest == b"0\r\n\r\n"
    return out


@given(scripts)
def test_a_script_leaves_in_as_many_writes_as_it_has_tokens(script: Script) -> None:
    """One write a token, one token a write, real chunks, usage at the end."""
    parts = writes(script)
    assert len(parts) == script.tokens
    assert all(len(re.findall(rb'"content":"[^"]', part)) == 1 for part in parts)
    lines = [line.removeprefix(b"data: ") for line in body(b"".join(parts)).split(b"\n\n") if line]
    assert lines.pop() == b"[DONE]"
    chunks = [msgspec.json.decode(line) for line in lines]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == script.text
    assert chunks[-1]["usage"]["completion_tokens"] == script.tokens
    assert script.text.encode() in completion(script)


@given(scripts, st.data())
def test_the_checker_counts_the_same_however_the_bytes_are_cut(script: Script, data: st.DataObject) -> None:
    """Whatever the pieces, every token is counted once and the end is seen."""
    whole = body(b"".join(writes(script)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    checker = Checker("chat", script.text, script.tokens, stream=True)
    pieces = (whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))
    assert sum(checker.feed(piece) for piece in pieces) == script.tokens
    assert checker.verdict(200) is None


def event(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind} | fields))


DELTAS = [event("response.output_text.delta", delta=f" word{k}") for k in range(3)]
DONE = event("response.completed", text=" word0 word1 word2")


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        ([*DELTAS, DONE], None),
        ([*DELTAS[:2], DONE], "2 deltas"),
        ([*DELTAS, DELTAS[0], DONE], "4 deltas"),
        (DELTAS, "ended with"),
        ([*DELTAS, DONE, DONE], "ended with"),
        ([*DELTAS, event("response.failed")], "ended with"),
        ([*DELTAS, event("response.completed", text=" word0")], "text"),
    ],
)
def test_the_checker_finds_every_way_to_be_wrong(stream: list[bytes], complaint: str | None) -> None:
    """A missing, repeated or unfinished answer is never taken for a right one, and a status is not looked past."""
    checker = Checker("responses", Script(3).text, 3, stream=True)
    checker.feed(b"".join(stream))
    verdict = checker.verdict(200)
    assert verdict is None if complaint is None else complaint in (verdict or "")
    assert "status 503" in (checker.verdict(503) or "")


@pytest.mark.parametrize("dialect", ["responses", "chat"])
def test_a_request_is_whole_and_says_what_the_job_says(dialect: str) -> None:
    """The head carries the length of the body, the body the model, and `store` only where the job speaks of it."""
    job = Job(port=1, dialect=dialect, model="bench-1", connections=1, requests=1)
    head, _, raw = request_bytes(job, "bench-7").partition(b"\r\n\r\n")
    assert f"content-length: {len(raw)}".encode() in head
    sent = msgspec.json.decode(raw)
    assert (sent["model"], sent["stream"], "store" in sent) == ("bench-7", True, False)
    stored = msgspec.structs.replace(job, store=False, dialect="responses")
    assert msgspec.json.decode(request_bytes(stored, "m").partition(b"\r\n\r\n")[2])["store"] is False
