"""Embeddings of an endpoint, over real sockets: batches, retries, forms of answers, and what is said when it fails."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.config import EmbeddingModelConfig, KnowledgeConfig, UpstreamConfig
from antiphon.errors import ModelNotFound, UpstreamError
from antiphon.knowledge.embedding.embedders import BUILT_IN, Embedders
from antiphon.knowledge.embedding.remote import AT_ONCE, RemoteEmbedder
from antiphon.upstream.chat import Upstream
from antiphon.upstream.demo import DemoTransport, demo_upstream
from antiphon.upstream.network import Network
from antiphon.upstream.routing import Router
from tests.upstream.loopback import Peer

pytestmark = pytest.mark.anyio

Answer = Callable[["Endpoint", Peer, dict[str, Any]], Awaitable[None]]


class Endpoint:
    """An endpoint that answers as it is told to, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.now = 0
        self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        peer = Peer(reader, writer)
        while await peer.request():
            asked = json.loads(peer.body)
            self.asked.append(asked)
            self.now += 1
            self.most = max(self.most, self.now)
            answer = self.answers.pop(0) if self.answers else numbers
            await answer(self, peer, asked)
            self.now -= 1
        writer.close()


def vector(text: str) -> list[float]:
    """Tells texts apart; not of length 1."""
    return [float(len(text)), float(sum(map(ord, text)) % 97) + 1, 3.0]


async def say(peer: Peer, data: list[dict[str, Any]]) -> None:
    """A good answer."""
    await peer.answer(json.dumps({"object": "list", "data": data}).encode())


async def numbers(_: Endpoint, peer: Peer, asked: dict[str, Any]) -> None:
    """In the order asked for, as numbers."""
    await asyncio.sleep(0)
    await say(peer, [{"index": n, "embedding": vector(text)} for n, text in enumerate(asked["input"])])


async def packed(_: Endpoint, peer: Peer, asked: dict[str, Any]) -> None:
    """In another order, as base64."""
    data = [
        {"index": n, "embedding": base64.b64encode(struct.pack("<3f", *vector(text))).decode()}
        for n, text in enumerate(asked["input"])
    ]
    await say(peer, data[::-1])


def status(line: str, more: str = "") -> Answer:
    """A refusal."""

    async def answer(_: Endpoint, peer: Peer, asked: dict[str, Any]) -> None:
        await peer.answer(b'{"error":{"message":"no, key sk-abcdefgh123"}}', status=line, more=more)

    return answer


def raw(body: bytes) -> Answer:
    """Something odd."""

    async def answer(_: Endpoint, peer: Peer, asked: dict[str, Any]) -> None:
        await peer.answer(body)

    return answer


async def hang_up(_: Endpoint, peer: Peer, asked: dict[str, Any]) -> None:
    """No answer."""
    peer.writer.transport.abort()


@asynccontextmanager
async def embedder(endpoint: Endpoint, **more: Any) -> AsyncIterator[RemoteEmbedder]:
    """The embedder of a model that this endpoint serves."""
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    network = Network(proxies={})
    config = UpstreamConfig(url=f"http://127.0.0.1:{port}/v1", key="sk-abcdefgh123", models=("small",))
    router = Router({"there": Upstream("there", config, network)}, "there", None)
    yield RemoteEmbedder("small", router, asyncio.Semaphore(AT_ONCE), first_wait=0.001, **more)
    await network.aclose()
    server.close()


def unpacked(data: bytes) -> list[float]:
    """The numbers of a vector."""
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def unit(text: str) -> list[float]:
    """What is expected."""
    given = vector(text)
    length = sum(x * x for x in given) ** 0.5
    return [x / length for x in given]


@pytest.mark.parametrize("form", [numbers, packed])
async def test_forms_of_answers(form: Answer) -> None:
    """Numbers and base64, in order or not, come out as vectors of length 1 in the order of the texts."""
    endpoint = Endpoint(form)
    async with embedder(endpoint) as one:
        assert one.dimensions is None
        texts = ["one", "three", "", "a longer text"]
        found = await one.documents(texts)
        assert [unpacked(each) for each in found] == [pytest.approx(unit(text or " "), abs=1e-6) for text in texts]
        assert one.dimensions == 3
        assert endpoint.asked == [
            {"model": "small", "input": ["one", "three", " ", "a longer text"], "encoding_format": "float"}
        ]


