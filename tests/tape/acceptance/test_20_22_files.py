"""Acceptance tests 20 to 22 and 26: names, failed tests, what is no longer used, and what a reviewer sees."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cli.tape.support import run, run_json
from tests.tape.acceptance.on_tape import NOWHERE
from tests.tape.clients.far_side import DONE, Answer, FarSide, completion, event, usage
from tests.tape.plugin.project import Project
from tests.tape.proxy.support import proxy, recordings

Json = Any

# -- 20

SCOPES = [
    "x/1",
    "x?1",
    "X/1",
    "x:1",
    "x 1",
    "CON",
    "..",
    ".",
    "\u00fc",
    "u\u0308",
    "a" * 400,
    "a" * 400 + "!",
    "A" * 400,
]


@pytest.mark.parametrize(("by", "again"), [("path", "path"), ("header", "path")])
def test_20_no_two_names_share_a_file(by: str, again: str, far: FarSide, tapes: Path) -> None:
    """Scopes that differ in a slash, in case, in the 401st character or in how a letter is put together, and prompts
    that begin alike: each has files of its own, on a file system that folds case too, by paths of at most 120. A scope
    is the same one in a header and in a path.
    """
    prompts = ["long " * 100, "long " * 100 + "end", "?", "!", "../../etc/passwd", "\u0000"]
    asked = [(scope, prompt) for scope in SCOPES for prompt in prompts]
    with proxy(tapes, f"{far.root}/v1", "record") as running:
        heard = [_ask(running.http, by, *each) for each in asked]
    paths = [str(path.relative_to(tapes)) for path in recordings(tapes)]
    assert len({path.lower() for path in paths}) == len(asked) == far.hits
    assert max(map(len, paths)) <= 120
    assert len({path.lower().partition("/")[0] for path in paths}) == len(SCOPES)
    assert all(path.isascii() and not set(path) & set('<>:"\\|?*') for path in paths)
    assert not {path.partition("/")[0].partition(".")[0] for path in paths} & {"con", "CON", ""}
    with proxy(tapes, NOWHERE, "replay", settings={"strict": True}) as running:
        assert [_ask(running.http, again, *each) for each in asked] == heard


def _ask(client: Any, by: str, scope: str, prompt: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "user": scope}
    if by == "path":
        # A client folds ".." and "." in a path, unless their dots are quoted too.
        name = quote(scope, safe="").replace(".", "%2E")
        reply = client.post(f"/s/{name}/openai/v1/chat/completions", json=body)
    else:
        named = {"x-antiphon-scope": scope.encode()}
        reply = client.post("/openai/v1/chat/completions", json=body, headers=named)
    assert reply.status_code == 200, reply.text
    return str(reply.text)


# -- 21

_FAILING = """
@pytest.mark.recording
def test_it():
    assert ask("first").status_code == 200
    ask("second")
    END
"""


@pytest.mark.parametrize(
    "end", ["assert False", "pytest.skip('now')", "os.kill(os.getpid(), 9)"], ids=["fails", "skips", "is killed"]
)
def test_21_a_test_that_did_not_pass_leaves_the_tree_as_git_knows_it(end: str, project: Project) -> None:
    """Recorded and committed; then recorded again by a test that fails, is skipped, or is killed in the middle: git
    sees no change, new files and hidden ones included, and the committed recording is still played.
    """
    passing = _FAILING.replace('    ask("second")\n', "").replace("END", "")
    project.write("test_it.py", passing)
    assert project.run("--record-mode=rewrite").code == 0
    _git(project.root, "init", "-q")
    (project.root / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n*.py\n")
    _git(project.root, "add", "-A")
    before = _git(project.root, "write-tree")
    assert "recordings" in _git(project.root, "ls-files")
    project.far.answers(Answer(body=completion("another answer")))
    project.write("test_it.py", _FAILING.replace("END", end))
    project.run("--record-mode=rewrite")
    assert project.far.hits == 3
    assert (
        _git(project.root, "status", "--porcelain", "--untracked-files=all").replace("A  ", "").split()
        == _git(project.root, "ls-files").split()
    )
    _git(project.root, "add", "-A")
    assert _git(project.root, "write-tree") == before
    project.write("test_it.py", passing)
    assert project.run().outcomes == {"passed": 1}


def _git(folder: Path, *words: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


# -- 22

_SUITE = """
@pytest.mark.recording
def test_kept():
    ask("kept")

