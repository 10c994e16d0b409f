"""Exact prompt sizes from back ends that offer their tokenizer, in the two forms there are.

Which form a back end has is found out once and remembered; having none is remembered too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from antiphon.wire.chat import ChatRequest

#: Posts JSON to a path under the back end's root; None for any answer but a 2xx JSON object.
Post = Callable[[str, dict[str, Any]], Awaitable[tuple[int, dict[str, Any] | None]]]

#: Request fields that shape the rendered prompt.
_RENDERED = ("model", "messages", "tools", "tool_choice", "chat_template_kwargs", "reasoning_effort")


class TokenCounter:
    """Counts through the back end's own endpoints. ``post`` gives (status, body); status 0 when it did not answer."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._form: Literal["vllm", "llama", "none"] | None = None

    async def count(self, request: ChatRequest) -> int | None:
        """Tokens of the rendered request; None when this back end cannot tell."""
        body = {k: request[k] for k in _RENDERED if request.get(k) is not None}
        if self._form in (None, "vllm"):
            count = await self._vllm(body)
            if count is not None or self._form == "vllm":
                return count
        if self._form in (None, "llama"):
            return await self._llama(body)
        return None

    async def _vllm(self, body: dict[str, Any]) -> int | None:
        """vLLM renders and counts in one call."""
        _, answer = await self._post("/tokenize", {**body, "add_generation_prompt": True})
        count = answer.get("count") if answer else None
        # llama-server has the same path, but reads only "content": its answer holds no count.
        if isinstance(count, int) and count > 0:
            self._form = "vllm"
            return count
        return None

    async def _llama(self, body: dict[str, Any]) -> int | None:
        """llama-server renders, then counts."""
        status, answer = await self._post("/apply-template", body)
        prompt = answer.get("prompt") if answer else None
        if not isinstance(prompt, str):
            if status in (404, 405, 501) and self._form is None:
                self._form = "none"
            return None
        _, answer = await self._post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})
        tokens = answer.get("tokens") if answer else None
        if not isinstance(tokens, list):
            return None
        self._form = "llama"
        return len(tokens)
