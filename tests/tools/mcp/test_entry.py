"""Entries of type ``mcp``: what they may say, what each form means, and that no error repeats a credential."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import McpConfig, McpServerConfig
from antiphon.errors import InvalidRequest
from antiphon.tools.mcp.entry import read_entry
from antiphon.tools.mcp.server import STARS, Server, server_of

URL = "https://mcp.example/mcp"
SECRET = "hidden-Xy12345"
BASE = {"type": "mcp", "server_label": "one", "server_url": URL}
CONFIG = McpConfig(
    servers={
        "remote": McpServerConfig(url="http://user:pa%20ss@10.0.0.7/mcp?v=1", headers={"X-Team": "blue"}),
        "keyed": McpServerConfig(url="http://10.0.0.8/mcp", authorization="configured-token"),
        "prog": McpServerConfig(command="run-me", args=("-x",), env={"API_KEY": SECRET}),
    }
)

NAMES = st.sampled_from(["a", "b", "c"])
HINTS = st.sampled_from([{}, {"readOnlyHint": True}, {"readOnlyHint": False}])
FILTERS = st.none() | st.fixed_dictionaries(
    {}, optional={"tool_names": st.lists(NAMES, max_size=2), "read_only": st.booleans()}
)


def server(**entry: Any) -> Server:
    """The server that an entry means."""
    return server_of(read_entry({"type": "mcp", "server_label": "one", **entry}, "tools[3]"), CONFIG, "tools[3]")


def fits(some: dict[str, Any] | None, name: str, hints: dict[str, Any]) -> bool:
    """Whether a filter that says something fits a tool, written down naively."""
    if not some:
        return False
    by_name = "tool_names" not in some or name in some["tool_names"]
    return by_name and ("read_only" not in some or some["read_only"] == bool(hints.get("readOnlyHint")))


@given(FILTERS, FILTERS, NAMES, HINTS)
def test_approvals(always: Any, never: Any, name: str, hints: dict[str, Any]) -> None:
    """A call needs no approval only where `never` fits it and `always` does not."""
    entry = read_entry({**BASE, "require_approval": {"always": always, "never": never}}, "tools[0]")
    assert entry.approvals.needed(name, hints) == (fits(always, name, hints) or not fits(never, name, hints))


@pytest.mark.parametrize(("said", "needed"), [(None, True), ("always", True), ("never", False)])
def test_approvals_in_a_word(said: str | None, needed: bool) -> None:
    """Who says nothing is asked each time, as at OpenAI."""
    assert read_entry({**BASE, "require_approval": said}, "tools[0]").approvals.needed("a", {}) is needed
    assert read_entry(BASE, "tools[0]").approvals.needed("a", {"readOnlyHint": True})


@given(FILTERS, NAMES, HINTS)
def test_allowed_tools(some: Any, name: str, hints: dict[str, Any]) -> None:
    """An absent or empty filter allows all; a list is a filter of names."""
    allowed = read_entry({**BASE, "allowed_tools": some}, "tools[0]").allowed
    assert allowed.admits(name, hints) == (not some or fits(some, name, hints))
    names = (some or {}).get("tool_names", [])
    assert read_entry({**BASE, "allowed_tools": names}, "tools[0]").allowed.admits(name, hints) == (name in names)


@pytest.mark.parametrize(
    ("entry", "param"),
    [
        ({"server_label": None}, "server_label"),
        ({"server_label": ""}, "server_label"),
        ({"server_url": 5}, "server_url"),
        ({"server_url": "ftp://x/"}, "server_url"),
        ({"server_url": "http://user:hidden-Xy12345@x/"}, "server_url"),
        ({"server_url": "http://x/hidden-Xy12345 y"}, "server_url"),
        ({"server_url": None}, "server_url"),
        ({"server_url": None, "connector_id": "connector_gmail"}, "connector_id"),
        ({"tunnel_id": "t"}, "tunnel_id"),
        ({"allowed_tools": {"tool_names": "a"}}, "allowed_tools.tool_names"),
        ({"allowed_tools": "a"}, "allowed_tools"),
        ({"require_approval": "sometimes"}, "require_approval"),
        ({"require_approval": {"never": {"tool_names": [1]}}}, "require_approval.never.tool_names[0]"),
        ({"headers": "hidden-Xy12345"}, "headers"),
        ({"headers": {"X-Key": ["hidden-Xy12345"]}}, "headers.X-Key"),
        ({"headers": {"X-Key": "hidden-Xy12345\r\nX-Other: 1"}}, "headers.X-Key"),
        ({"headers": {"hidden-Xy12345 ": "1"}}, "headers"),
        ({"headers": {"Host": "hidden-Xy12345"}}, "headers.Host"),
        ({"headers": {"mcp-session-id": "hidden-Xy12345"}}, "headers.mcp-session-id"),
        ({"authorization": ["hidden-Xy12345"]}, "authorization"),
        ({"authorization": "hidden-Xy12345\n"}, "authorization"),
        ({"authorization": "hidden-Xy12345", "headers": {"authorization": "hidden-Xy12345"}}, "authorization"),
    ],
)
def test_what_is_wrong_is_named(entry: dict[str, Any], param: str) -> None:
    """Each mistake is a 400 with its path, and no word of what may be a secret."""
    with pytest.raises(InvalidRequest) as caught:
        server(**{"server_url": URL, **entry})
    assert caught.value.param == f"tools[3].{param}"
    assert "hidden" not in caught.value.message


def test_one_place_only() -> None:
    """A URL and a connector together are refused."""
    with pytest.raises(InvalidRequest, match="both"):
        server(server_url=URL, connector_id="remote")


def test_servers_from_requests_can_be_forbidden() -> None:
    """Then only configured ones can be named; the error names the setting."""
    config = McpConfig(from_requests=False)
    with pytest.raises(InvalidRequest, match=r"tools\.mcp\.from_requests"):
        server_of(read_entry(BASE, "tools[0]"), config, "tools[0]")


def test_configured_servers() -> None:
    """They are found by connector or by label, with what the configuration gives them, and may be anywhere."""
    remote = server(connector_id="remote")
    assert remote == server(server_label="remote")
    assert remote.exempt
    assert remote.url is not None
    assert remote.url.url == "http://10.0.0.7/mcp?v=1"
    assert dict(remote.headers) == {"X-Team": "blue", "Authorization": "Basic dXNlcjpwYSBzcw=="}
    assert dict(server(connector_id="keyed").headers) == {"Authorization": "Bearer configured-token"}
    assert dict(server(connector_id="keyed", authorization="mine").headers) == {"Authorization": "Bearer mine"}
    prog = server(server_label="prog")
    assert (prog.command, prog.env) == (("run-me", "-x"), (("API_KEY", SECRET),))


def test_a_program_takes_no_credentials() -> None:
    """There would be nowhere to put them."""
    with pytest.raises(InvalidRequest, match="takes none"):
        server(connector_id="prog", authorization=SECRET)


@pytest.mark.parametrize("token", ["abc", "Bearer abc", "bearer abc", "Basic abc"])
def test_authorization(token: str) -> None:
    """A bare token is a bearer token; one that says what it is stands."""
    headers = dict(server(server_url=URL, authorization=token).headers)
    assert headers == {"Authorization": token if " " in token else "Bearer abc"}


CREDENTIALS = st.dictionaries(st.sampled_from(["X-A", "X-B"]), st.sampled_from(["one", "two"]))


@given(CREDENTIALS, CREDENTIALS)
def test_connections_are_shared_by_credentials(mine: dict[str, str], theirs: dict[str, str]) -> None:
    """Two entries share a connection exactly when their credentials are the same."""
    assert (server(server_url=URL, headers=mine).key == server(server_url=URL, headers=theirs).key) == (mine == theirs)


def test_a_request_never_shares_a_configured_connection_without_its_credentials() -> None:
    """Even at the same URL."""
    assert server(connector_id="keyed").key != server(server_url="http://10.0.0.8/mcp").key


def test_nothing_shows_in_a_repr() -> None:
    """Neither entry nor server tells its credentials to who prints it."""
    entry = read_entry({**BASE, "authorization": SECRET, "headers": {"X-Key": SECRET}}, "tools[0]")
    whole = f"{entry!r} {server_of(entry, CONFIG, 'x')!r} {server(connector_id='prog')!r}"
    assert SECRET not in whole


def test_secrets_are_cut_out_of_what_comes_back() -> None:
    """Wherever they stand in the JSON; short and harmless headers stay."""
    one = server(
        server_url=f"{URL}?api_key=hidden-query&v=harmless",
        authorization=SECRET,
        headers={"X-Api-Key": "hidden-header", "X-Env": "production"},
    )
    said = {"a": [f"x {SECRET} y", "hidden-query", {"hidden-header": 1}], "b": "production harmless", "c": None}
    assert one.cleaned(said) == {"a": [f"x {STARS} y", STARS, {STARS: 1}], "b": "production harmless", "c": None}
    assert server(connector_id="prog").cleaned([SECRET]) == [STARS]
