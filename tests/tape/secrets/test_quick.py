"""What was made quick says the same as what is plain: each short cut beside the long way it stands for."""

from __future__ import annotations

import json
import re
import string
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody
from antiphon.tape.secrets import Redactor, shapes
from antiphon.tape.secrets.body import perhaps
from antiphon.tape.secrets.environment import Environment
from antiphon.tape.secrets.leaves import by_index, gather, walk
from antiphon.tape.secrets.sieve import Sieve
from tests.tape.secrets.planted import ENVIRON, OPENAI, TOKENS

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlLW9mLWl0"
SIGNS = [
    "\\",
    "\\n",
    "\\u00e9",
    "\\u",
    "%2F",
    "%",
    "/",
    "-",
    "_",
    ".",
    "=",
    " ",
    "\n",
    "a",
    "Z",
    "0",
    "é",
    "12",
    "bfnrtu",
]
PIECES = st.sampled_from([*TOKENS.values(), "npm_" + "a1B" * 12, "fw_" + "x9" * 12, "sk-", "npm_", *SIGNS])
TEXTS = st.lists(PIECES, max_size=8).map("".join)

#: Where a token can begin, said at each place by looking back.
_LEFT = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))(?:(?<!\\)|(?![bfnrtu]))"
_LOOKING_BACK = re.compile(_LEFT + "(?:" + "|".join(prefix + body for _, prefix, body in shapes._TABLE) + ")")


@given(TEXTS)
@example("\\npm_" + "a1B" * 12)
@example("%2Fsk-proj-abc123def456")
@example("\\\\nsk-proj-abc123def456\\u0020ghp_" + "F1" * 15)
@example("hf_" + "A1" * 12 + "-hf_" + "B2" * 12)
@example("\\n" + 2 * JWT)
def test_tokens_begin_where_a_look_back_finds_them(text: str) -> None:
    """The two quick patterns find the tokens that one slow pattern finds, and beside them only parts of those."""
    slowly = [found.span() for found in _LOOKING_BACK.finditer(text)]
    quickly = list(shapes._starts(text))
    assert {start for start, _ in slowly} <= set(quickly)
    assert all(any(start <= at < end for start, end in slowly) for at in quickly)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(alphabet="ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "index", "logprob"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4) | st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_the_strings_of_a_value_by_path(value: Any) -> None:
    """``gather`` and ``walk`` tell the same strings, in one order for each path."""
    walked: list[tuple[str, str, str]] = []
    walk(value, "root", "", by_index, walked)
    slowly: dict[str, list[str]] = defaultdict(list)
    for path, _, text in walked:
        slowly[path].append(text)
    slowly.pop("", None)  # names of fields
    quickly: dict[str, list[str]] = defaultdict(list)
    gather(value, "root", by_index, quickly)
    assert quickly == slowly


@given(st.lists(st.one_of(TEXTS, st.sampled_from(["plain", '{"token": "x"}', '{"colour": "x"}'])), max_size=8))
def test_what_was_seen_before_changes_no_answer(texts: list[str]) -> None:
    """A look that remembers harmless names and clean bodies says what a new one says."""
    environment = Environment(ENVIRON)
    old = Sieve(environment)
    for text in [*texts, *texts]:
        data = text.encode()
        assert old.perhaps(data) == Sieve(environment).perhaps(data)
        assert perhaps(data, old) == perhaps(data, Sieve(environment))


def test_a_clean_body_is_forgotten_once_its_file_was_looked_at() -> None:
    """What was found clean is not taken for clean twice."""
    sieve = Sieve(Environment(ENVIRON))
    assert [perhaps(b"clean", sieve) or len(sieve.clean) for _ in range(4)] == [1, 0, 1, 0]


@pytest.mark.parametrize("slash", ["/", "\\/", "\\\\\\/"])
def test_a_token_with_slashes_in_json(slash: str) -> None:
    """Encoders that escape slashes hide no token: not in JSON, and not in JSON in JSON."""
    token = "whsec_" + "Q7wK/2mZx".replace("/", slash) * 4
    assert Sieve(Environment({})).perhaps(f'{{"a": "use {token} here"}}'.encode())


# -- words and keys

WORDS = ["samsung", "hynix", "profit", "chips", "hbm3e", "HBM3E", "dram", "q3", "2nm", "4k", "ai", "on", "the", "Asia"]
SLUGS = st.builds(
    lambda words, end: "-".join([*words, *end]),
    st.lists(st.sampled_from(WORDS), min_size=3, max_size=8),
    st.sampled_from([[], ["2025"], ["20251106"], ["2025", "11", "06"], ["1999", "samsung"], ["20260131", "en"]]),
)
AROUND = st.sampled_from(
    ["https://news.example.com/2025/asia/{}/index.html", "see {} for more", "{}", "a-{}", '{{"slug": "{}"}}', "/{}?x=1"]
)


@given(SLUGS, AROUND)
@example("hynix-dividend-and-profit-20251106", "https://en.yna.example/view/{}")
def test_slugs_of_the_real_world_stay(slug: str, around: str) -> None:
    """A slug that begins like a key, with words, dates and names of chips in it, is not altered."""
    text = around.format(f"sk-{slug}")
    redactor = Redactor({})
    assert redactor.text(text) == text
    request = HttpRequest("POST", "/v1/x", body=JsonBody({"input": text}))
    assert redactor.call(request) is request
    response = HttpResponse(200, reads=(json.dumps({"a": text}).encode(),))
    assert redactor.response(response) is response


def _drawn(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    """A key as a random generator draws it: long, and of all kinds of signs."""
    kinds = [string.ascii_lowercase, string.ascii_uppercase, string.digits]
    return st.text(alphabet, min_size=least, max_size=most).filter(
        lambda key: all(sum(map(kind.__contains__, key)) >= 4 for kind in kinds) and len(set(key)) > 8
    )


_LETTERS = string.ascii_letters + string.digits
KEYS = st.one_of(
    st.builds("sk-{}".format, _drawn(_LETTERS, 32, 48)),
    st.builds("sk-proj-{}".format, _drawn(_LETTERS + "_-", 64, 100)),
    st.builds(
        "sk-or-v1-{}".format, st.text("0123456789abcdef", min_size=64, max_size=64).filter(lambda k: len(set(k)) > 8)
    ),
)


@given(KEYS, AROUND)
def test_keys_of_the_real_world_go(key: str, around: str) -> None:
    """A key as its provider draws it is replaced wherever it stands: in a path, behind a hyphen, in JSON."""
    assert key not in Redactor({}).text(around.format(key))
    assert OPENAI not in key
