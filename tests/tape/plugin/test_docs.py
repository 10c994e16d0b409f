"""The pages about the plugin, and the page about all of it, tell the truth: what they show is run here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from antiphon.tape.pytest.options import KEYS, MODES
from antiphon.tape.pytest.summary import line
from tests.docs.tree import blocks, read
from tests.tape.clients.far_side import Answer, FarSide, completion
from tests.tape.plugin.project import Project

GUIDE, MOVING, INDEX = (f"docs/recording/{name}.md" for name in ("pytest", "from-vcrpy", "README"))


def commands(page: str) -> list[list[str]]:
    """The commands that a page shows, without what it says about them."""
    shown = textwrap.dedent("\n".join(re.findall(r"^ *```sh\n(.*?)^ *```$", read(page), re.MULTILINE | re.DOTALL)))
    lines = [one.strip() for one in shown.replace("\\\n", "").splitlines()]
    return [shlex.split(one, comments=True) for one in lines if one]


def of_pytest(page: str) -> list[list[str]]:
    """The arguments that a page gives to pytest."""
    return [words[1:] for words in commands(page) if words[0] == "pytest"]


@pytest.fixture
def model(far: FarSide, monkeypatch: pytest.MonkeyPatch) -> FarSide:
    """The model that the examples ask."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{far.root}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none-is-needed-here")
    return far


def test_the_five_minutes(project: Project, model: FarSide) -> None:
    """Mark, record, replay, miss, record again: each command of the guide does what is said of it."""
    record, replay, again, missed, in_ci, beside = of_pytest(GUIDE)
    test = blocks(GUIDE, "python")[0]
    project.write("tests/test_facts.py", test, asking=False)
    model.answers(*(Answer(body=completion("Paris.", 9, 4)) for _ in range(3)))
    assert project.run(*record).outcomes == {"passed": 1}
    listed = blocks(GUIDE, "")[0].split()
    assert [*listed[1:]] == [name for name in project.tree if name.endswith(".json")]
    assert (project.run(*replay).outcomes, project.run(*in_ci).outcomes) == ({"passed": 1}, {"passed": 1})
    project.write("tests/test_facts.py", test.replace("the capital", "the main city"), asking=False)
    miss = project.run(*replay)
    assert miss.outcomes == {"failed": 1}
    assert shlex.join(["pytest", *again]) in miss.text
    assert project.run(*missed).outcomes == {"passed": 1}
    assert project.run(*again).outcomes == {"passed": 1}
    assert project.run(*beside).outcomes == {"passed": 1}
    assert model.hits == 3


def test_the_closing_line() -> None:
    """It is printed as it is shown."""
    shown = next(one for one in read(GUIDE).splitlines() if one.startswith("recordings: "))
    assert shown == line({"hits": 42, "tokens_replayed": 61204}, 0)


EXAMPLES = """
import uuid
import pytest

def make_random_id():
    return str(uuid.uuid4())

def run_critic(order):
    assert ask(order).status_code == 200
"""


def test_the_examples_run(project: Project) -> None:
    """The marker, the fixture for a directory, the fixture of a test."""
    marker, config, fixture = blocks(GUIDE, "python")[1:]
    (project.root / "pytest.ini").write_text(blocks(GUIDE, "ini")[0])
    marked = "def test_marked():\n    assert [ask('same').status_code for _ in range(3)] == [200, 429, 200]\n"
    project.write("test_it.py", EXAMPLES + marker + marked + config + fixture)
    assert project.run("--record-mode=rewrite", "-k", "marked").outcomes == {"passed": 1}
    made = fixture.replace('"played"', '"recorded"')
    project.write("test_it.py", EXAMPLES + marker + marked + config + made)
    assert project.run("--record-mode=rewrite").outcomes == {"passed": 2}
    project.write("test_it.py", EXAMPLES + marker + marked + config + fixture)
    run = project.run()
    assert run.outcomes == {"passed": 2}, run.text


