"""The index reads thousands of files."""

from __future__ import annotations

import json
from time import process_time

from antiphon.tape import document
from antiphon.tape.model import Exchange, HttpRequest, JsonBody
from tests.shared import shared
from tests.tape.document.examples import chat


def test_heads_are_read_quickly() -> None:
    """Over requests as they are recorded and answers of 200 chunks. The bound is loose: only a mistake reaches it."""
    answer = chat([f" word{at}" for at in range(200)]).response
    files = []
    for path in sorted(shared("recordings").rglob("*.json")):
        body = json.loads(path.read_bytes())["request"].get("body")
        files.append(document.dump(Exchange(HttpRequest("POST", "/v1/x", body=JsonBody(body)), answer))[0])
        if len(files) == 100:
            break
    assert min(_seconds(files) for _ in range(3)) / len(files) < 1e-3


def _seconds(files: list[bytes]) -> float:
    start = process_time()
    for data in files:
        document.head(data)
    return process_time() - start
