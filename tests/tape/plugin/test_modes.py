"""What each mode does with calls, and what becomes of what it recorded."""

from __future__ import annotations

import pytest

from tests.tape.clients.far_side import Answer, completion
from tests.tape.plugin.project import Project

TWO = """
@pytest.mark.recording
def test_two():
    assert ask("first").status_code == 200
    assert ask("second").status_code == 200
"""


def test_none_is_the_default_and_calls_nobody(project: Project) -> None:
    """Without a recording the test fails, and nothing leaves."""
    project.write("test_it.py", TWO)
    run = project.run()
    assert (run.outcomes, project.far.hits, project.tree.keys()) == ({"failed": 1}, 0, {"pytest.ini"})
    assert "pytest test_it.py::test_two --record-mode=rewrite" in run.text


@pytest.mark.parametrize("mode", ["once", "new_episodes", "record-if-missing", "all", "rewrite", "record"])
def test_recording_modes_record_and_none_replays(mode: str, project: Project) -> None:
    """A file for each call beside the test module, and then no call."""
    project.write("unit/test_it.py", TWO)
    first = project.run(f"--record-mode={mode}")
    assert (first.code, project.far.hits) == (0, 2), first.text
    assert "0 hits, 2 recorded, 0 misses, 0 unused" in first.line
    made = [name for name in project.tree if name.startswith("unit/recordings/")]
    assert len(made) == 2
    second = project.run("--record-mode=replay")
    assert (second.code, project.far.hits) == (0, 2), second.text
    assert "2 hits, 0 recorded, 0 misses, 0 unused" in second.line


def test_once_does_not_add_to_a_recording_and_new_episodes_does(project: Project) -> None:
    """As pytest-recording has it."""
    project.write("test_it.py", TWO.replace('    assert ask("second").status_code == 200\n', ""))
    assert project.run("--record-mode=once").code == 0
    project.write("test_it.py", TWO)
    assert project.run("--record-mode=once").outcomes == {"failed": 1}
    added = project.run("--record-mode=new_episodes")
    assert (added.code, project.far.hits) == (0, 2)
    assert "1 hits, 1 recorded" in added.line


def test_rewrite_leaves_nothing_old_and_all_does(project: Project) -> None:
    """A call that the test no longer makes loses its file only when all is written anew."""
    project.write("test_it.py", TWO)
    project.run("--record-mode=all")
    project.write("test_it.py", TWO.replace("second", "third"))
    project.run("--record-mode=all")
    assert len(project.tree) == 1 + 3
    project.run("--record-mode=rewrite")
    assert len(project.tree) == 1 + 2


@pytest.mark.parametrize("option", ["--record-mode=live", "--disable-recording"])
def test_live_neither_records_nor_replays(option: str, project: Project) -> None:
    """Calls leave, and the tape does not hear of them; the fixture is there, idle."""
    project.write("test_it.py", TWO.replace("test_two()", "test_two(recording)") + "    assert recording.calls == []\n")
    run = project.run(option)
    assert (run.code, project.far.hits, run.line, len(project.tree)) == (0, 2, "", 1), run.text


def test_verify_calls_and_compares(project: Project) -> None:
    """A live answer of another shape fails the test, and the recording stays as it is."""
    project.write("test_it.py", TWO)
    project.far.answers(Answer(body=completion("one")), Answer(body=completion("two")))
    project.run("--record-mode=rewrite")
    before = project.tree
    project.far.answers(Answer(body=completion("three")), Answer(body=completion("four")))
    same = project.run("--record-mode=verify")
    assert (same.code, project.far.hits) == (0, 4), same.text
    project.far.answers(Answer(body=completion("five")), Answer(body=b'{"choices": []}'))
    other = project.run("--record-mode=verify")
    assert (other.outcomes, project.far.hits) == ({"failed": 1}, 6), other.text
    assert "differs from the recorded one" in other.text
    assert project.tree == before


FAILING = """
@pytest.mark.recording
def test_fails():
    ask("first")
    httpx2.get(FAR.replace("/chat/completions", "/models"))
    assert False

@pytest.mark.recording
def test_passes():
    ask("other")

@pytest.mark.recording
def test_fails_in_teardown(late):
    ask("late")

@pytest.fixture
def late():
    yield
    assert False

@pytest.mark.recording
def test_skips():
    ask("skipped")
    pytest.skip("now")
"""


