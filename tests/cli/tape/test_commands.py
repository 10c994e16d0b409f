"""``antiphon tape``: each command on real recordings, for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from antiphon.cli.tape import tape
from tests.cli.tape.support import Session, run, run_json, session
from tests.shared import shared
from tests.tape.proxy.raw import RawUpstream
from tests.tape.proxy.support import recordings


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three recordings: two of a scope, one shared."""
    folder = tmp_path / "recordings"
    session(folder, ("What is the capital of France?", "Par", "is."), ("And of Spain?", "Madrid."), scope="geo")
    session(folder, ("Count to three.", "1 ", "2 ", "3"))
    return folder


# -- ls, show, diff, stats


def test_ls_lists_what_is_there(directory: Path) -> None:
    """A line for each: scope, model, ending, what was said, file."""
    lines = run(directory, "ls").output.splitlines()
    assert len(lines) == 3
    assert any(line.startswith("geo") and "Paris." in line and line.endswith(".json") for line in lines)
    assert [row["say"] for row in run_json(directory, "ls", "--scope", "geo")] == ["Madrid.", "Paris."]
    assert [row["say"] for row in run_json(directory, "ls", "--scope", "")] == ["1 2 3"]
    assert run_json(directory, "ls", "--model", "other") == run_json(directory, "ls", "--boundary", "tools") == []


def test_show_tells_request_answer_and_reads(directory: Path) -> None:
    """By path, file name or the beginning of a key."""
    row = run_json(directory, "ls")[-1]
    for name in (row["path"], Path(row["path"]).name, row["key"][:10], directory / row["path"]):
        shown = run(directory, "show", name).output
        assert "user: " in shown
        assert f"say: {row['say']}" in shown
        assert "usage: 7 tokens in, 3 out" in shown
        assert "reads, " in shown
    plain = run_json(directory, "show", row["path"])
    assert plain["request"]["body"]["value"]["messages"][0]["role"] == "user"
    assert plain["response"]["reads"][-1] == "data: [DONE]\n\n"


def test_show_says_what_it_does_not_find(directory: Path) -> None:
    """Unknown and ambiguous names are exit code 2, with a way out."""
    assert "no recording 'nothing'" in run(directory, "show", "nothing", code=2).stderr
    session(directory, ("Count to three.", "1"), mode="record", scope="other")
    key = run_json(directory, "ls", "--scope", "other")[0]["key"]
    assert "2; name its path" in run(directory, "show", key, code=2).stderr


def test_diff_shows_words(directory: Path) -> None:
    """The words that differ, with their places; exit code 1, and 0 for the same."""
    b, a = (row["path"] for row in run_json(directory, "ls", "--scope", "geo"))
    said = run(directory, "diff", a, b, code=1).output
    assert "request $.body.messages[0].content" in said
    assert "[-Paris-]{+Madrid+}." in said
    run(directory, "diff", a, a, code=0)
    assert run_json(directory, "diff", a, b, code=1)["response"][0]["pointer"] == "$.say"


def test_stats_are_the_sums_of_what_upstreams_counted(directory: Path) -> None:
    """Tokens equal the sum of the usages, and budgets can be set by them."""
    one = Session(directory)
    for n in range(5):
        one.ask(f"number {n}", "x", model="big", tokens=(100 + n, n))
    one.close()
    report = run_json(directory, "stats")
    assert report["tokens"] == {"input": 3 * 7 + 510, "output": 3 * 3 + 10}
    assert report["models"]["big"] == {"calls": 5, "input": 510, "output": 10}
    assert report["recordings"] == 8
    assert report["bytes"] == sum(path.stat().st_size for path in recordings(directory))
    assert "531 tokens in, 19 out" in run(directory, "stats").output


# -- why, accept


def test_why_explains_and_accept_keeps(directory: Path) -> None:
    """The old answer under the new request: the next replay hits, and the miss is settled."""
    asked: Any = ("What is the capital city of France?",)
    assert session(directory, asked, mode="replay", scope="geo") == ["missed"]
    assert "city" in run(directory, "why").output
    (miss,) = run_json(directory, "why")
    assert miss["reason"] == "prompt"
    (did,) = run_json(directory, "accept", "--keep", "--scope", "geo")
    assert did["choice"] == "keep"
    assert session(directory, asked, mode="replay", scope="geo") == ["played"]
    assert len(recordings(directory)) == 3
    assert "No misses." in run(directory, "why").output


def test_accept_to_record_anew_deletes_the_nearest(directory: Path) -> None:
    """So that the next run with ``record-if-missing`` records this, and the old one is gone."""
    asked: Any = ("What is the capital city of France?", "Paris!")
    session(directory, asked, mode="replay", scope="geo")
    assert "deleted" in run(directory, "accept", "--rerecord").output
    assert len(recordings(directory)) == 2
    assert session(directory, asked, scope="geo") == ["recorded"]
    assert [row["say"] for row in run_json(directory, "ls", "--scope", "geo")] == ["Madrid.", "Paris!"]


