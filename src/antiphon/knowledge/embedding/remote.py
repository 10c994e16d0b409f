"""Embeddings of any endpoint that speaks OpenAI's ``/v1/embeddings``, by model name, through the one door.

A request holds a bounded number of texts, and a bounded number of requests is on its way at once. What may pass (429,
5xx, silence, a broken connection) is tried again, after what the endpoint says or twice as long each time. Numbers and
base64 are both read; numbers are asked for, because some servers know nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from antiphon.errors import APIError, ModelNotFound, UpstreamError, first_of
from antiphon.knowledge.arrays import numpy
from antiphon.upstream.chat import MAX_ERROR_BYTES
from antiphon.upstream.door import ExchangeFailed, host_of, read_all
from antiphon.upstream.errors import refusal, unreachable
from antiphon.upstream.routing import Route, Router

#: Longest answer that is read: 2048 texts of 4096 dimensions as numbers.
_MAX_ANSWER_BYTES = 256 * 1024 * 1024

#: Characters of the texts of one request: well below what servers take, whatever the tokens.
_MAX_CHARACTERS = 200_000

#: Requests that are on their way at once, over all models.
AT_ONCE = 4

_ATTEMPTS = 5
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})

_encode = msgspec.json.Encoder().encode


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Embedding]


_decode = msgspec.json.Decoder(_Answer).decode


class RemoteEmbedder:
    """``base.Embedder`` of one model name. ``slots`` bounds the requests of all of them."""

    def __init__(
        self,
        model: str,
        router: Router,
        slots: asyncio.Semaphore,
        *,
        batch: int = 64,
        dimensions: int = 0,
        document_prefix: str = "",
        query_prefix: str = "",
        first_wait: float = _FIRST_WAIT,
    ) -> None:
        """``dimensions``: asked for, and insisted on; 0 is the model's own."""
        self.model = model
        self._router = router
        self._slots = slots
        self._batch = batch
        self._asked = dimensions
        self._dimensions = dimensions or None
        self._prefixes = (document_prefix, query_prefix)
        self._first_wait = first_wait

    @property
    def dimensions(self) -> int | None:
        """As configured, or as the last answer had it."""
        return self._dimensions

    async def documents(self, texts: Sequence[str]) -> list[bytes]:
        """One vector for each text. Raises ``ModelNotFound`` or ``UpstreamError``."""
        batches = list(_batches([self._prefixes[0] + text for text in texts], self._batch))
        found: list[bytes] = []
        # No more tasks than can be on their way: a long document must not make thousands of them.
        for at in range(0, len(batches), AT_ONCE):
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._vectors(batch)) for batch in batches[at : at + AT_ONCE]]
            except BaseExceptionGroup as failures:
                known, others = failures.split(APIError)
                if known is None or others is not None:
                    raise
                raise first_of(known) from failures
            for task in tasks:
                found += task.result()
        return found

    async def query(self, text: str) -> bytes:
        """The vector of a question."""
        (vector,) = await self._vectors([self._prefixes[1] + text])
        return vector

    async def _vectors(self, texts: Sequence[str]) -> list[bytes]:
        route = await self._router.resolve(self.model)
        # Servers refuse empty texts.
        body: dict[str, Any] = {"model": route.model, "input": [text or " " for text in texts]}
        body["encoding_format"] = "float"
        if self._asked:
            body["dimensions"] = self._asked
        answer = await self._patiently(route, _encode(body))
        return await asyncio.to_thread(self._read, route, answer, len(texts))

    async def _patiently(self, route: Route, body: bytes) -> bytes:
        """The answer, asked for again while what went wrong may pass."""
        wait = self._first_wait
        for _ in range(_ATTEMPTS - 1):
            try:
                async with self._slots:
                    return await self._ask(route, body)
            except UpstreamError as failure:
                if failure.status not in _PASSING:
                    raise
                await asyncio.sleep(min(_told(failure.headers) or wait, _LONGEST_WAIT))
                wait *= 2
        async with self._slots:
            return await self._ask(route, body)

    async def _ask(self, route: Route, body: bytes) -> bytes:
        upstream = route.upstream
        reply = await upstream.forward("POST", "/embeddings", body)
        try:
            if 200 <= reply.status < 300:
                return await read_all(reply, _MAX_ANSWER_BYTES)
            said = await read_all(reply, MAX_ERROR_BYTES)
        except ExchangeFailed as failure:
            raise unreachable(upstream.name, host_of(upstream.url), failure) from failure
        finally:
            await reply.aclose()
        secrets = (upstream.config.key,) if upstream.config.key else ()
        error = refusal(upstream.name, reply.status, reply.headers, said, secrets)
        if reply.status == 404:
            raise ModelNotFound(
                f"The upstream '{upstream.name}' has no embeddings of the model '{self.model}': {error.message}",
                param="embedding_model",
            )
        raise error

    def _read(self, route: Route, answer: bytes, count: int) -> list[bytes]:
        np = numpy()
        try:
            entries = _decode(answer).data
        except msgspec.MsgspecError as odd:
            raise self._odd(route, f"is no list of embeddings ({odd})") from odd
        if len(entries) != count:
            raise self._odd(route, f"holds {len(entries)} embeddings for {count} texts")
        if all(entry.index is not None for entry in entries):
            entries.sort(key=lambda entry: entry.index or 0)
        try:
            rows = [_numbers(entry.embedding) for entry in entries]
        except (ValueError, binascii.Error) as odd:
            raise self._odd(route, "holds an embedding that is neither numbers nor base64") from odd
        vectors = []
        for row in rows:
            wanted = self._dimensions or len(row)
            if len(row) != wanted or not len(row):
                raise self._odd(route, f"has {len(row)} dimensions where {wanted} are expected")
            length = float(np.linalg.norm(row))
            if not np.isfinite(length) or length == 0:
                raise self._odd(route, "holds an embedding without a direction")
            self._dimensions = len(row)
            vectors.append((row / length).astype("<f4").tobytes())
        return vectors

    def _odd(self, route: Route, what: str) -> UpstreamError:
        return UpstreamError(
            f"The answer of the upstream '{route.upstream.name}' to /embeddings for '{self.model}' {what}.",
            code="upstream_bad_data",
        )


def _numbers(embedding: list[float] | str) -> Any:
    np = numpy()
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    return np.asarray(embedding, np.float32)


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > _MAX_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _told(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the endpoint says."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.replace(".", "", 1).isdecimal():
            return float(value) * scale
    return None
