"""Calls to compare, in few words."""

from __future__ import annotations

import json
from typing import Any

from antiphon.tape.canon import EXACT, Rules, key, parse
from antiphon.tape.model import Headers, HttpCall, HttpRequest

JSON: Headers = (("Content-Type", "application/json"),)
CHAT = "https://api.example/v1/chat/completions"
RESPONSES = "https://api.example/v1/responses"
MESSAGES = "https://api.example/v1/messages"


def post(url: str, body: Any, headers: Headers = JSON) -> HttpRequest:
    """The request of a POST, of JSON where the body is no bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = parse(HttpCall("POST", url, headers, data))
    assert isinstance(request, HttpRequest)
    return request


def keyed(url: str, body: Any, rules: Rules = EXACT, headers: Headers = JSON) -> str:
    """Its key."""
    return key(post(url, body, headers), rules)
