"""Log lines: each is one line, whatever a client sends."""

from __future__ import annotations

import io
import logging

import pytest

from antiphon.http.logs import AccessLog, _Together


def _to(stream: io.StringIO) -> tuple[AccessLog, logging.Logger]:
    handler, access, log = _Together(stream, "INFO"), AccessLog(), logging.Logger("ours")  # noqa: LOG001 - of nobody else
    access.to(handler)
    log.addHandler(handler)
    return access, log


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028", "\x1b[2K"])
def test_a_path_cannot_forge_a_line(break_: str) -> None:
    """What would end a line, or move the cursor of who reads it, is spelled out."""
    access, log = _to(stream := io.StringIO(newline=""))
    path = f"/a{break_}2026-01-02T03:04:05.678Z INFO - forged"
    access.request("GET", path, 404, 0.0015)
    log.error("%s %s broke", "GET", path)
    of_access, of_record = stream.getvalue().splitlines()
    assert break_ not in of_access + of_record
    assert of_access.endswith("Z INFO - forged 404 1.5 ms")
    assert of_record.endswith("Z INFO - forged broke")


def test_a_path_is_logged_as_it_is() -> None:
    """Letters of any language are no danger; a traceback keeps its lines."""
    access, log = _to(stream := io.StringIO())
    access.request("GET", "/\u00fc b", 200, 0)
    try:
        int("no number")
    except ValueError:
        log.exception("it broke\n")
    first, second, *trace = stream.getvalue().splitlines()
    assert first.endswith(" INFO - GET /\u00fc b 200 0.0 ms")
    assert second.endswith(" ERROR - it broke")
    assert trace[0].startswith("Traceback")
    assert trace[-1].startswith("ValueError: ")
