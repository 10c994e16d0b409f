"""Where recordings go: scopes, names, several processes."""

from __future__ import annotations

import json
import shlex
import shutil
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


SHARED = """
@pytest.mark.recording(scope="shared")
def test_one():
    ask("one")

@pytest.mark.recording(scope="shared")
def test_two():
    ask("two")

@pytest.mark.recording
def test_parts(recording):
    for part in PARTS:
        with recording.scope(part):
            ask(part)
"""


def test_a_test_takes_nothing_from_those_it_shares_a_scope_with(project: Project) -> None:
    """Written anew, one test's recordings leave those of the other; nor does one call the other's unused."""
    project.write("test_it.py", SHARED.replace("PARTS", "('first', 'second')"))
    assert "4 recorded" in project.run("--record-mode=rewrite").line
    replayed = project.run("--record-unused=fail")
    assert replayed.code == 0, replayed.text
    assert "4 hits, 0 recorded, 0 misses, 0 unused" in replayed.line


def test_parts_of_a_test_are_its_own(project: Project) -> None:
    """One that the test no longer has is unused, and goes when the test is written anew; ``once`` sees them too."""
    project.write("test_it.py", SHARED.replace("PARTS", "('first', 'second')"))
    project.run("--record-mode=rewrite")
    assert project.run("--record-mode=once").code == 0
    assert project.far.hits == 4
    project.write("test_it.py", SHARED.replace("PARTS", "('first',)"))
    unused = project.run()
    assert "1 unused" in unused.line, unused.text
    project.run("--record-mode=rewrite")
    assert len([name for name in project.tree if name.endswith(".json")]) == 3
    project.write("test_it.py", SHARED.replace("PARTS", "('first', 'third')"))
    assert project.run("--record-mode=once").outcomes == {"passed": 2, "failed": 1}


def test_a_checkout_that_may_not_be_written_to_is_played(project: Project) -> None:
    """Nothing is staged where nothing is recorded."""
    project.write("test_it.py", "def test_it(recording):\n    ask('a')\n")
    project.run("--record-mode=rewrite")
    private = project.root / "recordings/.tape"
    shutil.rmtree(private)
    private.write_text("this is no directory, so nothing can be put into it")
    run = project.run()
    assert run.outcomes == {"passed": 1}, run.text


def test_tests_that_are_over_do_not_stay_in_memory(project: Project) -> None:
    """What they asked is forgotten, and a matcher that is made anew for each test does not keep a tape for each."""
    test = """
    import gc

    @pytest.fixture
    def recording_config():
        return {"rewrite": lambda request: request}

    @pytest.mark.parametrize("n", range(6))
    def test_it(n, recording):
        ask(f"the words of test {n}")

    def test_what_is_left():
        from antiphon.tape.engine import Tape
        from antiphon.tape.miss import Asked
        gc.collect()
        assert len([one for one in gc.get_objects() if isinstance(one, Tape)]) == 1
        assert [one for one in gc.get_objects() if isinstance(one, Asked)] == []
    """
    project.write("test_it.py", test)
    for mode in ("rewrite", "none"):
        run = project.run(f"--record-mode={mode}")
        assert run.outcomes == {"passed": 7}, run.text
        assert "6 " + ("recorded" if mode == "rewrite" else "hits") in run.line


def test_the_command_of_a_miss_can_be_typed_where_pytest_was_started(project: Project) -> None:
    """The path is that from there, and names with spaces or quotes are quoted."""
    test = """
    @pytest.mark.recording
    @pytest.mark.parametrize("name", ["it's"])
    def test_it(name):
        ask("a")
    """
    project.write("sub/test_it.py", test)
    run = project.run("-c", "../pytest.ini", "--rootdir", "..", directory="sub")
    (typed,) = {line.strip() for line in run.text.splitlines() if "--record-mode=rewrite" in line}
    again = shlex.split(typed)
    assert again == ["pytest", "test_it.py::test_it[it's]", "--record-mode=rewrite"], run.text


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
    for key in ("record_mode", "record_unused", "record_timing", "record_strict"):
        wrong = project.run("-o", f"{key}=fial")
        assert f"{key}: 'fial' is none of" in wrong.text
        assert wrong.code == pytest.ExitCode.USAGE_ERROR


def test_directories_of_the_recordings_hide_what_is_private(project: Project) -> None:
    """Git does not see the index, the locks and the logs."""
    project.write("test_it.py", "@pytest.mark.recording\ndef test_it():\n    ask('a')\n")
    project.run("--record-mode=rewrite")
    assert (Path(project.root) / "recordings/.tape/.gitignore").read_text() == "*\n"