@pytest.mark.recording
def test_deleted():
    ask("of a test that will go")

@pytest.mark.recording
def test_edited():
    ask("edited one")
    ask("edited two")

@pytest.mark.recording
def test_guarded():
    text = ask("parent").json()["choices"][0]["message"]["content"]
    for n in range(1, 5):
        ask(f"is this safe: {text[:n]}")

@pytest.mark.recording(scope="shared")
@pytest.mark.parametrize("n", range(4))
def test_shared(n):
    ask(f"shared {n}")
"""


def test_22_what_is_not_used_is_listed_exactly(project: Project, far: FarSide, tmp_path: Path) -> None:
    """A test is deleted, another edited, and an answer recorded anew that four follow-up calls were made from: those
    recordings are unused, and no others; and four shards of CI say the same together.
    """

    def answers(parent: str) -> None:
        """To the calls of ``_SUITE`` in their order."""
        far.answers(*(Answer(body=completion(parent if n == 4 else "ok")) for n in range(13)))

    answers("abcd")
    project.write("test_it.py", _SUITE)
    assert project.run("--record-mode=all").code == 0
    assert far.hits == 13
    tapes = project.root / "recordings"
    unused = {row["path"] for row in run_json(tapes, "ls") if _prompt(tapes, row["path"]).startswith(_GOING)}
    assert len(unused) == 1 + 1 + 4
    edited = _SUITE.replace('    ask("edited two")\n', "")
    start = edited.index("@pytest.mark.recording\ndef test_deleted")
    edited = edited[:start] + edited[edited.index("@pytest.mark.recording\ndef test_edited") :]
    project.write("test_it.py", edited)
    far.answers(*(Answer(body=completion("wxyz" if n == 0 else "ok")) for n in range(5)))
    assert project.run("--record-mode=all", "-k", "guarded").code == 0
    assert far.hits == 18
    for log in (tapes / ".tape" / "plays").glob("*.log"):
        log.unlink()
    shards = []
    for n, chosen in enumerate(("kept", "edited or shared and 0", "guarded or shared and 1", "shared and (2 or 3)")):
        assert project.run("-k", chosen.replace("shared and 0", "(shared and 0)")).code == 0
        shards.append(tmp_path / f"shard{n}")
        (tapes / ".tape" / "plays").rename(shards[-1])
    merged = run_json(tapes, "unused", *(f"--plays={shard}" for shard in shards), code=1)
    assert set(merged["unused"]) == unused
    assert set(run_json(tapes, "unused", f"--plays={shards[0]}", code=1)["unused"]) > unused
    whole = project.run("--record-unused=fail")
    assert whole.code != 0
    assert f"{len(unused)} unused" in whole.line
    assert all(path in whole.text for path in unused)
    run(tapes, "unused", "--delete", *(f"--plays={shard}" for shard in shards))
    assert project.run("--record-unused=fail").outcomes == {"passed": 7}
    assert far.hits == 18


_GOING = ("of a test", "edited two", "is this safe: a")


def _prompt(tapes: Path, path: str) -> str:
    stored = json.loads((tapes / path).read_bytes())
    return str(stored["request"]["json"]["messages"][0]["content"])


# -- 26

_REVIEWED = """
@pytest.mark.recording
def test_it():
    assert ask("What is the capital?", stream=True).status_code == 200
"""


def test_26_one_other_word_is_three_hunks_in_review(project: Project, far: FarSide) -> None:
    """An answer of two hundred tokens recorded anew with one other word, under another id: the file changes in at most
    three places, and nothing else in the tree does; the same answer again changes nothing.
    """
    words = [f" word{n % 17}" for n in range(200)]
    project.write("test_it.py", _REVIEWED)

    def record(said: list[str], tokens: int) -> dict[str, bytes]:
        far.streams(*(event(word) for word in said), usage(12, tokens), DONE)
        assert project.run("--record-mode=rewrite").code == 0
        return project.tree

    before = record(words, 200)
    assert record(words, 200) == before
    after = record([*words[:60], " Lyon", *words[61:]], 201)
    (name,) = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    lines = difflib.unified_diff(before[name].decode().splitlines(), after[name].decode().splitlines(), lineterm="")
    assert 1 <= sum(line.startswith("@@") for line in lines) <= 3
    assert '"say": ' in after[name].decode()
