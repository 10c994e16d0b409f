"""The demo model as a transport: paths, status lines, pauses and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from antiphon import ambient
from antiphon.upstream.demo.answer import compose
from antiphon.upstream.demo.chunks import DONE, completion, event, stream, usage_of
from antiphon.upstream.demo.embeddings import DIMENSIONS, as_base64, embed
from antiphon.upstream.demo.prompt import Prompt, pieces
from antiphon.upstream.door import ExchangeFailed, Headers, Reply, Request, StaticReply

MODEL = "demo"
#: The demo model reads so many of its own tokens; ``[[window N]]`` makes it fewer.
WINDOW = 131_072

_JSON: Headers = (("content-type", "application/json"),)
_EVENTS: Headers = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class _Refused(Exception):
    """The demo model's own error answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        self.headers = headers


class DemoTransport:
    """Answers requests for ``demo://model/v1/...``; holds nothing open."""

    async def send(self, request: Request) -> Reply:
        """One exchange. Only the script in the prompt can make it wait or break."""
        path = unquote(urlsplit(request.url).path).removeprefix("/v1").rstrip("/")
        try:
            if request.method == "GET":
                return _json(_listed(path))
            return await _asked(path, _decoded(request.body))
        except _Refused as refused:
            return StaticReply(refused.status, (*_JSON, *refused.headers), _once(msgspec.json.encode(refused.body)))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _asked(path: str, body: dict[str, Any]) -> Reply:
    if path == "/chat/completions":
        return await _chat(body)
    if path == "/completions":
        return _legacy(body)
    if path == "/embeddings":
        return _json(_embeddings(body))
    if path == "/tokenize":
        return _json({"count": Prompt(_checked(body)).tokens(), "max_model_len": WINDOW})
    raise _Refused(404, f"The demo model has no path {path}.", code="not_found")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _json(value: Any) -> StaticReply:
    return StaticReply(200, _JSON, _once(msgspec.json.encode(value)))


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as odd:
        raise _Refused(400, f"The body is not JSON: {odd}.") from odd
    if not isinstance(body, dict):
        raise _Refused(400, "The body is not an object.")
    if body.get("model") != MODEL:
        name = body.get("model")
        raise _Refused(404, f"The demo model knows no model '{name}'.", param="model", code="model_not_found")
    return body


def _listed(path: str) -> dict[str, Any]:
    entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": "antiphon", "context_length": WINDOW}
    if path == "/models":
        return {"object": "list", "data": [entry]}
    if path == f"/models/{MODEL}":
        return entry
    raise _Refused(404, f"The demo model has no path {path}.", code="not_found")


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Refused(400, "'messages' must be a list with at least one message.", param="messages")
    return body


async def _chat(body: dict[str, Any]) -> Reply:
    prompt = Prompt(_checked(body))
    script = prompt.script
    _refuse_if_told(prompt)
    _refuse_if_long(prompt)
    wait = script.number("wait", 0)
    if wait:
        await asyncio.sleep(wait / 1000)
    count = body.get("n")
    answers = [compose(prompt, i) for i in range(min(count, 16) if isinstance(count, int) and count > 0 else 1)]
    if body.get("stream"):
        return StaticReply(200, _EVENTS, _events(prompt, [event(c) for c in stream(prompt, answers)]))
    return _json(completion(prompt, answers))


async def _events(prompt: Prompt, events: list[bytes]) -> AsyncIterator[bytes]:
    """The stream, one event a read, with the script's pauses, breaks and errors."""
    script = prompt.script
    pause = script.number("slow", 0) / 1000
    breaks = script.number("break", 3) if script.has("break") else -1
    fails = script.number("fail", 3) if script.has("fail") else -1
    hangs = script.number("hang", 0) if script.has("hang") else -1
    for n, data in enumerate(events):
        if n == breaks:
            raise ExchangeFailed("broken", "it closed the connection before the answer was complete.")
        if n == fails:
            error = {"message": "The demo model failed as it was told.", "type": "server_error", "code": "server_error"}
            yield event({"error": error})
            return
        if n == hangs:
            await asyncio.Event().wait()  # until the reader goes away
        # Even without a pause the loop gets its turn, as it would between two reads of a socket.
        await asyncio.sleep(pause)
        yield data
    yield DONE


