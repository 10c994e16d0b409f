"""Where recordings go: scopes, names, several processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tape.plugin.project import Project

NAMES = """
@pytest.mark.recording
@pytest.mark.parametrize("name", ["x/1", "x?1", "X/1", "x:1", "CON", "..", "ü", "long" * 100, "long" * 100 + "!"])
def test_named(name):
    assert repr(name)[1:-1][-40:] in ask(repr(name)).json()["said"]
"""


def test_names_never_collide_and_stay_short(project: Project) -> None:
    """Slashes, question marks, case, 400 characters: each test has files of its own."""
    project.write("test_it.py", NAMES)
    assert project.run("--record-mode=rewrite").outcomes == {"passed": 9}
    files = [name for name in project.tree if name.endswith(".json")]
    assert len({name.lower().rpartition("/")[0] for name in files}) == 9
    assert max(len(name) for name in files) <= 120
    assert all(name.isascii() and not set(name) & set('<>:"\\|?*') for name in files)
    again = project.run()
    assert (again.outcomes, project.far.hits) == ({"passed": 9}, 9), again.text


SCOPES = """
import threading

@pytest.mark.recording(scope="shared")
def test_one():
    ask("same")

@pytest.mark.recording(scope="shared")
def test_two():
    ask("same")

class TestBoth:
    pytestmark = pytest.mark.recording

    def test_agents(self, recording):
        def agent(name):
            with recording.scope(name):
                for _ in range(2):
                    ask("same")
        threads = [threading.Thread(target=agent, args=(name,)) for name in "ab"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        plain = threading.Thread(target=ask, args=("from a thread",))
        plain.start(); plain.join()
        assert recording.usage == {"replayed": 0, "recorded": 0}
        assert len(recording.calls) == 5
"""


def test_scopes_are_the_test_its_parts_or_shared(project: Project) -> None:
    """A thread without a scope belongs to its test."""
    project.write("test_it.py", SCOPES)
    assert project.run("--record-mode=new_episodes").code == 0
    documents = [json.loads(data) for name, data in project.tree.items() if name.endswith(".json")]
    scopes = sorted(document.get("scope", "") for document in documents)
    test = "test_it.py::TestBoth::test_agents"
    assert scopes == ["shared", test, f"{test}/a", f"{test}/a", f"{test}/b", f"{test}/b"]
    assert project.far.hits == 6
    assert project.run("--record-unused=fail").code == 0


VALUES = """
import uuid
import anyio

@pytest.mark.recording
def test_values(recording, recording_clock):
    table = recording.var("table", lambda: str(uuid.uuid4()))
    assert ask(f"{table} at {recording_clock.isoformat()}").status_code == 200

@pytest.mark.recording
@pytest.mark.anyio
async def test_tool(recording):
    async def perform():
        if recording.mode == "replay":
            raise AssertionError("called")
        return {"sum": 3}
    assert await recording.tool("math", "add", {"a": 1, "b": 2}, perform) == {"sum": 3}
    async with httpx2.AsyncClient() as client:
        assert (await client.post(FAR, json={"model": "m"})).status_code == 200
    assert [call.outcome for call in recording.calls] == ["played" if recording.mode == "replay" else "recorded"]

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


def test_values_and_tools_are_on_the_tape(project: Project) -> None:
    """A random name, the time, a tool that is no HTTP call: on replay as they were."""
    project.write("test_it.py", VALUES)
    assert project.run("--record-mode=rewrite").code == 0
    again = project.run()
    assert (again.code, project.far.hits) == (0, 2), again.text
    assert "3 hits" in again.line


MANY = """
@pytest.mark.recording
@pytest.mark.parametrize("n", range(12))
def test_many(n):
    assert ask(f"number {n}").status_code == 200

@pytest.mark.recording(scope="shared")
@pytest.mark.parametrize("n", range(4))
def test_shared(n):
    assert ask("shared").status_code == 200

@pytest.mark.recording
def test_misses():
    if FAR_IS_REPLAYED:
        ask("missing")
"""


@pytest.mark.parametrize("workers", ["2"])
def test_workers_of_xdist_add_up(workers: str, project: Project) -> None:
    """One closing line over all workers, each file once, a miss in a worker too."""
    project.write("test_it.py", MANY.replace("FAR_IS_REPLAYED", "False"))
    options = ("-n", workers, "--record-mode=new_episodes")
    first = project.run(*options, plugins="anyio xdist.plugin")
    assert first.outcomes == {"passed": 17}, first.text
    again = project.run("-n", workers, plugins="anyio xdist.plugin")
    assert again.outcomes == {"passed": 17}, again.text
    assert "16 hits, 0 recorded, 0 misses, 0 unused" in again.line
    names = [name for name in project.tree if "number" in name]
    assert len(names) == 12
    project.write("test_it.py", MANY.replace("FAR_IS_REPLAYED", "True"))
    missing = project.run("-n", workers, plugins="anyio xdist.plugin")
    assert missing.outcomes == {"passed": 16, "failed": 1}
    assert "1 misses" in missing.line


def test_settings_come_from_marker_fixture_and_file(project: Project) -> None:
    """The nearest word counts: the marker over recording_config over the file, the command line over all."""
    with (project.root / "pytest.ini").open("a") as ini:
        ini.write("record_mode = new_episodes\nrecord_directory = tapes\nrecord_all = true\n")
    test = """
    @pytest.fixture
    def recording_config():
        return {"volatile": ["$.metadata.run"], "modes": {"embeddings": "live"}}

    def test_it(recording):
        import uuid
        assert ask("a", metadata={"run": str(uuid.uuid4())}).status_code == 200
        httpx2.post(FAR.replace("chat/completions", "embeddings"), json={"input": "a"})

    def test_unmarked():
        assert ask("b").status_code == 200

    @pytest.mark.recording(mode="none")
    def test_other():
        assert ask("c").status_code == 424
    """
    project.write("test_it.py", test)
    assert project.run().outcomes == {"passed": 2, "failed": 1}
    assert all(name.startswith("tapes/") for name in project.tree if name.endswith(".json"))
    replayed = project.run("--record-mode=none")
    assert replayed.outcomes == {"passed": 2, "failed": 1}, replayed.text
    assert project.far.hits == 2 + 2


def test_words_that_mean_nothing_are_refused(project: Project) -> None:
    """Not silently: a misspelt word would change what is matched."""
    project.write("test_it.py", "@pytest.mark.recording(volatil=['$.a'])\ndef test_it():\n    pass\n")
    run = project.run()
    assert run.outcomes == {"error": 1}
    assert "recording knows no volatil" in run.text


def test_directories_of_the_recordings_hide_what_is_private(project: Project) -> None:
    """Git does not see the index, the locks and the logs."""
    project.write("test_it.py", "@pytest.mark.recording\ndef test_it():\n    ask('a')\n")
    project.run("--record-mode=rewrite")
    assert (Path(project.root) / "recordings/.tape/.gitignore").read_text() == "*\n"
