"""A file is read by people, in diffs too."""

from __future__ import annotations

import difflib
import json

import pytest

from antiphon.tape import document
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse, JsonBody
from tests.tape.document.examples import EVENT_STREAM, answered, chat, file_of, nothing_beside

ANSWER = [" word"] * 7 + ["The", " capital", " of", " France", " is", " Paris", ".", " It", " lies", " there", "."] * 12


def hunks(before: str, after: str) -> int:
    """How many hunks the difference has, as git counts them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    return sum(line.startswith("@@") for line in lines)


@pytest.mark.parametrize("word", [" Lyon", " Rome", " Châlons-en-Champagne"])
@pytest.mark.parametrize("at", [0, 12, 60, 120])
def test_one_word_of_an_answer_changes_three_hunks_at_most(word: str, at: int) -> None:
    """A re-recording that answers one word differently shows where, and little else."""
    changed = [*ANSWER[:at], word, *ANSWER[at + 1 :]]
    assert 1 <= hunks(file_of(chat(ANSWER)), file_of(chat(changed))) <= 3


@pytest.mark.parametrize("at", [0, 12, 60, 120])
def test_one_token_more_changes_three_hunks_at_most(at: int) -> None:
    """The same when the word makes the answer longer: what was said of its end is not moved."""
    changed = [*ANSWER[:at], " very", *ANSWER[at:]]
    assert 1 <= hunks(file_of(chat(ANSWER)), file_of(chat(changed))) <= 3


def test_times_are_left_out_unless_asked_for() -> None:
    """By default two recordings of one answer are one file, however long the model took."""
    slow, quick = chat(ANSWER, gaps=tuple(range(len(ANSWER) + 3))), chat(ANSWER)
    assert document.dump(slow) == document.dump(quick)


def test_times_in_short_are_three_numbers() -> None:
    """A summary tells the first, the median of the others, and the whole, and is kept when written again."""
    data, _ = document.dump(chat(["a", "b"], gaps=(400, 20, 22, 24, 30)), timing="summary")
    assert '"timing": {"summary": [400, 23, 496]}' in data.decode()
    back = document.load(data, nothing_beside)
    assert document.dump(back, timing="exact")[0] == document.dump(back, timing="summary")[0] == data


def test_lines_are_of_a_readable_width() -> None:
    """Streams, texts and numbers keep to about 110 columns."""
    text = file_of(chat([f" {'wordy' * (at % 5)}" for at in range(300)]))
    embedding = {"data": [{"embedding": [at / 997 for at in range(600)], "index": 0}]}
    text += file_of(answered(json.dumps(embedding).encode()))
    text += file_of(answered(b"a long line of plain text " * 40, headers=()))
    assert max(map(len, text.splitlines())) <= 112


def test_numbers_are_packed() -> None:
    """An embedding takes as many lines as it fills."""
    numbers = [at / 997 for at in range(600)]
    text = file_of(answered(json.dumps({"embedding": numbers}).encode()))
    assert len(text.splitlines()) < 30 + len(json.dumps(numbers)) // 100


def test_keys_of_a_request_are_sorted_and_sections_are_not() -> None:
    """Two spellings of a request make one file; the sections stand in the order of the form."""
    body = {"b": {"d": 1, "c": [{"z": 1, "a": 2}]}, "a": 3}
    turned = {"a": 3, "b": {"c": [{"a": 2, "z": 1}], "d": 1}}
    one, other = (
        Exchange(HttpRequest("POST", "/", body=JsonBody(value)), HttpResponse(200)) for value in (body, turned)
    )
    assert document.dump(one) == document.dump(other)
    assert list(json.loads(document.dump(chat(["a"]))[0])) == [
        "tape", "canon", "key", "boundary", "provider", "request", "response",
    ]  # fmt: skip


def test_what_a_stream_says_stands_beside_it() -> None:
    """A reviewer reads the answer in one piece."""
    assert '"say": "Bon jour",' in file_of(chat(["Bon", " jour"]))


def test_check_finds_a_say_line_that_lies() -> None:
    """A changed say line, stream, key, count or layout is told, and nothing else is."""
    text = file_of(chat(["Bon", " jour"]))
    changes = {
        ('"say": "Bon', '"say": "Mal'): "$.response.say",
        ("Bon| jour", "Bon| soir"): "$.response.say",
        ('"output": 2', '"output": 3'): "$.response.usage",
        ("Tell me", "Tell us"): "$.key",
        ("\n ", "\n  "): "laid out",
        ('"tape": 1', '"tape": 2'): "$.tape",
    }
    for (old, new), place in changes.items():
        assert old in text
        problems = document.check(text.replace(old, new, 1).encode(), nothing_beside)
        assert len(problems) == 1, problems
        assert place in problems[0]


def test_a_cut_stream_is_said_to_be_cut() -> None:
    """How it ended is written, and half an event is kept."""
    whole = chat(["a", "b"]).response
    assert isinstance(whole, HttpResponse)
    response = HttpResponse(200, EVENT_STREAM, (*whole.reads[:1], whole.reads[1][:30]), "error", "peer went away")
    text = file_of(Exchange(HttpRequest("POST", "/"), response))
    assert '"end": "error",\n  "error": "peer went away",' in text