def _refuse_if_told(prompt: Prompt) -> None:
    told = prompt.script.get("error")
    if told is None:
        return
    words = told.split()
    status = int(words.pop(0)) if words and words[0].isdecimal() else 500
    status = status if 400 <= status <= 599 else 500
    options = dict(w.split("=", 1) for w in words if "=" in w)
    message = " ".join(w for w in words if "=" not in w) or f"The demo model answers {status} as it was told."
    headers = tuple((k, options[k]) for k in ("retry-after", "retry-after-ms") if k in options)
    raise _Refused(status, message, code=options.get("code"), param=options.get("param"), headers=headers)


def _refuse_if_long(prompt: Prompt) -> None:
    window = prompt.script.number("window", WINDOW)
    size = prompt.tokens()
    if size > window:
        text = f"This model's maximum context length is {window} tokens, and the messages hold {size}."
        raise _Refused(400, text, param="messages", code="context_length_exceeded")


def _legacy(body: dict[str, Any]) -> Reply:
    """``/completions``: the same model, asked with a bare prompt."""
    asked = body.get("prompt", "")
    texts = asked if isinstance(asked, list) and all(isinstance(t, str) for t in asked) else [asked]
    if not texts or not all(isinstance(t, str) for t in texts):
        raise _Refused(400, "'prompt' must be a string or a list of strings.", param="prompt")
    prompts = [Prompt({**body, "messages": [{"role": "user", "content": text}]}) for text in texts]
    for prompt in prompts:
        _refuse_if_told(prompt)
    answers = [compose(prompt) for prompt in prompts]
    head = {"id": "cmpl-demo", "object": "text_completion", "created": int(ambient.now()), "model": MODEL}
    choices = [{"index": i, "text": a.text, "finish_reason": a.finish, "logprobs": None} for i, a in enumerate(answers)]
    each = [usage_of(p, [a]) for p, a in zip(prompts, answers, strict=True)]
    usage = {k: sum(u[k] for u in each) for k in ("prompt_tokens", "completion_tokens", "total_tokens")}
    if not body.get("stream"):
        return _json({**head, "choices": choices, "usage": usage})
    events = []
    for i, answer in enumerate(answers):
        parts = [{"index": i, "text": t, "finish_reason": None, "logprobs": None} for t in pieces(answer.text)]
        parts.append({"index": i, "text": "", "finish_reason": answer.finish, "logprobs": None})
        events += [event({**head, "choices": [part]}) for part in parts]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(event({**head, "choices": [], "usage": usage}))
    return StaticReply(200, _EVENTS, _events(prompts[0], events))


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    asked = body.get("input")
    single = isinstance(asked, str) or (isinstance(asked, list) and bool(asked) and isinstance(asked[0], int))
    inputs: list[Any] = [asked] if single else asked if isinstance(asked, list) else []
    if not inputs:
        raise _Refused(400, "'input' must be a text, or a list of texts, that is not empty.", param="input")
    size = body.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or not 1 <= size <= 8192:
        raise _Refused(400, "'dimensions' must be a number from 1 to 8192.", param="dimensions")
    texts = [i if isinstance(i, str) else " ".join(map(str, i)) if isinstance(i, list) else str(i) for i in inputs]
    packed = body.get("encoding_format") == "base64"
    data = []
    for n, text in enumerate(texts):
        vector = embed(text, size)
        data.append({"object": "embedding", "index": n, "embedding": as_base64(vector) if packed else vector})
    used = sum(len(pieces(t)) for t in texts)
    return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": used, "total_tokens": used}}