@pytest.mark.parametrize("words", ["What is the capital of France?", "What is the capital city of France?"])
def test_accept_never_takes_from_another_scope(directory: Path, words: str) -> None:
    """A recording that another scope plays stays where it is, whichever way, and however near it is."""
    asked: Any = (words,)
    for way, left in (("--rerecord", 3), ("--keep", 4)):
        session(directory, asked, mode="replay", scope="new")
        run(directory, "accept", way)
        assert len(recordings(directory)) == left
    assert session(directory, asked, mode="replay", scope="new") == ["played"]
    assert session(directory, ("What is the capital of France?",), mode="replay", scope="geo") == ["played"]


def test_accept_asks_a_person_and_nobody_else(directory: Path) -> None:
    """In a pipe it must be told what to do; nothing happens without."""
    session(directory, ("What is the capital city of France?",), mode="replay", scope="geo")
    assert "--rerecord or --keep" in run(directory, "accept", code=2).stderr
    assert len(run_json(directory, "why")) == 1
    run(directory, "why", "ffff0000", code=2)


# -- unused


def test_unused_is_what_no_shard_played(directory: Path) -> None:
    """A deleted test, an edited one and four calls that follow an answer recorded anew: exactly those, merged from four
    shards.
    """
    names = [f"call {n}" for n in range(12)]
    session(directory, *((name, name) for name in names), scope="suite")
    for log in (directory / ".tape" / "plays").glob("*.log"):
        log.unlink()
    shards = []
    for shard in range(4):
        played = [name for name in names[:8] if names.index(name) % 4 == shard]
        session(directory, *((name,) for name in played), mode="replay", scope="suite")
        kept = directory.parent / f"shard{shard}"
        (directory / ".tape" / "plays").rename(kept)
        shards.append(kept)
    session(directory, ("call 0",), mode="replay", scope="suite")
    everything = {row["path"]: row["say"] for row in run_json(directory, "ls")}
    merged = run_json(directory, "unused", *(f"--plays={shard}" for shard in shards), code=1)
    left = {"Paris.", "Madrid.", "1 2 3", *names[8:]}
    assert {everything[path] for path in merged["unused"]} == left
    assert len(merged["unused"]) == len(left)
    assert {everything[path] for path in run_json(directory, "unused", code=1)["unused"]} == left | set(names[1:8])
    run(directory, "unused", "--delete", *(f"--plays={shard}" for shard in shards))
    assert {row["say"] for row in run_json(directory, "ls")} == set(names[:8])
    assert run(directory, "unused", *(f"--plays={shard}" for shard in shards)).output == ""


def test_without_a_log_nothing_is_unused(directory: Path) -> None:
    """Nothing is known then; least of all that everything may go."""
    for log in (directory / ".tape" / "plays").glob("*.log"):
        log.unlink()
    assert "no run has noted" in run(directory, "unused", "--delete", code=2).stderr
    assert "there is no" in run(directory, "unused", "--plays", directory / "nowhere", code=2).stderr
    assert len(recordings(directory)) == 3


# -- scan, rekey


def test_scan_finds_a_planted_secret(directory: Path) -> None:
    """Exit code 1 with file and line, masked; 0 when clean."""
    assert run(directory, "scan").output == ""
    secret = "sk-proj-" + "Ab3dEf6hIj9kLmNoPqRsTuVw"
    file = recordings(directory)[0]
    file.write_text(file.read_text().replace("model", secret, 1))
    said = run(directory, "scan", code=1).output
    assert file.name in said
    assert secret not in said
    assert run_json(directory, "scan", file, code=1)[0]["line"] > 0


def test_rekey_makes_names_and_keys_agree_again(directory: Path) -> None:
    """After a change of the rules: nothing is lost before, and all is in order after; a dry run changes nothing."""
    run(directory, "rekey", "--dry-run", code=0)
    before = {row["path"]: row["say"] for row in run_json(directory, "ls")}
    wrong = recordings(directory)[0]
    moved = wrong.with_name("old-name--000000000000.json")
    moved.write_text(wrong.read_text())
    wrong.unlink()
    stale = recordings(directory)[-1]
    document = json.loads(stale.read_text())
    stale.write_text(stale.read_text().replace(document["key"], "0" * 64))
    listing = recordings(directory)
    assert "2 of 3 would change" in run(directory, "rekey", "--dry-run", code=1).output
    assert recordings(directory) == listing
    assert len(run_json(directory, "rekey")["changed"]) == 2
    assert {row["path"]: row["say"] for row in run_json(directory, "ls")} == before
    assert json.loads(stale.read_text()) == document
    run(directory, "rekey", "--dry-run", code=0)


# -- verify