async def test_batches_and_bounds() -> None:
    """Many texts go in batches, few at a time, and come back in order."""
    endpoint = Endpoint()
    async with embedder(endpoint, batch=10) as one:
        texts = [f"text {n}" * (n % 5 + 1) for n in range(95)]
        found = await one.documents(texts)
        assert [unpacked(each) for each in found] == [pytest.approx(unit(text), abs=1e-6) for text in texts]
        assert [len(asked["input"]) for asked in endpoint.asked].count(10) == 9
        assert endpoint.most <= AT_ONCE
        assert await one.documents([]) == []


async def test_prefixes_and_dimensions() -> None:
    """A document and a question get what is configured, and so does the request."""
    endpoint = Endpoint()
    async with embedder(endpoint, dimensions=3, document_prefix="d: ", query_prefix="q: ") as one:
        await one.documents(["x"])
        await one.query("y")
    assert [(asked["input"], asked["dimensions"]) for asked in endpoint.asked] == [(["d: x"], 3), (["q: y"], 3)]


@pytest.mark.parametrize("trouble", [status("429 Too Many", "retry-after-ms: 1\r\n"), status("503 Busy"), hang_up])
async def test_what_passes_is_tried_again(trouble: Answer) -> None:
    """A refusal for now, or a broken connection, is not the end."""
    endpoint = Endpoint(trouble, trouble, numbers)
    async with embedder(endpoint) as one:
        assert unpacked(await one.query("x")) == pytest.approx(unit("x"), abs=1e-6)
    assert len(endpoint.asked) >= 3


async def test_what_does_not_pass_is_said() -> None:
    """After five tries the endpoint's own status; at once, where another try would not help. Never the key."""
    endpoint = Endpoint(*[status("500 Oh")] * 5)
    async with embedder(endpoint) as one:
        with pytest.raises(UpstreamError) as caught:
            await one.documents(["x"])
        assert (caught.value.status, len(endpoint.asked)) == (500, 5)
        assert "abcdefgh" not in caught.value.message
        endpoint.answers = [status("400 Bad")]
        with pytest.raises(UpstreamError) as caught:
            await one.query("x")
        assert (caught.value.status, len(endpoint.asked)) == (400, 6)
        endpoint.answers = [status("404 Not Found")]
        with pytest.raises(ModelNotFound, match="no embeddings of the model 'small'"):
            await one.query("x")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nonsense", "no list of embeddings"),
        (b'{"data":[]}', "0 embeddings for 1 texts"),
        (b'{"data":[{"embedding":[0,0,0]}]}', "without a direction"),
        (b'{"data":[{"embedding":[]}]}', "0 dimensions"),
        (b'{"data":[{"embedding":"!!"}]}', "neither numbers nor base64"),
        (b'{"data":[{"embedding":[1,2]}]}', "2 dimensions where 3"),
    ],
)
async def test_odd_answers(body: bytes, reason: str) -> None:
    """What is no embedding of what was asked is an error that says so, and is not asked for again."""
    endpoint = Endpoint(numbers, raw(body))
    async with embedder(endpoint) as one:
        await one.query("x")
        with pytest.raises(UpstreamError, match=reason):
            await one.query("x")
    assert len(endpoint.asked) == 2


async def test_embedders_by_name() -> None:
    """The one that comes along by any of its names, an endpoint's by the model's; an unknown one says which exist."""
    config = KnowledgeConfig(models={"mine": EmbeddingModelConfig(path="/nowhere")})
    embedders = Embedders(config, Router({}, None, demo_upstream(DemoTransport())))
    default = embedders.named()
    assert (default.model, default.dimensions) == (BUILT_IN, 384)
    assert embedders.named("sentence-transformers/all-MiniLM-L6-v2") is default
    assert await embedders.check(BUILT_IN) is default
    demo = await embedders.check("demo")
    assert len(await demo.query("x")) == 4 * 256
    assert demo.dimensions == 256
    with pytest.raises(ModelNotFound, match=r"'nobody' does not exist.*'all-MiniLM-L6-v2', 'mine'") as caught:
        await embedders.check("nobody")
    assert caught.value.param == "embedding_model"
    await embedders.aclose()


async def test_questions_do_not_wait_for_documents() -> None:
    """A question is answered while a long document is computed, and both as alone."""
    embedders = Embedders(KnowledgeConfig(), Router({}, None, None))
    one = embedders.named()
    alone = await one.query("bees")
    reading = asyncio.create_task(one.documents(["The ship sailed on. " * 400] * 40))
    for _ in range(3):
        assert await one.query("bees") == alone
    assert not reading.done()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await embedders.aclose()
