"""Directories of many recordings, written as the tape writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from antiphon.tape import canon, document
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.model import Exchange, HttpCall, HttpResponse
from antiphon.tape.shelf import file_name, scope_directory

_TYPE = (("content-type", "application/json"),)
_URL = "http://127.0.0.1/v1/chat/completions"


def question(text: str, **fields: Any) -> HttpCall:
    """A chat request with one message."""
    body = {"model": "small", "messages": [{"role": "user", "content": text}], **fields}
    return HttpCall("POST", _URL, _TYPE, json.dumps(body).encode())


def exchange(call: HttpCall, scope: str = "", answer: Any = "ok") -> Exchange:
    """The call, answered."""
    return Exchange(canon.parse(call), HttpResponse(200, _TYPE, (json.dumps(answer).encode(),)), scope=scope)


def write(directory: Path, exchanges: Iterable[Exchange]) -> list[Path]:
    """Puts exchanges below a directory, under the names that the tape would give them."""
    paths = []
    for one in exchanges:
        home = directory / scope_directory(one.scope)
        home.mkdir(parents=True, exist_ok=True)
        paths.append(home / f"{file_name(one.request, canon.key(one.request))}.json")
        paths[-1].write_bytes(document.dump(one)[0])
    return paths


def opened(directory: Path, mode: Any = "replay", **more: Any) -> Tape:
    """A tape on it."""
    rewrite = more.pop("rewrite", None)
    return Tape(Settings(str(directory), mode, **more), environ={}, rewrite=rewrite)
