"""The answer of a back end as it arrives: network reads in, lists of chunks out.

Nothing that arrived whole is lost when the stream breaks: the chunks come first, the failure after them.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from antiphon.errors import UpstreamError
from antiphon.upstream import quirks
from antiphon.upstream.alike import Alike, like
from antiphon.upstream.door import ExchangeFailed, Headers, PushReply, Reply
from antiphon.upstream.errors import in_stream, scrub
from antiphon.upstream.sse import EventTooLong, SSEDecoder
from antiphon.wire.chat import ChatChunk, only_text

#: Longest whole completion that may come instead of a stream, and longest answer that is kept.
MAX_BODY_BYTES = 64 * 1024 * 1024

#: Told of what was read; whether the reader can take more now.
Take = Callable[[list[ChatChunk]], bool]
Say = Callable[[str], bool]

#: Bytes of an event around its payload, as back ends write it.
_AROUND = len(b"data: \n\n")
#: How often it is learned what the events of one stream have in common. Those of some have nothing, but for a while.
_LESSONS = 8

_decode = msgspec.json.Decoder(ChatChunk).decode
_DONE = b"[DONE]"
_BAD_DATA = "upstream_bad_data"


class ChatStream:
    """Lists of chunks, one per network read that completed at least one; never an empty list.

    Ends when the answer is complete: at ``[DONE]``, or at the end of the body once a finish reason was seen. Anything
    else raises ``UpstreamError`` (``upstream_stream_cut``, ``upstream_timeout``, ``upstream_bad_data``, or the back
    end's own) after all chunks that came before it were delivered. ``aclose`` must be called, at whatever point.

    ``kept`` are the reads so far, where the caller wants them kept and they are within ``MAX_BODY_BYTES``.
    """

    __slots__ = (
        "_alike",
        "_began",
        "_body",
        "_complete",
        "_done",
        "_failure",
        "_kept_size",
        "_lessons",
        "_name",
        "_pump",
        "_reads",
        "_reply",
        "_secrets",
        "_size",
        "_sse",
        "kept",
    )

    def __init__(self, reply: Reply, name: str, secrets: Sequence[str] = (), *, keep: bool = False) -> None:
        self.kept: list[bytes] | None = [] if keep else None
        self._kept_size = 0
        self._reply = reply
        self._reads = reply.reads
        self._name = name
        self._secrets = secrets
        self._sse: SSEDecoder | None = None  # made by the first read: a whole JSON body may come instead of events
        self._body: list[bytes] = []
        self._size = 0
        self._complete = False  # [DONE] or a finish reason was seen
        self._done = False  # nothing more to read
        self._pump: _Pump | None = None
        self._began = False  # a read that was one event has come
        self._alike: Alike | None = None
        self._lessons = _LESSONS
        self._failure: BaseException | None = None  # raised after the chunks that came before it

    @property
    def complete(self) -> bool:
        """Whether the end of the answer was seen, and nothing was wrong with it."""
        return self._done and self._complete and self._failure is None

    @property
    def status(self) -> int:
        """The status of the reply, which is a 2xx."""
        return self._reply.status

    @property
    def headers(self) -> Headers:
        """The headers of the reply."""
        return self._reply.headers

    def __aiter__(self) -> ChatStream:
        return self

    async def __anext__(self) -> list[ChatChunk]:
        while not self._done:
            try:
                data = await self._reads.__anext__()
            except StopAsyncIteration:
                chunks = self._end()
            except ExchangeFailed as failure:
                chunks = self._broken(failure)
            else:
                chunks = self._read(data)
            if chunks:
                return chunks
        self._raise_failure()
        raise StopAsyncIteration

    async def pump(self, take: Take, say: Say) -> bool:
        """Call ``take`` with each list of chunks as it arrives, without waking a task where the transport can. A read
        that is a piece of text and nothing else may go to ``say`` instead.

        Returns True when the answer is over, and False when one of them said that it has enough for now: call again to
        go on. Raises as iteration does, and what they raise.
        """
        push = getattr(self._reply, "push", None)
        if push is None:
            async for chunks in self:
                if not take(chunks):
                    return False
            return True
        reply: PushReply = self._reply  # type: ignore[assignment]  # it has what was asked for
        pump = self._pump
        if pump is None:
            pump = self._pump = _Pump(self, reply)
            pump.begin(take, say)
            reply.push(pump)
        elif not self._done:
            pump.begin(take, say)
            reply.resume()
        if not (self._done or pump.paused):
            pump.waiter = asyncio.get_running_loop().create_future()
            await pump.waiter
        if self._done:
            self._raise_failure()
        return self._done

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback holds this frame, which must not hold it

    def aclose(self) -> Awaitable[None]:
        """Ends the exchange: cut at once when the answer is not complete, its connection kept when it is."""
        complete = self._done and self._complete
        self._done = True
        self._pump = None  # it knows us, and all that the request is made of
        self._failure = None  # as does its traceback, where nobody has waited for it
        return self._reply.aclose(complete=complete)

    def _read(self, data: bytes) -> list[ChatChunk]:
        if self.kept is not None:
            self._keep(self.kept, data)
        sse = self._sse or self._first(data)
        if sse is None:
            return []
        try:
            payloads = sse.feed(data)
        except EventTooLong as over:
            chunks = self._take(over.before)
            return chunks + self._fail(f"sent an event longer than {over.limit} bytes")
        chunks = self._take(payloads)
        if self._alike is not None and self._alike.service_tier is not None:
            self._check_tier(chunks, self._alike.service_tier)
        if self._lessons and len(chunks) == 1 and len(payloads) == 1 and len(payloads[0]) == len(data) - _AROUND:
            self._learn(data, chunks[0])
        return chunks

    def _check_tier(self, chunks: list[ChatChunk], known: str) -> None:
        """Only its text is told of an event that is alike: that must leave the service tier as it is."""
        if any(chunk.service_tier is not None and chunk.service_tier != known for chunk in chunks):
            self._alike = None

    def _learn(self, event: bytes, chunk: ChatChunk) -> None:
        """A read that was one event: the next may be alike. Not from the first, as many answers have no second."""
        if not self._began:
            self._began = only_text(chunk) is not None
        elif (alike := like(event, chunk)) is not None:
            self._alike = alike
            self._lessons -= 1

    def _text(self, data: bytes) -> str | None:
        """The text of a read that is an event like one before; None (or "") for any other."""
        if self._alike is None or self._sse is None or self._sse.held:
            return None
        text = self._alike.text(data)
        if text and self.kept is not None:
            self._keep(self.kept, data)
        return text

    def _keep(self, kept: list[bytes], data: bytes) -> None:
        """One more read, unless the answer has grown too long to be kept: then nothing of it is."""
        self._kept_size += len(data)
        kept.append(data)
        if self._kept_size > MAX_BODY_BYTES:
            self.kept = None

    def _first(self, data: bytes) -> SSEDecoder | None:
        """A decoder once it is known that this is a stream of events; one JSON body is collected instead."""
        if not self._body:
            start = data.lstrip()[:1]
            if not start:
                return None
            if start not in (b"{", b"["):
                self._sse = SSEDecoder()
                return self._sse
        self._body.append(data)
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            self._fail(f"answered with more than {MAX_BODY_BYTES} bytes")
        return None

    def _take(self, payloads: list[bytes]) -> list[ChatChunk]:
        chunks: list[ChatChunk] = []
        for payload in payloads:
            if payload < b"{":  # nearly all begin with it, and a slice would cost more
                if payload[:6] == _DONE:
                    self._done = self._complete = True
                    break
                if not payload or payload.isspace():
                    continue
            try:
                chunk = _decode(payload)
                if not quirks.settle(chunk, payload):
                    chunk = quirks.typed(msgspec.json.decode(payload))
            except msgspec.MsgspecError:
                odd = self._odd(payload)
                if odd is None:
                    break
                chunk = odd
            if chunk.error:
                self._done = True
                self._failure = in_stream(self._name, chunk.error, self._secrets)
                break
            choices = chunk.choices
            if choices and choices[0].finish_reason is not None:
                self._complete = True
            chunks.append(chunk)
        return chunks

    def _odd(self, payload: bytes) -> ChatChunk | None:
        """The slow reading of a payload that the typed one refused; None, and a failure, when it makes no sense."""
        try:
            return quirks.typed(msgspec.json.decode(payload))
        except msgspec.MsgspecError:
            shown = scrub(payload[:200].decode("utf-8", "replace"), self._secrets)
            self._fail(f"sent what is not a chunk of a chat completion: {shown}")
            return None

    def _end(self) -> list[ChatChunk]:
        """The body is over: what it left unfinished, and whether that was the end of the answer."""
        self._done = True
        if self._sse is None and self._body:
            chunks = self._take([b"".join(self._body)])
            self._complete = self._failure is None  # one whole JSON value is a whole answer
            return chunks
        chunks = self._take(self._sse.flush()) if self._sse is not None else []
        if isinstance(self._failure, UpstreamError) and self._failure.code == _BAD_DATA:
            self._failure = None  # the last event is half an event
        if not self._complete and self._failure is None:
            self._failure = self._cut("ended the stream before the answer was complete")
        return chunks

    def _broken(self, failure: ExchangeFailed) -> list[ChatChunk]:
        self._done = True
        if failure.kind == "timeout":
            text = f"The upstream '{self._name}' fell silent in the middle of the answer: {failure.message}"
            self._failure = UpstreamError(text, status=504, code="upstream_timeout")
        elif not self._complete:
            self._failure = self._cut(f"broke off in the middle of the answer: {failure.message}")
        return []

    def _cut(self, what: str) -> UpstreamError:
        return UpstreamError(f"The upstream '{self._name}' {what}", code="upstream_stream_cut")

    def _fail(self, what: str) -> list[ChatChunk]:
        self._done = True
        self._failure = UpstreamError(f"The upstream '{self._name}' {what}", code=_BAD_DATA)
        return []


class _Pump:
    """The sink of one chat stream: reads in, chunks out, in the same breath. See ``ChatStream.pump``."""

    __slots__ = ("_reply", "_run", "_say", "_stream", "_take", "paused", "waiter")

    def __init__(self, stream: ChatStream, reply: PushReply) -> None:
        self._stream = stream
        self._reply = reply
        self._run: Callable[..., bool]
        self._take: Take
        self._say: Say
        self.paused: bool
        self.waiter: asyncio.Future[None] | None

    def begin(self, take: Take, say: Say) -> None:
        """Go on until the answer is over or one of them has enough. Both run in the caller's context, whoever calls the
        sink. ``waiter`` is told of either: most answers of one read are here before anybody would wait."""
        self._run = contextvars.copy_context().run
        self._take = take
        self._say = say
        self.paused = False
        self.waiter = None

    def read(self, data: bytes) -> None:
        """One network read."""
        stream = self._stream
        if stream._done:
            return
        text = stream._text(data)
        if text:
            self._give(stream, self._say, text)
        else:
            self._give(stream, self._take, stream._read(data))

    def end(self) -> None:
        """The body is over."""
        stream = self._stream
        if not stream._done:
            self._give(stream, self._take, stream._end())

    def fail(self, failure: ExchangeFailed) -> None:
        """The exchange broke."""
        stream = self._stream
        if not stream._done:
            self._give(stream, self._take, stream._broken(failure))

    def _give(self, stream: ChatStream, take: Callable[[Any], bool], said: list[ChatChunk] | str) -> None:
        try:
            more = self._run(take, said) if said else True
        except BaseException as failure:  # noqa: BLE001 - raised again in the task that waits for the end
            stream._done = True
            stream._failure = failure
        else:
            if more and not stream._done:
                return
        if self.paused:  # the next call will find how it ended
            return
        if not stream._done:
            self.paused = True
            self._reply.pause()
        if self.waiter is not None and not self.waiter.done():  # else nobody waits any more, or yet
            self.waiter.set_result(None)
