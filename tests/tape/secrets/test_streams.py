"""Secrets that a stream tells in pieces."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from antiphon.tape.model import HttpResponse
from antiphon.tape.secrets import Redactor
from tests.tape.secrets.planted import ENVIRON, HUNTER, OPENAI, SK

REDACTOR = Redactor(ENVIRON)

Event = dict[str, Any]


def sse(event: Event, kind: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {kind}\n" if kind else ""
    return f"{head}data: {json.dumps(event)}\n\n".encode()


def chat(delta: Event, index: int = 0) -> Event:
    """A chunk of a chat completion."""
    return {"id": "c1", "model": "m", "choices": [{"delta": delta, "index": index, "finish_reason": None}]}


def chat_content(piece: str) -> bytes:
    """A chunk of text."""
    return sse(chat({"content": piece}))


def chat_reasoning(piece: str) -> bytes:
    """A chunk of reasoning."""
    return sse(chat({"reasoning_content": piece}))


def chat_arguments(piece: str) -> bytes:
    """A chunk of a second tool call's arguments."""
    return sse(chat({"tool_calls": [{"index": 1, "function": {"arguments": piece}}]}))


def responses(piece: str) -> bytes:
    """A delta of the Responses API."""
    kind = "response.output_text.delta"
    return sse({"type": kind, "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": piece}, kind)


def anthropic_text(piece: str) -> bytes:
    """A delta of text of the Messages API."""
    delta = {"type": "text_delta", "text": piece}
    return sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")


def anthropic_json(piece: str) -> bytes:
    """A delta of tool input of the Messages API."""
    delta = {"type": "input_json_delta", "partial_json": piece}
    return sse({"type": "content_block_delta", "index": 1, "delta": delta}, "content_block_delta")


def ndjson(piece: str) -> bytes:
    """A line of newline-delimited JSON."""
    return (
        json.dumps({"model": "m", "message": {"role": "assistant", "content": piece}, "done": False}).encode() + b"\n"
    )


def bare(piece: str) -> bytes:
    """An event whose data is the text."""
    return f"data: {piece}\n\n".encode()


DIALECTS = (chat_content, chat_reasoning, chat_arguments, responses, anthropic_text, anthropic_json, ndjson, bare)


def redacted(reads: Sequence[bytes], **rest: Any) -> tuple[bytes, ...]:
    """The reads of the redacted response."""
    done = REDACTOR.response(HttpResponse(200, (("content-type", "text/event-stream"),), tuple(reads), **rest))
    assert isinstance(done, HttpResponse)
    return done.reads


def values(reads: Sequence[bytes]) -> list[Event]:
    """Every event that is JSON, all of which must be."""
    lines = [line for line in b"".join(reads).split(b"\n") if b"{" in line]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


@pytest.mark.parametrize("event", DIALECTS)
@pytest.mark.parametrize(("secret", "shown"), [(SK, "<secret:1>"), (OPENAI, "{{env:OPENAI_API_KEY}}")])
def test_a_secret_in_two_events(event: Callable[[str], bytes], secret: str, shown: str) -> None:
    """Cut anywhere over two events, the placeholder stands in the event where the secret began, the rest is gone, and
    every event but these is byte for byte as it was."""
    for at in range(1, len(secret)):
        reads = [event("so "), event("it is " + secret[:at]), event(secret[at:] + " then"), event(" bye")]
        expected = (reads[0], event("it is " + shown), event(" then"), reads[3])
        assert redacted(reads) == expected


@pytest.mark.parametrize("event", DIALECTS)
def test_a_secret_a_letter_at_a_time(event: Callable[[str], bytes]) -> None:
    """A secret told letter by letter is one placeholder; the events stay as many, each whole."""
    reads = [event(piece) for piece in ("key: ", *SK, " end")]
    done = redacted(reads)
    assert done == (event("key: "), event("<secret:1>"), *[event("")] * (len(SK) - 1), event(" end"))


def test_reads_that_are_not_events() -> None:
    """A secret over two events, these cut anywhere into reads: as many reads, the same bytes as uncut."""
    data = chat_content("a " + SK[:9]) + chat_content(SK[9:] + " z")
    whole = chat_content("a <secret:1>") + chat_content(" z")
    for at in range(1, len(data)):
        done = redacted([data[:at], data[at:]])
        assert len(done) == 2
        assert b"".join(done) == whole


def test_reads_of_one_byte() -> None:
    """A secret in as many reads as it has bytes leaves as many reads; none is empty while the placeholder lasts."""
    done = redacted([bytes([byte]) for byte in f"x {SK} y".encode()])
    assert len(done) == len(SK) + 4
    assert b"".join(done) == b"x <secret:1> y"
    assert done[:12] == tuple(bytes([byte]) for byte in b"x <secret:1>")


