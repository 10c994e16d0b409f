"""Where a request goes: from any base URL that a client may build, to the right place, with the right headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.proxy import places

UPSTREAMS = {"openai": "https://api.example.com/v1", "local": "http://127.0.0.1:9/"}
_NAME = st.text("abcdefgh-", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("path", "name", "url"),
    [
        ("/openai/chat/completions", "openai", "https://api.example.com/v1/chat/completions"),
        ("/openai/v1/chat/completions", "openai", "https://api.example.com/v1/chat/completions"),
        ("/openai/v1beta/x", "openai", "https://api.example.com/v1/v1beta/x"),
        ("/openai", "openai", "https://api.example.com/v1"),
        ("/openai/", "openai", "https://api.example.com/v1"),
        ("/local/api/chat", "local", "http://127.0.0.1:9/api/chat"),
        ("/openai/files/a%2Fb", "openai", "https://api.example.com/v1/files/a%2Fb"),
    ],
)
def test_a_path_finds_its_upstream(path: str, name: str, url: str) -> None:
    """The version at the end of a base URL may be written or left out; what is quoted stays quoted."""
    assert places.find(path, b"", UPSTREAMS) == places.Place(name, url)


def test_the_query_goes_along() -> None:
    """As it was written."""
    assert places.find("/local/x", b"a=1&b=%20", UPSTREAMS).url == "http://127.0.0.1:9/x?a=1&b=%20"


def test_the_name_of_a_single_upstream_may_be_left_out() -> None:
    """Then the whole path is below its base."""
    one = {"openai": "https://api.example.com/v1"}
    assert places.find("/v1/models", b"", one).url == "https://api.example.com/v1/models"
    assert places.find("/models", b"", one).url == "https://api.example.com/v1/models"
    assert places.find("/openai/models", b"", one).url == "https://api.example.com/v1/models"


def test_an_unknown_upstream_is_told_the_known_ones() -> None:
    """The way out stands in the message."""
    with pytest.raises(places.Unplaced, match="/openai/, /local/"):
        places.find("/opnai/v1/models", b"", UPSTREAMS)


@given(st.lists(_NAME, max_size=3), st.lists(_NAME, max_size=4))
def test_a_path_never_leaves_its_base(base: list[str], path: list[str]) -> None:
    """Whatever is asked stays below the base URL."""
    root = "/".join(["https://host", *base])
    url = places.join(root, "".join(f"/{part}" for part in path))
    assert url == root or url.startswith(f"{root}/")


def test_headers_of_one_connection_stay_there() -> None:
    """Hop-by-hop headers, those that Connection names, and what the next hop makes itself, do not go on."""
    sent = [
        ("Host", "proxy"),
        ("Connection", "keep-alive, X-Mine"),
        ("Keep-Alive", "5"),
        ("X-Mine", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "br"),
        ("Authorization", "Bearer k"),
        ("X-Antiphon-Scope", "s"),
    ]
    kept = places.upstream_headers(sent)
    assert kept == (("Authorization", "Bearer k"), ("X-Antiphon-Scope", "s"), ("accept-encoding", "identity"))


def test_headers_of_a_reply_go_on() -> None:
    """All but those of the connection, and the length, which may change."""
    got = (("Content-Type", "a/b"), ("Connection", "close"), ("Content-Length", "3"), ("X-Request-Id", "r"))
    assert places.client_headers(got) == (("Content-Type", "a/b"), ("X-Request-Id", "r"))


@pytest.mark.parametrize("text", ["openai=ftp://x", "a/b=http://x", "s=http://x", "_tape=http://x", "=http://x", "x=y"])
def test_an_upstream_that_is_none_is_refused(text: str) -> None:
    """A name must be a part of a path, and a URL a base."""
    with pytest.raises(ValueError, match=r"upstream|base URL"):
        places.check_upstream(text)


def test_an_upstream_without_a_name_is_the_default() -> None:
    """The URL alone will do."""
    assert places.check_upstream("http://h/v1/") == ("default", "http://h/v1")
    assert places.check_upstream("a=http://h/v1") == ("a", "http://h/v1")