def test_a_failing_test_leaves_the_tree_as_it_was(project: Project) -> None:
    """Also one that fails at the end, one that is skipped, and where there was a recording before."""
    project.write("test_it.py", FAILING)
    first = project.run("--record-mode=rewrite")
    assert first.outcomes == {"failed": 1, "passed": 2, "skipped": 1, "error": 1}
    assert [name.partition("--")[0] for name in project.tree if name.endswith(".json")] == [
        next(name for name in project.tree if "test_passes" in name).partition("--")[0]
    ]
    before = project.tree
    project.run("--record-mode=all")
    assert project.tree == before
    assert project.run("--record-mode=all", "--record-keep-failed").outcomes["failed"] == 1
    assert len(project.tree) == len(before) + 4


VALUE = """
import uuid

@pytest.mark.recording
def test_value(recording):
    name = recording.var("name", lambda: str(uuid.uuid4()))
    assert recording.var("name", lambda: "another") == name
    ask(name)
    assert OUTCOME
"""


def test_the_values_of_a_failing_test_are_forgotten_too(project: Project) -> None:
    """No file is new and none is changed; those of a passing test are kept, and are one value in one run."""
    for mode in ("new_episodes", "rewrite"):
        project.write("test_it.py", VALUE.replace("OUTCOME", "False"))
        before = project.tree
        assert project.run(f"--record-mode={mode}").outcomes == {"failed": 1}
        assert project.tree == before
        project.write("test_it.py", VALUE.replace("OUTCOME", "True"))
        assert project.run(f"--record-mode={mode}").outcomes == {"passed": 1}
        assert project.run("--record-strict").outcomes == {"passed": 1}


def test_a_secret_is_no_value(project: Project) -> None:
    """It is refused where it is made, and is in no file."""
    test = """
    def test_it(recording):
        recording.var("key", lambda: "sk-" + "proj-Zx81Kq20Lm93Vb47Nc56Qw" * 2)
    """
    project.write("test_it.py", test)
    run = project.run("--record-mode=rewrite")
    assert run.outcomes == {"failed": 1}
    assert "looks like a secret" in run.text
    assert len(project.tree) == 1


def test_only_what_missed_is_recorded_again(project: Project) -> None:
    """The tests that missed last time record; the others replay, and are not asked for."""
    project.write("test_it.py", TWO + TWO.replace("test_two", "test_three"))
    project.run("--record-mode=rewrite")
    project.write("test_it.py", TWO + TWO.replace("test_two", "test_three").replace("second", "new"))
    missed = project.run()
    assert missed.outcomes == {"failed": 1, "passed": 1}
    hits = project.far.hits
    again = project.run("--record-mode=rewrite", "--record-only-failed")
    assert (again.code, project.far.hits - hits) == (0, 2), again.text
    assert project.run("--record-mode=rewrite", "--record-only-failed").code == 0
    assert project.far.hits - hits == 2


def test_a_budget_stops_before_the_next_call(project: Project) -> None:
    """Ten tokens a call, fifteen allowed: two calls leave, the third does not."""
    test = """
    @pytest.mark.recording
    def test_it():
        print([ask(str(n)).status_code for n in range(4)])
    """
    project.write("test_it.py", test)
    project.far.answers(*(Answer(body=completion(str(n), 6, 4)) for n in range(4)))
    run = project.run("--record-mode=rewrite", "--record-budget=15", "-s")
    assert "[200, 200, 424, 424]" in run.text
    assert (project.far.hits, run.outcomes) == (2, {"failed": 1})
    assert "budget" in run.text


def test_there_is_one_budget_however_tests_are_recorded(project: Project) -> None:
    """Tests with other settings, and other workers, pay from the same."""
    test = """
    @pytest.mark.recording
    @pytest.mark.parametrize("n", range(8))
    def test_plain(n):
        ask(f"plain {n}")

    @pytest.mark.recording(volatile=["$.metadata"])
    @pytest.mark.parametrize("n", range(8))
    def test_volatile(n):
        ask(f"volatile {n}")

    @pytest.mark.recording(rewrite=lambda request: request)
    def test_rewritten():
        ask("rewritten")
    """
    project.write("test_it.py", test)
    project.far.answers(*(Answer(body=completion(str(n), 6, 4)) for n in range(40)))
    alone = project.run("--record-mode=rewrite", "--record-budget=40")
    assert (alone.outcomes, project.far.hits) == ({"passed": 4, "failed": 13}, 4), alone.text
    several = project.run("--record-mode=rewrite", "--record-budget=40", "-n", "2", plugins="anyio xdist.plugin")
    assert (several.outcomes, project.far.hits) == ({"passed": 4, "failed": 13}, 8), several.text
