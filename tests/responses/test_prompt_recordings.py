"""Recorded runs, said again as Responses items, ask the model what the recordings say it was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import UpstreamConfig
from antiphon.responses.prompt import render
from antiphon.responses.toolbox import Toolbox
from antiphon.tape.canon.chat import canonical, canonical_key
from antiphon.wire.requests import read_create
from tests.shared import SHARED, shared

#: Fields of a recorded request that a Responses request can ask for, and under which name.
ASKED = {
    "parallel_tool_calls": "parallel_tool_calls",
    "temperature": "temperature",
    "top_p": "top_p",
    "tool_choice": "tool_choice",
    "service_tier": "service_tier",
}
#: Those that come by themselves or say nothing.
SPOKEN = {"model", "messages", "tools", "stream", "stream_options", "response_format", *ASKED}


def recordings() -> list[Path]:
    """Streamed chat calls among the recordings that the Responses API can express."""
    folder = SHARED / "recordings"
    paths = [
        *folder.glob("seeds/*.json"),
        *folder.glob("llama-stack/runs/*/*.json"),
        *folder.glob("llama-stack/responses/*.json"),
    ]
    return sorted(
        path for path in paths if (body := body_of(path)).get("stream") and body.keys() <= SPOKEN and "messages" in body
    )


def body_of(path: Path) -> dict[str, Any]:
    """The recorded request body; empty for files that are not recordings of one."""
    recording = json.loads(path.read_text())
    body = recording.get("request", {}).get("body") if isinstance(recording, dict) else None
    return body if isinstance(body, dict) else {}


def as_items(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as a client of the Responses API would send them."""
    items: list[dict[str, Any]] = []
    for message in messages:
        content, role = message.get("content"), message["role"]
        if role == "tool":
            output = content if isinstance(content, str) else [_part(part, "input_text") for part in content or []]
            items.append({"type": "function_call_output", "call_id": message["tool_call_id"], "output": output})
            continue
        if content:
            kind = "output_text" if role == "assistant" else "input_text"
            parts = content if isinstance(content, str) else [_part(part, kind) for part in content]
            items.append({"role": role, "content": parts})
        items += [
            {"type": "function_call", "call_id": call["id"], **call["function"]}
            for call in message.get("tool_calls", ())
        ]
    return items


def _part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    if part["type"] == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": part["image_url"].get("detail")}
    return {"type": kind, "text": part["text"]}


def rendered(body: dict[str, Any]) -> dict[str, Any]:
    """What we would ask the model for the same conversation."""
    tools = [{"type": "function", "strict": None, **tool["function"]} for tool in body.get("tools", ())]
    form = body.get("response_format")
    asked = {ASKED[key]: value for key, value in body.items() if key in ASKED}
    if form and form["type"] == "json_schema":
        asked["text"] = {"format": {"type": "json_schema", **form["json_schema"]}}
    request = read_create({"model": "m", "input": as_items(body["messages"]), "tools": tools, **asked})
    toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls)
    return render(request, toolbox, UpstreamConfig(url="http://x/v1"), body["model"])


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.stem[:12])
def test_recorded_requests_are_asked_again(path: Path) -> None:
    """Our request for a recorded conversation equals the recorded one under the table of equivalences."""
    body = body_of(path)
    assert canonical(rendered(body)) == canonical(body)


def test_old_and_new_recordings_are_one() -> None:
    """Two recordings of one run, from before and after the recorder changed its form, have the same key."""
    runs = shared("recordings", "llama-stack", "runs")
    old, new = runs / "test_response_non_streaming_basic", runs / "test_response_non_streaming_basic"
    first = body_of(next(old.glob("e59bf10e*.json")))
    second = body_of(next(new.glob("a99db6a1*.json")))
    assert first != second
    assert canonical_key(first) == canonical_key(second)
