"""One back end that speaks Chat Completions: its streams, its pass-through, its models.

A failure carries the back end's own status, code and words, and never our key. Only headers that the configuration
names go through from a client. Nothing random or timed enters a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.config import UpstreamConfig
from antiphon.errors import UpstreamError
from antiphon.upstream.counting import TokenCounter
from antiphon.upstream.door import ExchangeFailed, Headers, Reply, Request, Transport, host_of, read_all
from antiphon.upstream.errors import refusal, unreachable
from antiphon.upstream.listing import ModelList
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatRequest

#: Longest error body, and longest answer to a small question (models, tokenizer), that we read.
MAX_ERROR_BYTES = 1024 * 1024
MAX_ANSWER_BYTES = 16 * 1024 * 1024

#: How long a small question may take. Seconds.
ASK_SECONDS = 5.0
LIST_SECONDS = 2.0

#: Shorter values of forwarded headers are words, not credentials.
_SHORTEST_CREDENTIAL = 8

#: Headers that describe the body a client sends; they travel with it when it is passed through.
_BODY_HEADERS = frozenset({"content-type", "accept"})
#: Never forwarded, whatever the configuration names: they belong to the one connection.
_HOP_HEADERS = frozenset(
    {"host", "content-length", "connection", "transfer-encoding", "te", "upgrade", "keep-alive", "trailer", "cookie"}
)

_encode = msgspec.json.Encoder().encode


class Upstream:
    """A named back end. Shares its door with the others; holds no connection itself."""

    def __init__(self, name: str, config: UpstreamConfig, door: Transport) -> None:
        self.name = name
        self.config = config
        self.url = config.url.rstrip("/")
        self._completions = self.url + "/chat/completions"
        self._door = door
        self._place = host_of(self.url)
        self._root = self.url.removesuffix("/v1")
        auth = (("Authorization", f"Bearer {config.key}"),) if config.key else ()
        self._own: Headers = (("Accept", "application/json"), ("User-Agent", "antiphon"), *auth)
        self._json: Headers = (("Content-Type", "application/json"), *self._own)
        self._forwarded = frozenset(h.lower() for h in config.forward_headers) - _HOP_HEADERS
        self._secrets = (config.key,) if config.key else ()
        self._list = ModelList(self._fetch_models)
        self._counter = TokenCounter(self._post)
        self._learned: dict[str, int] = {}

    async def stream(
        self, request: ChatRequest, *, headers: Sequence[tuple[str, str]] = (), keep: bool = False
    ) -> ChatStream:
        """Starts a chat stream; returns when the status line says 2xx.

        ``headers`` are the client's, all of them: only what the configuration names goes on. ``keep``: what is read is
        kept (``ChatStream.kept``). Raises ``UpstreamError`` with the back end's status, code, type, param, message and
        retry headers (502 or 504 when it gave none), and ``ContextLengthExceeded`` when the prompt does not fit.
        """
        sent = self._with_client(self._json, headers) if headers else self._json
        secrets = self._secrets if sent is self._json else (*self._secrets, *_credentials(sent, self._json))
        reply = await self._send("POST", self._completions, sent, _encode(request))
        if not 200 <= reply.status < 300:
            raise await self._refused(reply, request.get("model"), secrets)
        return ChatStream(reply, self.name, secrets, keep=keep)

    async def forward(
        self, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> Reply:
        """Sends a body on as it is; ``path`` is below the base URL, with its query (``/embeddings``).

        The reply is the back end's own, whatever its status; the caller filters its headers and closes it. Raises
        ``UpstreamError`` only when there is no reply.
        """
        described = tuple((k, v) for k, v in headers if k.lower() in _BODY_HEADERS)
        names = {k.lower() for k, _ in described}
        base = (*described, *((k, v) for k, v in (self._json if body else self._own) if k.lower() not in names))
        return await self._send(method, self.url + path, self._with_client(base, headers), body)

    async def models(self) -> list[dict[str, Any]]:
        """The models it lists, then those the configuration names; shortly cached, empty when it cannot be asked."""
        listed = await self._list.get()
        named = [m for m in self.config.models if m not in listed]
        return [*listed.values(), *({"id": m, "object": "model", "created": 0, "owned_by": self.name} for m in named)]

    async def serves(self, model: str) -> bool:
        """Whether the configuration or its list names this model."""
        return model in self.config.models or model in await self._list.get()

    @property
    def listing(self) -> ModelList:
        """Its list of models, and why there is none."""
        return self._list

    def context_window(self, model: str) -> int | None:
        """Tokens the model can read: configuration, else its list as last heard, else what a refusal taught."""
        table = self.config.context_window
        return table.get(model) or table.get("*") or self._list.window(model) or self._learned.get(model)

    def learn_context_window(self, model: str, tokens: int) -> None:
        """Remembers what a refusal told."""
        if len(self._learned) < 10_000 or model in self._learned:
            self._learned[model] = tokens

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """The exact size of a rendered request in tokens, where the back end has a tokenizer endpoint; else None."""
        return await self._counter.count(request)

    def _with_client(self, base: Headers, headers: Sequence[tuple[str, str]]) -> Headers:
        """Our headers, and of the client's those that the configuration lets through; the client's win."""
        passed = [
            (k, v)
            for k, v in headers
            if (name := k.lower()) in self._forwarded or (name == "authorization" and self.config.forward_auth)
        ]
        if not passed:
            return base
        taken = {k.lower() for k, _ in passed}
        return (*((k, v) for k, v in base if k.lower() not in taken), *passed)

    async def _send(self, method: str, url: str, headers: Headers, body: bytes, seconds: float | None = None) -> Reply:
        config = self.config
        request = Request(
            method,
            url,
            headers,
            body,
            config.connect_seconds if seconds is None else min(seconds, config.connect_seconds),
            config.read_seconds if seconds is None else seconds,
            config.max_connections,
        )
        try:
            return await self._door.send(request)
        except ExchangeFailed as failure:
            raise unreachable(self.name, self._place, failure) from failure

    async def _refused(self, reply: Reply, model: Any, secrets: tuple[str, ...]) -> UpstreamError:
        try:
            body = await read_all(reply, MAX_ERROR_BYTES)
        except ExchangeFailed:
            body = b""  # the status alone still tells the client enough
        found = refusal(self.name, reply.status, reply.headers, body, secrets)
        window = getattr(found, "context_window", None)
        if window and isinstance(model, str):
            self.learn_context_window(model, window)
        return found

    async def _fetch_models(self) -> Any:
        reply = await self._send("GET", self.url + "/models", self._own, b"", LIST_SECONDS)
        if reply.status != 200:
            raise await self._refused(reply, None, self._secrets)
        return await self._json_body(reply)

    async def _json_body(self, reply: Reply) -> Any:
        try:
            return msgspec.json.decode(await read_all(reply, MAX_ANSWER_BYTES))
        except ExchangeFailed as failure:
            raise unreachable(self.name, self._place, failure) from failure
        except msgspec.DecodeError as odd:
            raise UpstreamError(
                f"The upstream '{self.name}' answered with broken JSON.", code="upstream_bad_data"
            ) from odd

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        try:
            reply = await self._send("POST", self._root + path, self._json, _encode(body), ASK_SECONDS)
            if reply.status != 200:
                await reply.aclose()
                return reply.status, None
            answer = await self._json_body(reply)
        except UpstreamError:
            return 0, None  # counting falls back to an estimate, which says that it is one
        return 200, answer if isinstance(answer, dict) else None


#: Words in the name of a header whose value is nobody else's business.
_SECRET_WORDS = ("auth", "key", "token", "secret", "password", "cookie", "signature")


def _credentials(sent: Headers, own: Headers) -> list[str]:
    """Values of the client's headers that went along: a back end may repeat them in its errors, which are stored."""
    passed = ((name.lower(), value) for name, value in sent if (name, value) not in own)
    values = (value.partition(" ")[2] or value for name, value in passed if any(word in name for word in _SECRET_WORDS))
    return [value for value in values if len(value) >= _SHORTEST_CREDENTIAL]
