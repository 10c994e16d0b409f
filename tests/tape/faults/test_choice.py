"""Which call a fault befalls: it is counted, never drawn."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.faults import Fault, FaultError, Faults, Filter, load, parse, parse_header
from antiphon.tape.model import Exchange, HttpCall, HttpResponse, ToolCall, ToolResponse

URL = "https://example.test/v1/chat/completions"
CHAT = HttpCall("POST", URL, body=b'{"model":"small","messages":[]}')
SEARCH = ToolCall("web", "search", {"query": "x"})


def status(picked: object) -> int | None:
    assert picked is None or isinstance(picked, Exchange)
    return picked.response.status if picked is not None and isinstance(picked.response, HttpResponse) else None


def test_twice_429_and_then_the_answer() -> None:
    """``times`` refuses so many calls, with the header that says when to come again; then all is well."""
    faults = Faults(parse({"status": 429, "retry_after": 2, "times": 2}))
    picked = [faults.pick(CHAT, "a") for _ in range(4)]
    assert [status(one) for one in picked] == [429, 429, None, None]
    first = picked[0]
    assert isinstance(first, Exchange)
    assert isinstance(first.response, HttpResponse)
    assert dict(first.response.headers)["retry-after"] == "2"
    assert msgspec.json.decode(first.response.content)["error"]["type"] == "rate_limit_error"


def test_nth_and_the_order_of_faults() -> None:
    """``nth`` counts all calls that fit; of several faults that are due the first one is taken."""
    faults = Faults(parse([{"status": 500, "nth": [2, 4]}, {"status": 503, "nth": 2}, {"status": 504, "nth": 3}]))
    assert [status(faults.pick(CHAT, "")) for _ in range(5)] == [None, 500, 504, 500, None]


def test_scopes_are_counted_by_themselves_and_anew_after_a_reset() -> None:
    """What one scope has had says nothing about another; ``reset`` begins again, for one or for all."""
    faults = Faults(parse({"status": 500, "times": 1}))
    assert [status(faults.pick(CHAT, scope)) for scope in "abab"] == [500, 500, None, None]
    second = Faults(parse({"status": 500, "nth": 2}))
    assert [status(second.pick(CHAT, scope)) for scope in "aabb"] == [None, 500, None, 500]
    faults.reset("a")
    assert [status(faults.pick(CHAT, scope)) for scope in "ab"] == [500, None]
    faults.reset()
    assert [status(faults.pick(CHAT, scope)) for scope in "ab"] == [500, 500]


def test_threads_count_together() -> None:
    """Of a hundred calls from ten threads exactly as many are refused as were meant to be."""
    faults, found = Faults(parse({"status": 500, "times": 37})), list[int | None]()

    def call() -> None:
        found.extend([status(faults.pick(CHAT, "a")) for _ in range(10)])

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(500) == 37


@pytest.mark.parametrize(
    ("fields", "hit"),
    [
        ({"path": "*/chat/completions"}, True),
        ({"path": "*/embeddings"}, False),
        ({"model": "sm*"}, True),
        ({"model": "large"}, False),
        ({"scope": "test_*"}, True),
        ({"scope": "other"}, False),
        ({"boundary": "embeddings"}, False),
        ({"provider": "acme"}, False),
    ],
)
def test_selectors(fields: dict[str, str], hit: bool) -> None:
    """A fault befalls the calls that all of its selectors fit, and no others."""
    assert (Faults(parse({"status": 500, **fields})).pick(CHAT, "test_x") is not None) is hit


def test_faults_of_tools_and_of_http_do_not_mix() -> None:
    """A tool's fault is for tools only, and becomes a failure or a timeout."""
    faults = Faults(
        parse([{"status": 500}, {"tool": "sea*", "tool_error": "no net", "times": 1}, {"tool_timeout": True}])
    )
    failures = []
    for _ in range(2):
        picked = faults.pick(SEARCH, "")
        assert isinstance(picked, Exchange)
        assert isinstance(picked.response, ToolResponse)
        failures.append(picked.response.error)
    assert [(one.message == "no net", one.timeout) for one in failures if one] == [(True, False), (False, True)]
    assert status(faults.pick(CHAT, "")) == 500