def test_two_streams_in_one() -> None:
    """Deltas of two choices and of two tool calls that alternate are joined each with its own."""
    first, second = SK, "ghp_Q7wK2mZx9LpTr4VbNc8Yh3JdF6Gs1Ha0Xe5U"
    reads = []
    for at in range(0, 40, 8):
        reads += [sse(chat({"content": first[at : at + 8]}, 0)), sse(chat({"content": second[at : at + 8]}, 1))]
    said = {0: "", 1: ""}
    for event in values(redacted(reads)):
        said[event["choices"][0]["index"]] += event["choices"][0]["delta"]["content"]
    assert said == {0: "<secret:1>", 1: "<secret:2>"}


def test_secret_fields_of_streamed_arguments() -> None:
    """Arguments of a tool call that come in pieces are JSON: a password in them is known by its name."""
    text = json.dumps({"user": "me", "password": 'a"b é', "inner": json.dumps({"api_key": HUNTER, "n": 1})})
    done = values(redacted([chat_arguments(text[at : at + 3]) for at in range(0, len(text), 3)]))
    told = "".join(event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for event in done)
    arguments = json.loads(told)
    assert arguments["password"] == "<secret:1>"
    assert json.loads(arguments["inner"]) == {"api_key": "<secret:2>", "n": 1}


@pytest.mark.parametrize("last", [0, 1, 2, 5, 20, 44, 45, 46, 60, 70])
def test_a_stream_cut_inside_a_secret(last: int) -> None:
    """Where a stream breaks off inside a secret of the environment, what was told of it is gone too, also from half an
    event."""
    reads = [chat_content("it is " + OPENAI[:9]), chat_content(OPENAI[9:20])[: last or None]]
    told = b"".join(redacted(reads, end="reset"))
    assert OPENAI[:9].encode() not in told or len(OPENAI[:9]) < 16
    assert len(redacted(reads, end="reset")) == 2
    whole = [chat_content("it is " + OPENAI[:5]), chat_content(OPENAI[5:17])]
    assert redacted(whole, end="reset") == (chat_content("it is {{env:OPENAI_API_KEY}}"), chat_content(""))


def test_half_an_event() -> None:
    """A secret whose second part stands in half an event at the end is whole for us."""
    full = chat_content(SK[10:])
    reads = [chat_content("it is " + SK[:10]), full[: full.index(b'"}, "index"')]]
    done = redacted(reads, end="reset")
    assert done[0] == chat_content("it is <secret:1>")
    assert SK[10:].encode() not in done[1]


def test_log_probabilities() -> None:
    """An answer that loses a secret loses its log probabilities, which tell it again; another keeps them."""

    def scored(piece: str) -> bytes:
        event = chat({"content": piece})
        bytes_ = list(piece.encode())
        token = {"token": piece, "logprob": -0.5, "bytes": bytes_, "top_logprobs": [{"token": piece, "bytes": bytes_}]}
        event["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        return sse(event)

    plain = [scored("hello"), scored(" world")]
    assert redacted(plain) == tuple(plain)
    done = values(redacted([scored("x "), scored(SK[:11]), scored(SK[11:])]))
    assert [event["choices"][0]["logprobs"] for event in done] == [None, None, None]


def test_an_unpaired_escape_is_not_broken() -> None:
    """Secrets spelled with escapes are found, and what is left around them is still JSON."""
    spelled = "".join(f"\\u{ord(c):04x}" for c in SK)
    data = f'{{"a": "caf\\u00e9 \\ud83d\\ude00\\n{spelled}\\nnext", "b": "\\"{SK}\\""}}'.encode()
    for at in range(len(data)):
        done = redacted([data[:at], data[at:]])
        assert json.loads(b"".join(done)) == {"a": "café 😀\n<secret:1>\nnext", "b": '"<secret:1>"'}


def test_nothing_but_escapes() -> None:
    """A secret of which no letter is spelled as itself is found; so is one behind an escape in text that is no JSON."""
    odd = "".join(f"\\u{ord(c):04x}" for c in SK)
    assert redacted([f'{{"a": "{odd}"}}'.encode()]) == (b'{"a": "<secret:1>"}',)
    for before in ("\\n", "\\u00df", "%20", "\\t"):
        assert redacted([f"log: line{before}{SK} end".encode()]) == (f"log: line{before}<secret:1> end".encode(),)


def test_a_long_stream_without_secrets_costs_little() -> None:
    """A thousand events without a secret are looked through in a small part of the time it took to say them, and come
    back as the very same object."""
    response = HttpResponse(200, reads=tuple(chat_content(f" word{n % 7} task-{n % 5}") for n in range(1000)))
    begun = time.process_time()
    assert REDACTOR.response(response) is response
    assert time.process_time() - begun < 0.25
