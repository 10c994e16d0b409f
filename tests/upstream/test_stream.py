"""The answer as it arrives: whole chunks first, then the end or the failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import UpstreamError
from antiphon.upstream.door import ExchangeFailed, StaticReply
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatChunk
from tests.upstream.loopback import text_of

pytestmark = pytest.mark.anyio

TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = (
    b'{"object":"chat.completion","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant",'
    b'"content":"hi","reasoning":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f",'
    b'"arguments":{"a":1}}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
)


async def arriving(pieces: Sequence[bytes], failure: ExchangeFailed | None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if failure is not None:
        raise failure


async def read(
    pieces: Sequence[bytes], failure: ExchangeFailed | None = None
) -> tuple[list[list[ChatChunk]], UpstreamError | None]:
    """The batches of a stream, and what it raised at the end."""
    stream = ChatStream(StaticReply(200, (), arriving(pieces, failure)), "local", ("sk-secret",))
    batches: list[list[ChatChunk]] = []
    try:
        async for batch in stream:
            assert batch
            batches.append(batch)
    except UpstreamError as error:
        return batches, error
    finally:
        await stream.aclose()
    return batches, None


def said(batches: list[list[ChatChunk]]) -> str:
    return text_of([chunk for batch in batches for chunk in batch])


async def test_one_list_a_read() -> None:
    """A read that completes two chunks gives both at once; one that completes none gives nothing."""
    batches, error = await read([TEXT % b"a" + TEXT % b"b", b": ping\n\n", TEXT % b"c", STOP + DONE])
    assert error is None
    assert [len(b) for b in batches] == [2, 1, 1]
    assert said(batches) == "abc"


LONG = "".join(
    f'data: {{"choices":[{{"delta":{{"content":"{c}"}}}}]}}\r\n\r\n' for c in ("grün", "<th", "ink>", "世界")
).encode()
LONG += STOP + DONE


@given(st.lists(st.integers(0, len(LONG)), max_size=6).map(sorted))
async def test_cutting_the_bytes_changes_nothing(cuts: list[int]) -> None:
    """Wherever the reads are split - inside a character, a line end, [DONE] - the chunks are the same."""
    batches, error = await read([LONG[a:b] for a, b in zip([0, *cuts], [*cuts, len(LONG)], strict=True)])
    assert error is None
    assert said(batches) == "grün<think>世界"


async def test_nothing_after_done_is_read() -> None:
    """[DONE] is the end, whatever follows."""
    batches, error = await read([TEXT % b"a" + DONE + TEXT % b"b", TEXT % b"c"])
    assert (said(batches), error) == ("a", None)


async def test_an_end_without_done_after_a_finish_reason_is_well() -> None:
    """A back end without [DONE] ends with the body."""
    batches, error = await read([TEXT % b"a", STOP])
    assert (said(batches), error) == ("a", None)


async def test_the_last_event_may_lack_its_blank_line() -> None:
    """The end of the body ends the event."""
    batches, error = await read([TEXT % b"a", STOP.rstrip()])
    assert (said(batches), error) == ("a", None)
    assert len(batches) == 2


@pytest.mark.parametrize("tail", [[], [b'data: {"choi'], [b"data: "]])
async def test_a_cut_stream_says_so_after_its_chunks(tail: list[bytes]) -> None:
    """An end before the answer is complete raises, and everything before it was delivered."""
    batches, error = await read([TEXT % b"a", TEXT % b"b", *tail])
    assert said(batches) == "ab"
    assert error is not None
    assert (error.status, error.code) == (502, "upstream_stream_cut")
    assert "local" in error.message


async def test_an_empty_answer_is_a_cut_stream() -> None:
    """No byte at all is not an answer."""
    _, error = await read([])
    assert error is not None
    assert error.code == "upstream_stream_cut"


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("broken", 502, "upstream_stream_cut"), ("timeout", 504, "upstream_timeout")]
)
async def test_a_broken_exchange_in_the_middle(kind: str, status: int, code: str) -> None:
    """A connection that breaks or falls silent raises after the chunks."""
    batches, error = await read([TEXT % b"a"], ExchangeFailed(kind, "gone."))  # type: ignore[arg-type]
    assert said(batches) == "a"
    assert error is not None
    assert (error.status, error.code) == (status, code)


async def test_a_break_after_the_finish_reason_is_no_failure() -> None:
    """Once the answer is complete, a careless close costs nothing."""
    batches, error = await read([TEXT % b"a" + STOP], ExchangeFailed("broken", "gone."))
    assert (said(batches), error) == ("a", None)


@pytest.mark.parametrize(
    ("data", "status", "code", "words"),
    [
        (
            b'{"error":{"message":"too fast","code":429,"type":"rate_limit_error"}}',
            429,
            "rate_limit_exceeded",
            "too fast",
        ),
        (b'{"error":{"message":"boom","code":"server_error"}}', 502, "server_error", "boom"),
        (b'{"error":"boom"}', 502, "upstream_error", "boom"),
        (b'{"object":"error","message":"boom","type":"x","code":"503"}', 503, "server_error", "boom"),
        (b'{"error":{"message":"your key sk-secret is bad","code":401}}', 401, "invalid_api_key", "***"),
    ],
)
async def test_an_error_inside_the_stream(data: bytes, status: int, code: str, words: str) -> None:
    """It raises with the back end's words and code, after the chunks of the same read."""
    batches, error = await read([TEXT % b"a" + b"data: " + data + b"\n\n" + TEXT % b"b", DONE])
    assert said(batches) == "a"
    assert error is not None
    assert (error.status, error.code) == (status, code)
    assert words in error.message
    assert "sk-secret" not in error.message