def test_the_tables_are_complete(project: Project) -> None:
    """Every mode, option, key of the file and key of the marker, and none that is not."""
    page = read(GUIDE)
    assert {name for name in MODES if f"`{name}`" in page} == set(MODES)
    marker = page.partition("## The marker")[2].partition("## The fixture")[0]
    keys = {
        name for row in re.findall(r"^\| (`[^|]*) \|", marker, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert keys == KEYS
    project.write("test_it.py", "def test_it():\n    pass\n")
    told = project.run("--help").text
    table = page.partition("## Options")[2].partition("## The marker")[0]
    ours = told[told.index("\nrecordings of calls") :].split("\n\n")[0]
    options = set(re.findall(r"--[a-z][a-z-]+", page))
    assert set(re.findall(r"^  (--[a-z-]+)", ours, re.MULTILINE)) == options
    settings = set(re.findall(r"^  (record_\w+)", told, re.MULTILINE))
    assert settings == set(re.findall(r"`(record_\w+)`", table))


def test_a_suite_of_pytest_recording_moves(project: Project, model: FarSide) -> None:
    """The test of the page, with the command of the page, without a change."""
    test = blocks(MOVING, "python")[0].replace("https://api.openai.com", model.root)
    project.write("tests/test_old.py", test, asking=False)
    model.answers(Answer(body=completion("42")))
    (record,) = of_pytest(MOVING)
    assert project.run(*record).outcomes == {"passed": 1}
    replayed = project.run()
    assert (replayed.outcomes, model.hits) == ({"passed": 1}, 1)
    assert "without effect in the configuration of vcr: filter_headers" in replayed.text


def test_nothing_imports_cassettes() -> None:
    """As the page says."""
    told = subprocess.run(
        [sys.executable, "-m", "antiphon", "tape", "import", "--help"], capture_output=True, text=True
    )
    assert re.findall(r"^  ([a-z-]+) ", told.stdout.partition("Commands:")[2], re.MULTILINE) == ["llama-stack"]


def test_the_index_names_all_pages() -> None:
    """And the commands for pytest are those of its guide."""
    pages = {path.name for path in (Path(__file__).parents[3] / "docs/recording").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"^\| \[([\w.-]+)\]", read(INDEX), re.MULTILINE)) == pages
    assert of_pytest(INDEX) == of_pytest(GUIDE)[:2]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], str]]:
    """Starts a command of ours on a free port, and gives its URL; the one before is stopped."""
    running: list[subprocess.Popen[str]] = []

    def stop() -> None:
        while running:
            process = running.pop()
            process.terminate()
            process.communicate(timeout=30)

    def starting(command: list[str]) -> str:
        stop()
        arguments = [sys.executable, "-m", "antiphon", *command[1:], "--port", "0"]
        process = subprocess.Popen(
            arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
        )
        running.append(process)
        assert process.stdout is not None
        heard = []
        for said in process.stdout:
            heard.append(said)
            if found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", said):
                return found[0]
        pytest.fail("".join(heard))

    yield starting
    stop()


def test_the_server(start: Callable[[list[str]], str], tmp_path: Path) -> None:
    """It records with the first command, and replays with the second: the same bytes, and another request is a miss."""
    record, replay = (words for words in commands(INDEX) if words[:2] == ["antiphon", "serve"])
    (curl,) = (words for words in commands(INDEX) if words[0] == "curl")
    path, body = curl[1].partition(":8321")[2], curl[curl.index("-d") + 1]
    told = []
    for command in (record, replay):
        url = start(command)
        told.append(httpx2.post(url + path, content=body, headers={"content-type": "application/json"}).content)
    assert told[0] == told[1]
    assert list((tmp_path / "recordings/my-first-test").glob("*.json"))
    other = httpx2.post(url + path, json={"model": "demo", "input": "Something else."})
    assert (other.status_code, other.json()["error"]["code"]) == (424, "recording_miss")


def test_the_proxy(start: Callable[[list[str]], str], tmp_path: Path, far: FarSide) -> None:
    """Its command records below the directory that the page names."""
    (command,) = (words for words in commands(INDEX) if words[:3] == ["antiphon", "tape", "proxy"])
    url = start([word.replace("https://api.openai.com", far.root) for word in command])
    path = re.search(r"127\.0\.0\.1:8322(/[\w/-]+)", read(INDEX))
    assert path is not None
    for _ in range(2):
        assert httpx2.post(f"{url}{path[1]}/chat/completions", json={"model": "m"}).status_code == 200
        httpx2.post(f"{url}/s/my-first-test/_tape/scopes/start")
    assert far.hits == 1
    assert len(list((tmp_path / "recordings/my-first-test").glob("*.json"))) == 1
