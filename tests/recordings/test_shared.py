"""Real recordings, where they stand beside the checkout: whole runs of another system, had again through ours."""

from __future__ import annotations

import pytest

from tests.recordings.backend import RecordedBackend
from tests.recordings.conftest import Serve
from tests.recordings.conversations import Conversation, play, strung
from tests.recordings.tape import foreign
from tests.server import Server
from tests.shared import SHARED, shared

FOLDER = SHARED / "recordings"
SEEDS = foreign(sorted(FOLDER.glob("seeds/*.json")))
RUNS = foreign(sorted(FOLDER.glob("llama-stack/runs/*/*.json")))
CONVERSATIONS = strung([*SEEDS, *RUNS])

Recorded = tuple[Server, RecordedBackend]


@pytest.fixture(scope="module")
def recorded(serve: Serve) -> Recorded:
    """A server in front of all of them; what is absent is skipped."""
    shared("recordings")
    return serve([turn for one in CONVERSATIONS for turn in one.scoped()])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.name)
def test_real_conversations_happen_again(recorded: Recorded, conversation: Conversation, stream: bool) -> None:
    """Said again through the SDK, each turn asks the model what was recorded and gets the recorded answer."""
    server, backend = recorded
    backend.served.clear()
    play(server.client, conversation, stream=stream)
    assert [one.name for one in backend.served] == [one.name for one in conversation]


def test_nothing_of_the_runs_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Every recorded chat call of the whole runs is a turn of a conversation that function tools can have."""
    shared("recordings", "llama-stack", "runs")
    played = {turn.name for one in CONVERSATIONS if one.expressible for turn in one}
    with capsys.disabled():
        matched = sum(one.name in played for one in (*SEEDS, *RUNS))
        print(f"\n{matched}/{len(SEEDS) + len(RUNS)} recorded calls in {len(CONVERSATIONS)} conversations")
    assert played == {one.name for one in (*SEEDS, *RUNS)}
