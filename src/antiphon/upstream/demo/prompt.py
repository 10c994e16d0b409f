"""What the demo model reads of a chat request."""

from __future__ import annotations

import re
from typing import Any

from antiphon.upstream.demo.markers import Script

_PIECE = re.compile(r"\s*\S{1,6}|\s+")


def pieces(text: str) -> list[str]:
    """The demo model's tokens: at most six characters with the white space before them. They join to the text."""
    return _PIECE.findall(text)


def text_of(content: Any) -> str:
    """The text of a message's content, string or parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (p.get("text") or p.get("refusal") for p in content if isinstance(p, dict))
    return "\n".join(t for t in texts if isinstance(t, str))


class Prompt:
    """A chat request, taken apart: the script that steers the answer, and what it may quote."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.messages: list[dict[str, Any]] = [m for m in body.get("messages") or [] if isinstance(m, dict)]
        users = [i for i, m in enumerate(self.messages) if m.get("role") == "user"]
        last = users[-1] if users else -1
        content = self.messages[last].get("content") if users else None
        script = Script(text_of(content))
        self.user = script.text
        self.system = "\n".join(
            text_of(m.get("content")) for m in self.messages if m.get("role") in ("system", "developer")
        )
        standing = Script(self.system)
        if standing:
            self.system = standing.text
        #: The last user message is the script; where it has no marker, the instructions are.
        self.script = script or standing
        self.media = (
            [p for p in content if isinstance(p, dict) and p.get("type") not in (None, "text")]
            if (isinstance(content, list))
            else []
        )
        after = self.messages[last + 1 :]
        self.results = [text_of(m.get("content")) for m in after if m.get("role") in ("tool", "function")]
        self.turns = sum(1 for m in after if m.get("role") == "assistant" and m.get("tool_calls"))
        self.calls_made = sum(len(m.get("tool_calls") or []) for m in after if m.get("role") == "assistant")
        self.tools: dict[str, dict[str, Any]] = {}
        for tool in body.get("tools") or []:
            function = tool.get("function") if isinstance(tool, dict) else None
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                self.tools[function["name"]] = function.get("parameters") or {}

    def tokens(self) -> int:
        """The size of the prompt in the demo model's tokens."""
        count = 0
        for message in self.messages:
            count += 3 + len(pieces(text_of(message.get("content"))))
            for call in message.get("tool_calls") or []:
                function = call.get("function") or {}
                count += 3 + len(pieces(f"{function.get('name')} {function.get('arguments')}"))
        return count + sum(len(pieces(f"{name} {schema}")) for name, schema in self.tools.items())

    def fill(self, text: str) -> str:
        """Replaces ``{user}`` and its like by what they name. Other braces stay."""
        return re.sub(r"\{([a-z]+)\}", lambda m: self._named(m[1], m[0]), text)

    def _named(self, name: str, otherwise: str) -> str:
        if name == "user":
            return self.user
        if name == "system":
            return self.system
        if name == "results":
            return "; ".join(self.results)
        if name == "tools":
            return ", ".join(self.tools)
        if name == "model":
            return str(self.body.get("model"))
        if name == "roles":
            return ", ".join(str(m.get("role")) for m in self.messages)
        if name == "media":
            return ", ".join(str(p.get("type")) for p in self.media)
        if name == "history":
            return " | ".join(self._spoken())
        if name == "params":
            return ", ".join(f"{k}={self.body[k]}" for k in sorted(self.body) if k not in ("messages", "tools"))
        return otherwise

    def _spoken(self) -> list[str]:
        said = ((m.get("role"), Script(text_of(m.get("content"))).text) for m in self.messages)
        return [f"{role}: {text}" for role, text in said if role in ("user", "assistant") and text]
