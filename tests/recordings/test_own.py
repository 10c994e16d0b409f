"""Our own recordings, everywhere: whole conversations through the SDK, a real server and a back end that replays."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from tests.recordings.backend import SCOPE, RecordedBackend
from tests.recordings.conftest import Serve
from tests.recordings.conversations import Conversation, play, strung
from tests.recordings.tape import Recording, own, unwrapped
from tests.server import Server

RECORDINGS = own(Path(__file__).with_name("data"))
CONVERSATIONS = [one for one in strung(RECORDINGS) if one.expressible]

Recorded = tuple[Server, RecordedBackend]


@pytest.fixture(scope="module")
def recorded(serve: Serve) -> Recorded:
    """A server in front of all of them."""
    whole = [one for one in RECORDINGS if isinstance(one.answer, dict)]
    return serve([*whole, *(turn for one in CONVERSATIONS for turn in one.scoped())])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.name)
def test_recorded_conversations_happen_again(recorded: Recorded, conversation: Conversation, stream: bool) -> None:
    """Said again through the SDK, each turn asks the model what was recorded and gets the recorded answer."""
    server, backend = recorded
    backend.served.clear()
    play(server.client, conversation, stream=stream)
    assert [one.name for one in backend.served] == [one.name for one in conversation]


def test_every_recording_is_played() -> None:
    """The conversations leave nothing out but the one answer that is no stream."""
    played = {turn.name for one in CONVERSATIONS for turn in one}
    assert {one.name for one in RECORDINGS} - played == {"whole-answer[0]"}


def test_a_whole_answer_passes_through(recorded: Recorded) -> None:
    """A recording of an answer that was not streamed is found by the chat pass-through."""
    said = recorded[0].client.chat.completions.create(
        model="tern-2",
        messages=[{"role": "user", "content": [{"type": "text", "text": "Good morning!"}]}],
        extra_headers={SCOPE: "whole-answer"},
    )
    assert said.choices[0].message.content == "Moin."


def test_a_miss_explains_itself(recorded: Recorded) -> None:
    """A request that was not recorded fails, and the failure shows where it differs from the nearest recording."""
    with pytest.raises(openai.InternalServerError) as caught:
        recorded[0].client.responses.create(
            model="tern-2",
            input="What is the password of the night?",
            extra_headers={SCOPE: "password-monday["},
        )
    for line in ("password-monday[0]", '-   "content": "What is the password of the day?"', '+   "content": '):
        assert line in caught.value.message


def test_envelopes_come_off() -> None:
    """Objects in envelopes are read as plain data, at any depth, and nothing is imported for it."""
    wrapped = {"__type__": "no.such.module.Thing", "__data__": {"a": [{"__type__": "no.such.Other", "__data__": {}}]}}
    assert unwrapped([wrapped]) == [{"a": [{}]}]


def test_a_run_is_strung_from_its_answers() -> None:
    """A request continues the recording whose answer it repeats, not another one of the same question."""

    def said(name: str, answer: str, *before: tuple[str, str]) -> Recording:
        messages = [{"role": role, "content": content} for role, content in before]
        return Recording(
            name, "s", {"messages": messages, "stream": True}, [{"choices": [{"delta": {"content": answer}}]}]
        )

    hi = ("user", "hi")
    first, other = said("first", "yes", hi), said("other", "no", hi)
    last = said("last", "bye", hi, ("assistant", "no"), ("user", "why"))
    assert [[turn.name for turn in one] for one in strung([first, other, last])] == [["first"], ["other", "last"]]