def test_verify_asks_again_and_compares_the_shape(directory: Path) -> None:
    """Other words are as recorded; another ending is drift, and exit code 1."""
    finish = "stop"

    def answer(request: Any) -> Any:
        assert request.header("authorization") == "Bearer key-of-the-test"
        assert json.loads(request.body)["model"] == "m"
        chunks = [{"id": "x", "object": "chat.completion.chunk", "choices": [_choice("Other words", None)]}]
        chunks.append({"id": "x", "object": "chat.completion.chunk", "choices": [_choice(None, finish)]})
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        chunks.append({"id": "x", "choices": [], "usage": usage})
        return "text/event-stream", [*(_event(json.dumps(each)) for each in chunks), _event("[DONE]")], "end"

    with RawUpstream(answer) as upstream:
        where = ("--upstream", f"openai={upstream.url}", "--key", "key-of-the-test")
        assert "3 as recorded, 0 drifted, 0 skipped" in run(directory, "verify", *where).output
        assert upstream.requests[0].line == "POST /v1/chat/completions HTTP/1.1"
        finish = "length"
        found = run_json(directory, "verify", *where, "--scope", "geo", code=1)
        assert [each["drift"] for each in found] == [["finish reason: stop became length"]] * 2
    lost = run_json(directory, "verify", "--upstream", "openai=http://127.0.0.1:9/v1", code=1)
    assert all("the call failed" in each["drift"][0] for each in lost)


def _choice(content: str | None, finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


# -- import, export


def test_llama_stack_recordings_come_in_and_go_out(tmp_path: Path) -> None:
    """All of a folder of real ones become ours; once more changes nothing; and ours go out as theirs."""
    source = shared("recordings", "llama-stack", "tool_runtime")
    took = run_json(tmp_path / "ours", "import llama-stack", source)
    assert took["failed"] == {}
    assert took["written"] > 0
    before = {path: path.read_bytes() for path in recordings(tmp_path / "ours")}
    assert took == run_json(tmp_path / "ours", "import llama-stack", source)
    assert {path: path.read_bytes() for path in recordings(tmp_path / "ours")} == before
    gave = run_json(tmp_path / "ours", "export llama-stack", tmp_path / "theirs")
    assert (gave["written"], gave["failed"]) == (took["written"], {})
    again = run_json(tmp_path / "back", "import llama-stack", tmp_path / "theirs")
    assert again["written"] == took["written"]


def test_import_and_export_say_what_they_cannot(directory: Path, tmp_path: Path) -> None:
    """Nothing of theirs to import; a destination that is the source."""
    assert "no Llama Stack recording" in run(tmp_path / "x", "import llama-stack", directory, code=2).stderr
    assert "name another" in run(directory, "export llama-stack", directory, code=2).stderr


# -- the group


@pytest.mark.parametrize("command", sorted(set(tape.commands) - {"proxy", "import", "export", "scan"}))
def test_a_directory_that_is_not_there_is_said(command: str, tmp_path: Path) -> None:
    """By every command that reads one, with the way out; nothing is made."""
    more = {"show": ["x"], "diff": ["x", "y"], "verify": ["--upstream", "http://h/v1"]}.get(command, [])
    if command == "why":
        assert "No misses." in run(tmp_path / "none", "why").output
    else:
        assert "--dir or ANTIPHON_TAPE_DIR" in run(tmp_path / "none", command, *more, code=2).stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", sorted(tape.commands))
def test_every_command_has_help_and_json(command: str) -> None:
    """One sentence at least, and a form for programs."""
    found = tape.commands[command]
    leaves = list(found.commands.values()) if isinstance(found, click.Group) else [found]
    for leaf in leaves:
        assert leaf.help
        assert "--json" in CliRunner().invoke(leaf, ["--help"]).output


def test_the_directory_can_come_from_the_environment(directory: Path) -> None:
    """``ANTIPHON_TAPE_DIR``, and colours only for people."""
    environ = {"ANTIPHON_TAPE_DIR": str(directory)}
    result = CliRunner().invoke(tape, ["ls"], env=environ)
    assert len(result.output.splitlines()) == 3
    assert "\x1b[" not in result.output
    assert "\x1b[" in CliRunner().invoke(tape, ["ls"], env=environ, color=True).output


def test_a_file_that_is_none_is_passed_over_and_said(directory: Path) -> None:
    """The rest is listed; the damaged one goes to standard error."""
    (directory / "torn.json").write_text("{")
    result = run(directory, "ls")
    assert len(result.stdout.splitlines()) == 3
    assert "torn.json" in result.stderr


def test_help_imports_nothing_heavy() -> None:
    """What a command needs is imported when it runs."""
    code = (
        "import sys; from antiphon.cli.tape import tape; "
        "print([m for m in ('antiphon.tape', 'msgspec', 'aiohttp', 'uvicorn', 'rich', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