def test_the_header_of_a_call() -> None:
    """A header names a fault for its calls, counted while they carry the same text."""
    call = msgspec.structs.replace(CHAT, headers=(("X-Antiphon-Fault", "status=429; times=1; retry_after=0.5"),))
    faults = Faults()
    assert [status(faults.pick(call, "")), status(faults.pick(call, "")), faults.pick(CHAT, "")] == [429, None, None]
    assert isinstance(faults.pick(CHAT, "", "cut=after_event:5,how:close"), Filter)


def test_files(tmp_path: Path) -> None:
    """TOML, JSON, a mapping and a header say the same."""
    (tmp_path / "a.toml").write_text(
        '[[fault]]\npath = "*/chat"\nnth = [2]\ncut = { after_event = 5, how = "close" }\n'
    )
    (tmp_path / "a.json").write_text('[{"path": "*/chat", "nth": 2, "cut": {"after_event": 5, "how": "close"}}]')
    header = parse_header("cut=after_event:5,how:close; path=*/chat; nth=2")
    assert load(tmp_path / "a.toml") == load(tmp_path / "a.json") == (header,)
    assert parse({"faults": [header.as_json()]}) == (header,)


@pytest.mark.parametrize(
    ("source", "named", "way"),
    [
        ({"status": 200}, "status", "400 to 599"),
        ({"status": 429, "retry_after": -1}, "retry_after", "0 to 86400"),
        ({"statsu": 429}, "statsu", "'status'"),
        ({}, "does nothing", "status"),
        ({"status": 500, "cut": {"after_event": 1}}, "status and cut", "faults of their own"),
        ({"cut": {"after_event": 1, "after_byte": 2}}, "cut", "not both"),
        ({"cut": {"after_byte": 2, "how": "half_event"}}, "cut, how", "after_event"),
        ({"cut": {"after_event": -1}}, "cut, after_event", "from 0"),
        ({"cut": {"after_event": 1, "how": "bang"}}, "cut, how", "reset, close, half_event"),
        ({"stall": {"at_event": 0, "seconds": 1}}, "stall, at_event", "the first event is 1"),
        ({"stall": {"at_event": 1}}, "stall, seconds", "missing"),
        ({"slow": {}}, "slow", "'first' or 'gap'"),
        ({"malformed": 3}, "malformed", "mapping"),
        ({"status": True}, "status", "whole number"),
        ({"malformed": {"event": True}}, "malformed, event", "whole number"),
        ({"slow": {"gap": float("inf")}}, "slow, gap", "seconds"),
        ({"slow": {"gap": float("nan")}}, "slow, gap", "seconds"),
        ({"tool": "x", "status": 500}, "tool", "tool_error"),
        ({"tool_error": "x", "model": "m"}, "model", "scope"),
        ({"drop_done": 1}, "drop_done", "true or false"),
        ({"retry_after": 1, "drop_done": True}, "retry_after", "status = 429"),
        ("[[fault]\n", "TOML", "JSON"),
        ('{"a": }', "JSON", "TOML"),
        ([3], "fault 1", "mapping"),
    ],
)
def test_a_mistake_names_its_field_and_the_way_out(source: object, named: str, way: str) -> None:
    """What cannot be understood is refused in one sentence with the field, the limit and what to do."""
    with pytest.raises(FaultError) as refused:
        parse(source)  # type: ignore[arg-type]
    assert named in str(refused.value)
    assert way in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Fault.__struct_fields__, "x"]), inner)
    ),
    max_leaves=6,
)


@given(json_values, st.text(max_size=40))
def test_anything_is_read_or_refused(value: object, header: str) -> None:
    """No input ends in another error than the one for people, and what is read can be written and read again."""
    try:
        for fault in (*parse(value), parse_header(header)):  # type: ignore[arg-type]
            assert parse(fault.as_json()) == (fault,)
    except FaultError:
        pass
