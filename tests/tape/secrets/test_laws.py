"""Laws of redaction: it touches nothing but secrets, once is enough, and the quick look never overlooks anything."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody
from antiphon.tape.secrets import Redactor
from tests.tape.secrets.planted import AROUND, ENVIRON, OPENAI, TOKENS

REDACTOR = Redactor(ENVIRON)

#: Words that hold no secret however they are joined: no prefix, no name, no sign that joins a name to a value.
WORDS = st.text(alphabet='abcdeghijmnoquvwxz éß😀,.!?\n\t"\\0123456789', max_size=20)
PLANTED = st.sampled_from([*TOKENS.values(), *(text for text, _ in AROUND.values()), *ENVIRON.values()])
AWKWARD = st.sampled_from(
    ["<secret:1>", "<secret:3>", "{{env:A_KEY}}", '"token":"', "?key=", "Bearer ", "sk-", "://a:", "@b", "'"]
)
TEXTS = st.lists(st.one_of(WORDS, PLANTED, AWKWARD), max_size=6).map("".join)
INNOCENT = st.recursive(
    st.one_of(WORDS, st.none(), st.booleans(), st.integers(-9, 9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "password", "token", "messages", "input"]), inner, max_size=3),
        inner.map(json.dumps),
    ),
    max_leaves=5,
)


def cut(data: bytes, places: list[int]) -> tuple[bytes, ...]:
    """The bytes in reads that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return tuple(data[a:b] for a, b in pairwise(ends))


PLACES = st.lists(st.integers(0, 2000), max_size=12)


@given(INNOCENT, PLACES)
def test_what_has_no_secret_is_untouched(value: object, places: list[int]) -> None:
    """A call without a secret is the very same object afterwards, whatever was in it."""
    request = HttpRequest("POST", "/v1/x", body=JsonBody(value))
    response = HttpResponse(200, reads=cut(json.dumps(value).encode(), places))
    assert REDACTOR.call(request) is request
    assert REDACTOR.response(response) is response


@given(TREES, PLACES, st.booleans())
def test_once_is_enough(value: object, places: list[int], plain: bool) -> None:
    """Redacting what is redacted changes nothing: a request, and a response in any reads, which stay as many."""
    request = HttpRequest("POST", "/v1/x", body=JsonBody(value))
    once = REDACTOR.call(request)
    assert REDACTOR.call(once) == once
    reads = cut(str(value).encode() if plain else json.dumps(value).encode(), places)
    done = REDACTOR.response(HttpResponse(200, reads=reads))
    assert isinstance(done, HttpResponse)
    assert len(done.reads) == len(reads)
    assert REDACTOR.response(done) == done
    if not plain:
        json.loads(done.content)


@given(st.lists(TEXTS, max_size=5), PLACES)
def test_streams_stay_streams(pieces: list[str], places: list[int]) -> None:
    """A stream of deltas has as many reads and as many events afterwards, each of them JSON, and once is enough."""
    events = [f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': piece}}]})}\n\n" for piece in pieces]
    reads = cut("".join([*events, "data: [DONE]\n\n"]).encode(), places)
    done = REDACTOR.response(HttpResponse(200, reads=reads))
    assert isinstance(done, HttpResponse)
    assert len(done.reads) == len(reads)
    lines = [line for line in done.content.decode().split("\n") if line]
    assert len(lines) == len(pieces) + 1
    said = "".join(json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines[:-1])
    assert OPENAI not in said
    assert REDACTOR.response(done) == done


@given(TEXTS)
def test_the_quick_look_overlooks_nothing(text: str) -> None:
    """Where the thorough search finds a secret, the quick look said perhaps: in the text, in JSON, in JSON in JSON."""
    finder, sieve = REDACTOR._finder, REDACTOR._sieve
    if finder.hits(text):
        for spelled in (text, json.dumps(text), json.dumps([json.dumps(text, ensure_ascii=False)])):
            assert sieve.perhaps(spelled.encode())
