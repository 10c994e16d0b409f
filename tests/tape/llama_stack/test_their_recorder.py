"""What we export is played by the recorder that it is meant for.

That recorder (the package `ogx`) wants a newer Python and much else, so it lives in an interpreter of its own, whose
path stands in ``ANTIPHON_OGX_PYTHON``; without it this is skipped. That interpreter needs
`pip install ogx aiohttp ollama google-genai chardet pypdf`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest
from click.testing import CliRunner

from antiphon.cli import main
from antiphon.tape.scope import scope
from tests.tape.clients.conftest import OnTape, far, on_tape
from tests.tape.clients.far_side import DONE, Answer, FarSide, completion, event, usage

__all__ = ["far", "on_tape"]

PYTHON = os.environ.get("ANTIPHON_OGX_PYTHON")

TEST = "tests/integration/inference/test_ours.py::test_one[a]"
CALLS: list[dict[str, Any]] = [
    {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True},
    {"model": "m", "messages": [{"role": "user", "content": "grün?"}], "temperature": 0.5},
    {
        "model": "m",
        "messages": [{"role": "user", "content": "no"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
]

_THEIRS = """
import asyncio, json, os, sys
import openai
from ogx.core.testing_context import set_test_context
from ogx.testing.api_recorder import api_recording

async def said(client, call):
    try:
        answer = await client.chat.completions.create(**call)
        if not call.get("stream"):
            return answer.choices[0].message.content
        return [choice.delta.content async for chunk in answer for choice in chunk.choices]
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code]

async def main():
    url, test, calls = json.load(sys.stdin)
    set_test_context(test)
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    with api_recording("replay", os.path.abspath("tests/integration/common")):
        print(json.dumps([await said(client, call) for call in calls]))

asyncio.run(main())
"""


@pytest.mark.skipif(not PYTHON, reason="ANTIPHON_OGX_PYTHON names no interpreter with their recorder")
def test_their_recorder_plays_our_export(far: FarSide, on_tape: OnTape, tmp_path: Path) -> None:
    """A stream, a whole answer and a refusal, recorded by us, exported, and played by them without the server."""
    refusal = json.dumps({"error": {"message": "slow down", "type": "rate_limit", "code": "busy"}}).encode()
    far.streams(event("to"), event("gether"), usage(5, 3), DONE)
    far.answers(Answer((completion("Grün."),)), Answer((refusal,), status=429))
    with on_tape("record"), scope(TEST), openai.OpenAI(base_url=f"{far.root}/v1", api_key="none", max_retries=0) as us:
        pieces = [choice.delta.content for chunk in us.chat.completions.create(**CALLS[0]) for choice in chunk.choices]
        assert us.chat.completions.create(**CALLS[1]).choices[0].message.content == "Grün."
        with pytest.raises(openai.RateLimitError):
            us.chat.completions.create(**CALLS[2])
    made = CliRunner().invoke(main, ["tape", "export", "llama-stack", str(tmp_path), "--dir", str(on_tape.directory)])
    assert made.exit_code == 0, made.output
    assert PYTHON is not None
    asked = json.dumps([f"{far.root}/v1", TEST, CALLS])
    done = subprocess.run(
        [PYTHON, "-c", _THEIRS], cwd=tmp_path, input=asked, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [pieces, "Grün.", ["RateLimitError", 429]]
    assert far.hits == 3