async def test_a_context_error_inside_the_stream_is_recognised() -> None:
    """Length is recognised there too."""
    data = b'data: {"error":{"message":"This model\'s maximum context length is 4096 tokens","code":400}}\n\n'
    _, error = await read([data])
    assert error is not None
    assert (error.status, error.code) == (400, "context_length_exceeded")
    assert getattr(error, "context_window", None) == 4096


async def test_nonsense_names_itself() -> None:
    """Data that is no chunk raises, and shows its beginning without secrets."""
    batches, error = await read([TEXT % b"a" + b"data: hello sk-secret " + b"x" * 900 + b"\n\n"])
    assert said(batches) == "a"
    assert error is not None
    assert error.code == "upstream_bad_data"
    assert "hello" in error.message
    assert "sk-secret" not in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "pieces", [[WHOLE], [b"\n ", WHOLE[:50], WHOLE[50:]], [WHOLE[i : i + 1] for i in range(len(WHOLE))]]
)
async def test_a_whole_completion_instead_of_a_stream(pieces: list[bytes]) -> None:
    """A JSON body in answer to stream: true becomes the chunks it should have been."""
    batches, error = await read(pieces)
    assert error is None
    (chunk,) = [chunk for batch in batches for chunk in batch]
    assert chunk.choices is not None
    assert chunk.usage is not None
    delta = chunk.choices[0].delta
    assert delta is not None
    assert delta.tool_calls is not None
    assert delta.tool_calls[0].function is not None
    assert (delta.content, delta.reasoning_content, chunk.usage.completion_tokens) == ("hi", "hm", 2)
    assert msgspec.json.decode(str(delta.tool_calls[0].function.arguments)) == {"a": 1}
    assert chunk.choices[0].finish_reason == "tool_calls"


async def test_half_a_json_body_is_a_cut() -> None:
    """A body that breaks off is not an answer."""
    _, error = await read([WHOLE[:100]])
    assert error is not None
    assert error.code in ("upstream_stream_cut", "upstream_bad_data")


async def test_an_error_body_under_200() -> None:
    """An error object as the whole body of a 200 is an error."""
    _, error = await read([b'{"error":{"message":"nope","type":"invalid_request_error","code":"bad"}}'])
    assert error is not None
    assert (error.code, error.message) == ("bad", "nope")
