"""A miss fails its test, whatever the application does with it; and what is not used is named."""

from __future__ import annotations

import pytest

from tests.tape.plugin.project import Project

#: An application that turns every error into an answer.
SWALLOWS = """
import openai

def agent(*turns):
    client = openai.OpenAI(base_url=FAR.removesuffix("/chat/completions"), api_key="none")
    said, messages = [], []
    for turn in turns:
        messages.append({"role": "user", "content": turn})
        try:
            answer = client.chat.completions.create(model="m", messages=messages).model_extra["object"]
        except Exception as error:
            answer = f"Sorry: {error}"
        messages.append({"role": "assistant", "content": "ok"})
        said.append(answer)
    return said

@pytest.mark.recording
def test_agent():
    assert len(agent("first", "second", "third")) == 3
"""


def test_a_swallowed_miss_fails_with_file_path_and_first_turn(project: Project) -> None:
    """The report names the recording that is nearest, what differs and at which turn the run left it."""
    project.write("test_it.py", SWALLOWS.replace('["object"]', '.get("object")'))
    assert project.run("--record-mode=rewrite").code == 0
    (second,) = [name for name in project.tree if "m-second" in name]
    project.write("test_it.py", SWALLOWS.replace('["object"]', '.get("object")').replace('"second"', '"2nd"'))
    run = project.run()
    assert (run.outcomes, project.far.hits) == ({"failed": 1}, 3), run.text
    assert second.rpartition("/")[2] in run.text
    assert "messages[2]" in run.text
    assert "second" in run.text
    assert "2nd" in run.text
    assert "turn 2" in run.text
    assert "pytest test_it.py::test_agent --record-mode=rewrite" in run.text
    assert "2 misses" in run.line


LATE = """
@pytest.fixture
def late():
    yield
    ask("late")

@pytest.mark.recording
def test_it(late):
    ask("first")
"""


def test_a_miss_in_a_teardown_counts(project: Project) -> None:
    """And so does a call of a fixture: it is on the tape."""
    project.write("test_it.py", LATE)
    assert project.run("--record-mode=rewrite").code == 0
    assert project.run().code == 0
    project.write("test_it.py", LATE.replace('"late"', '"later"'))
    run = project.run()
    assert run.outcomes == {"passed": 1, "error": 1}, run.text
    assert "later" in run.text


def test_a_miss_can_be_forgiven(project: Project) -> None:
    """A test that is about misses takes its own out of the list."""
    test = """
    @pytest.mark.recording
    def test_it(recording):
        assert ask("first").status_code == 424
        assert recording.misses.pop().reason == "none"
        assert recording.calls[0].outcome == "refused"
    """
    project.write("test_it.py", test)
    assert project.run().code == 0


@pytest.mark.parametrize("strict", [False, True])
def test_more_repeats_than_were_recorded(strict: bool, project: Project) -> None:
    """The last answer again; in strict mode, and so in CI, a miss."""
    test = "@pytest.mark.recording\ndef test_it():\n    assert ask('a').status_code == 200\n"
    project.write("test_it.py", test)
    project.run("--record-mode=rewrite")
    project.write("test_it.py", test + "    ask('a')\n")
    assert project.run(*["--record-strict"] * strict).outcomes == ({"failed": 1} if strict else {"passed": 1})


UNUSED = """
@pytest.mark.recording
def test_kept():
    ask("one")
    ask("two")

@pytest.mark.recording
def test_removed():
    ask("three")

@pytest.mark.recording
def test_skipped():
    ask("four")
"""


@pytest.mark.parametrize("what", ["warn", "fail", "ignore"])
def test_unused_recordings_are_named(what: str, project: Project) -> None:
    """Those that their test no longer plays, and those whose test is gone; not those of a test that did not run."""
    project.write("test_it.py", UNUSED)
    assert project.run("--record-mode=rewrite").code == 0
    edited = UNUSED.replace('    ask("two")\n', "").replace('    ask("four")', '    pytest.skip("now")')
    edited = edited.replace('@pytest.mark.recording\ndef test_removed():\n    ask("three")\n', "")
    project.write("test_it.py", edited)
    expected = {name for name in project.tree if "m-two" in name or "m-three" in name}
    run = project.run(f"--record-unused={what}")
    named = {name for name in project.tree if name in run.text}
    assert named == (set() if what == "ignore" else expected), run.text
    assert (run.code != 0) == (what == "fail")
    assert "2 unused" in run.line


def test_a_part_of_the_tests_says_nothing_about_the_others(project: Project) -> None:
    """With -k, or one test by its name, no recording of another test is called unused."""
    project.write("test_it.py", UNUSED)
    project.run("--record-mode=rewrite")
    for chosen in ("-k", "test_kept"), ("test_it.py::test_kept",):
        assert "0 unused" in project.run(*chosen).line


def test_faults_come_by_marker_and_by_file(project: Project) -> None:
    """On top of a recording, for one test or for all."""
    test = """
    def test_plain(recording):
        assert ask("a").status_code == 200

    @pytest.mark.recording(fault={"status": 503, "nth": 1})
    def test_faulty():
        assert [ask("a").status_code, ask("a").status_code] == [503, 200]
    """
    project.write("test_it.py", test)
    assert project.run("--record-mode=rewrite").code == 0
    assert project.run().code == 0
    (project.root / "faults.json").write_text('[{"status": 500}]')
    assert project.run("--record-fault=faults.json").outcomes == {"failed": 1, "passed": 1}
