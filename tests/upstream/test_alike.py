"""Events that are alike: what is told by place is what parsing would have told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.responses.turn import CallShape, Turn, TurnOptions
from antiphon.upstream.alike import like
from antiphon.upstream.door import ExchangeFailed, Reply, Sink
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatChunk, only_text, text_chunk
from tests.upstream.loopback import text_of

_decode = msgspec.json.Decoder(ChatChunk).decode

TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["hi", "content", "null", 'a"b', "a\\b", "\n", "é", "\u2028", "\u200b", "\x7f", " ", "<think>", "hi?"]
    ),
)
#: What an event may say besides, also the same string as the text, before it and after it.
ASIDE = st.dictionaries(
    st.sampled_from(["id", "object", "obfuscation", "service_tier", "x"]),
    st.sampled_from(["hi", "content", "chatcmpl-1", 'say "hi"', None, 1]),
    max_size=4,
)
STYLES = st.fixed_dictionaries(
    {
        "separators": st.sampled_from([(",", ":"), (", ", ": ")]),
        "ensure_ascii": st.booleans(),
        "sort_keys": st.booleans(),
    }
)


def event(text: str, aside: dict[str, Any], style: dict[str, Any]) -> bytes:
    """One token as a back end sends it."""
    choice = {"index": 0, "delta": {"content": text, "name": aside.get("x")}, "finish_reason": None}
    return b"data: %b\n\n" % json.dumps({**aside, "choices": [choice]}, **style).encode("utf-8", "surrogatepass")


def parsed(data: bytes) -> ChatChunk:
    """The slow way."""
    return _decode(data[6:-2])


@given(TEXTS, TEXTS, ASIDE, ASIDE, STYLES)
@settings(max_examples=300)
@example("hi", "ho", {"id": "hi", "x": "hi"}, {"id": "hi", "x": "hi"}, {"separators": (",", ":")})
def test_by_place_is_as_by_parsing(
    first: str, second: str, aside: dict[str, Any], other: dict[str, Any], style: dict[str, Any]
) -> None:
    """Whatever the next event is: where its text is told by its place, it is the same chunk with that text."""
    if (service_tier := aside.get("service_tier")) is not None and not isinstance(service_tier, str):
        aside = {**aside, "service_tier": "hi"}
    one = event(first, aside, style)
    chunk = parsed(one)
    alike = like(one, chunk)
    assert chunk == parsed(one), "what was learned from is as it was"
    if alike is None:
        return
    for said in (aside, other):
        two = event(second, said, style)
        text = alike.text(two)
        if text:
            expected = parsed(two)
            assert only_text(expected) == text
            assert expected.choices is not None
            assert expected.choices[0].delta is not None
            expected.choices[0].delta.content = first
            assert expected == chunk


@given(st.binary(max_size=12))
@settings(max_examples=200)
@example(b'","x":"')
@example(b"\\u0041")
@example(b"\xff")
@example(b"a\n\ndata: b")
def test_bytes_that_are_no_text_are_parsed(between: bytes) -> None:
    """Whatever stands where the text stood: it is told by its place only where JSON reads the same."""
    before, after = b'data: {"choices":[{"index":0,"delta":{"content":"', b'"},"finish_reason":null}]}\n\n'
    alike = like(before + b"hi" + after, parsed(before + b"hi" + after))
    assert alike is not None
    text = alike.text(before + between + after)
    if text:
        assert only_text(parsed(before + between + after)) == text


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"logprobs":{"content":[]},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"h\\u0069"},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"a\\"b"},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    ],
)
def test_nothing_is_learned_from_more_than_a_plain_text(odd: bytes) -> None:
    """Log probabilities belong to the text; an escape, or no text, shows no place."""
    assert like(odd, parsed(odd)) is None


class Pushed(Reply):
    """A reply whose reads are pushed as they are listed."""

    status = 200
    headers = ()

    def __init__(self, reads: Sequence[bytes]) -> None:
        self._left = list(reads)
        self._sink: Sink | None = None
        self._paused = False

    @property
    def reads(self) -> Any:
        """Nobody pulls."""
        return None

    def push(self, sink: Sink) -> None:
        """All of it, until paused."""
        self._sink = sink
        self.resume()

    def pause(self) -> None:
        """Wait."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        assert self._sink is not None
        self._paused = False
        while self._left and not self._paused:
            self._sink.read(self._left.pop(0))
        if not self._paused:
            self._sink.end()

    async def aclose(self, *, complete: bool = False) -> None:
        """Nothing to close."""

    def fail(self, failure: ExchangeFailed) -> None:
        """Not here."""


@pytest.mark.anyio
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", 'say "']), st.sampled_from([None, "default", "flex"])), max_size=24),
    st.booleans(),
)
@example([("a", "default"), ("a", "default"), ('say "', "flex"), ("a", "default")], True)
async def test_a_stream_says_the_same_tier_either_way(tokens: list[tuple[str, str | None]], split: bool) -> None:
    """The service tier is that of the last token that names one, however the tokens are read."""
    style = {"separators": (",", ":")}
    reads = [event(text, {} if tier is None else {"service_tier": tier}, style) for text, tier in tokens]
    if split:  # an event in two reads is never learned from
        reads = [part for n, read in enumerate(reads) for part in ([read[:9], read[9:]] if n % 3 == 2 else [read])]
    reads.append(b"data: [DONE]\n\n")
    stream = ChatStream(Pushed(reads), "local")
    turn = Turn(TurnOptions(new_id=lambda kind: f"{kind}_1", shape_of=lambda name: CallShape("function_call", name)))

    def take(chunks: list[ChatChunk]) -> bool:
        turn.feed(chunks)
        return True

    def say(text: str) -> bool:
        if turn.more(text) is None:
            turn.feed([text_chunk(text)])
        return True

    assert await stream.pump(take, say)
    assert turn.service_tier == next((tier for _, tier in reversed(tokens) if tier is not None), None)
    await stream.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("pausing", [False, True])
async def test_a_stream_says_the_same_either_way(pausing: bool) -> None:
    """Tokens that are alike, and all that comes between them: the texts add up, and few of them were parsed."""
    style = {"separators": (",", ":")}
    texts = ["Hello", " w", "or", "ld", "!\n", '"', " again", " and", " again", "é", "", "."]
    reads = [event(text, {"id": "a"}, style) for text in texts[:6]]
    reads += [b": ping\n\n", event(texts[6], {"id": "b"}, style), *(event(t, {"id": "b"}, style) for t in texts[7:])]
    reads.append(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    stream = ChatStream(Pushed(reads), "local", keep=True)
    got: list[ChatChunk] = []
    said: list[str] = []

    def take(chunks: list[ChatChunk]) -> bool:
        got.extend(chunks)
        return not pausing

    def say(text: str) -> bool:
        said.append(text)
        return take([text_chunk(text)])

    while not await stream.pump(take, say):
        pass
    assert text_of(got) == "".join(texts)
    # Parsed are the first two, what is escaped, and the first of another form.
    assert said == ["or", "ld", " and", " again", "."]
    assert stream.kept == reads
    await stream.aclose()
