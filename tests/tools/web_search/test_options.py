"""What an entry may say, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.tools.web_search.options import SIZES, TYPES, Options, read

DOMAIN = st.lists(st.text("abcABC019", min_size=1, max_size=8), min_size=2, max_size=3).map(".".join)
LABEL = st.text("xyz", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"filters": []}, "tools[3].filters"),
        ({"filters": {"allowed_domains": "a.example"}}, "tools[3].filters.allowed_domains"),
        ({"filters": {"allowed_domains": ["a.example", 7]}}, "tools[3].filters.allowed_domains[1]"),
        ({"filters": {"allowed_domains": ["a.example", "not a domain"]}}, "tools[3].filters.allowed_domains[1]"),
        ({"filters": {"allowed_domains": ["a.example/path"]}}, "tools[3].filters.allowed_domains[0]"),
        ({"filters": {"allowed_domains": ["a.example"] * 101}}, "tools[3].filters.allowed_domains"),
        ({"filters": {"blocked_domains": ["a.example"]}}, "tools[3].filters"),
        ({"search_context_size": "huge"}, "tools[3].search_context_size"),
        ({"user_location": "Berlin"}, "tools[3].user_location"),
        ({"user_location": {"type": "exact"}}, "tools[3].user_location.type"),
        ({"user_location": {"country": "Germany"}}, "tools[3].user_location.country"),
        ({"user_location": {"city": "a\r\nX-Key: b"}}, "tools[3].user_location.city"),
        ({"user_location": {"city": "x" * 101}}, "tools[3].user_location.city"),
        ({"external_web_access": "no"}, "tools[3].external_web_access"),
        ({"search_content_types": ["sound"]}, "tools[3].search_content_types[0]"),
    ],
)
def test_what_is_wrong_is_named(entry: dict[str, Any], path: str) -> None:
    """The JSON path of the fault is the ``param``."""
    with pytest.raises(InvalidRequest) as caught:
        read({"type": "web_search", **entry}, "tools[3]")
    assert (caught.value.param or "").removesuffix("[...]") == path.removesuffix("[...]")
    assert path.partition("[3]")[2].strip(".[]01") in caught.value.message


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"filters": None, "user_location": None, "search_context_size": None},
        {"filters": {}, "user_location": {"type": "approximate"}},
        {"filters": {"allowed_domains": None}},
        {"filters": {"allowed_domains": []}, "user_location": {"type": "approximate", "city": None}},
        {"external_web_access": True, "search_content_types": ["text", "image"], "something_new": 1},
    ],
)
@pytest.mark.parametrize("kind", sorted(TYPES))
def test_what_says_nothing_changes_nothing(kind: str, entry: dict[str, Any]) -> None:
    """Nulls, empty filters and keys from the future leave the defaults."""
    options = read({"type": kind, **entry}, "tools[0]")
    assert (options.size, options.domains, options.live) == (SIZES["medium"], (), True)


@given(DOMAIN, LABEL, DOMAIN)
def test_a_domain_is_itself_and_all_below(domain: str, below: str, other: str) -> None:
    """Written in any case, as a URL or with a star; another that merely ends like it is not allowed."""
    for spelt in (domain, domain.upper(), f"https://{domain}", f"http://{domain}/", f"*.{domain}"):
        options = read({"filters": {"allowed_domains": [spelt]}}, "tools[0]")
        assert options.allows(domain)
        assert options.allows_url(f"https://{below}.{domain}/x?y#z")
        assert not options.allows(below + domain)
        assert not options.allows(f"{domain}.{below}")
        assert options.allows(other) is (f".{other}".lower().endswith(f".{domain}".lower()))
        assert not options.allows_url(f"https://{below}.{other}@{below}x{domain}/")


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "file:///etc/x", "javascript:1", "//a.example/", "a.example", "", "http://[::1"]
)
def test_only_the_web_is_the_web(url: str) -> None:
    """Other schemes, and what is no URL, are no pages."""
    assert not Options().allows_url(url)


def test_names_of_other_scripts() -> None:
    """They are compared as the name servers have them."""
    assert read({"filters": {"allowed_domains": ["müller.example"]}}, "t").domains == ("xn--mller-kva.example",)
