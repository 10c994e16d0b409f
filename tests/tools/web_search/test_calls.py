"""A call becomes an item, its events and what the model reads; whatever the model wrote and the web said."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import APIError, InternalError
from antiphon.responses.turn.cite import Citations
from antiphon.tools import prompts
from antiphon.tools.prompts import found_pages, found_passages, read_page, sources_in
from antiphon.upstream.door import Door
from antiphon.wire.items import WebSearchCall
from tests.tools.web_search.world import Outside, Web, kit, run, tools

pytestmark = pytest.mark.anyio

ADDED, DONE = "output_item.added", "output_item.done"
WHOLE = [
    ADDED,
    *(f"web_search_call.{step}" for step in ("in_progress", "searching", "completed")),
    DONE,
]
ACTIONS: dict[str, dict[str, Any]] = {
    "web_search": {"type": "search", "query": "x y", "queries": ["x y"]},
    "open_page": {"type": "open_page", "url": "u"},
    "find_in_page": {"type": "find_in_page", "url": "u", "pattern": "p"},
}
ROWS = {"results": [{"title": "T", "url": "https://a.example/", "content": "C"}]}
MARKER = re.compile(r"<\|([^|]*)\|>")
HOSTILE = st.text(st.sampled_from("<|>web-0a1b2c \n\r\t\0\x1b\u202eäé漢😀.[]"), max_size=60)
URLS = st.integers(0, 10**6).map(lambda n: f"https://a.example/{n}")


async def test_a_search_is_told_step_by_step(web: Web, door: Door) -> None:
    """Added, in progress, searching, completed, done: one item with one id at index 0, whole at both ends."""
    web.json("/search", ROWS)
    ran = await run((await tools(kit(web, door)))["web_search"], {"query": " x y "})
    assert ran.steps == WHOLE
    added, *steps, done = ran.events
    assert {event.payload["output_index"] for event in ran.events} == {0}  # type: ignore[union-attr]
    assert {step.payload["item_id"] for step in steps} == {"web_search_call-0"}  # type: ignore[union-attr]
    action = ACTIONS["web_search"]
    assert added.payload["item"] == WebSearchCall(  # type: ignore[union-attr]
        id="web_search_call-0", status="in_progress", action=action
    )
    assert done.payload["item"] == WebSearchCall(  # type: ignore[union-attr]
        id="web_search_call-0", status="completed", action=action
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("open_page", {"url": "PAGE"}), ("find_in_page", {"url": "PAGE", "pattern": "words"})],
)
async def test_a_page_is_told_in_the_same_steps(name: str, arguments: dict[str, str], web: Web, door: Door) -> None:
    """The action says which page, and which words; sources are a search's alone."""
    page = web.page("/p", "<title>T</title><p>Some words.")
    given = {key: value.replace("PAGE", page) for key, value in arguments.items()}
    ran = await run((await tools(kit(web, door)))[name], given, include=frozenset({"web_search_call.action.sources"}))
    assert ran.steps == WHOLE
    assert ran.item.action == {"type": name, **given}
    assert [source.annotation for source in ran.outcome.sources] == [
        {"type": "url_citation", "url": page, "title": "T"}
    ]
    assert ran.outside.calls[0][1] == name


async def test_sources_only_where_they_were_asked_for(web: Web, door: Door) -> None:
    """The item names the pages found with the include value, and not without."""
    web.json("/search", ROWS)
    search = (await tools(kit(web, door)))["web_search"]
    assert "sources" not in (await run(search, {"query": "q"})).item.action
    ran = await run(search, {"query": "q"}, include=frozenset({"web_search_call.action.sources"}))
    assert ran.item.action["sources"] == [{"type": "url", "url": "https://a.example/"}]


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(ACTIONS)),
    st.text(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["query", "url", "x"]), inner),
    ).map(json.dumps),
)
async def test_odd_arguments_are_a_failed_item(name: str, arguments: str) -> None:
    """What is no JSON object with the text that is needed is said to be so, and nothing leaves."""
    try:
        found = json.loads(arguments)
    except ValueError:
        found = None
    wanted = [key for key in ACTIONS[name] if key in ("query", "url", "pattern")]
    if isinstance(found, dict) and all(isinstance(found.get(key), str) and found[key].strip() for key in wanted):
        return
    async with Web() as web:
        ran = await run((await tools(kit(web, Door({}))))[name], arguments)
    assert ran.steps == [ADDED, "web_search_call.in_progress", DONE]
    assert ran.item.status == "failed"
    assert ran.item.action["type"] == ACTIONS[name]["type"]
    assert msgspec.json.decode(msgspec.json.encode(ran.item))["action"].keys() == ACTIONS[name].keys()
    assert ran.outcome.failed
    assert f"The arguments of {name} must" in ran.content
    assert ran.outside.calls == []


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
async def test_blanks_are_no_argument(blank: str, web: Web, door: Door) -> None:
    """A search for nothing is not made."""
    ran = await run((await tools(kit(web, door)))["web_search"], {"query": blank})
    assert (ran.item.status, ran.outside.calls) == ("failed", [])


@pytest.mark.parametrize("failure", [TimeoutError("late"), ConnectionError("sk-hidden"), ValueError("sk-hidden")])
async def test_a_failure_of_the_way_out_closes_the_item(failure: Exception, web: Web, door: Door) -> None:
    """A fault that was recorded or injected is a failed item, and its text is not repeated."""

    async def breaks(*_: Any) -> Any:
        raise failure

    ran = await run((await tools(kit(web, door)))["web_search"], {"query": "q"}, outside=breaks)
    assert (ran.item.status, ran.outcome.failed) == ("failed", True)
    assert "sk-hidden" not in ran.content


async def test_an_api_error_ends_the_run(web: Web, door: Door) -> None:
    """What is meant for the client is not told to the model instead."""

    async def breaks(*_: Any) -> Any:
        raise InternalError("no recording")

    with pytest.raises(APIError):
        await run((await tools(kit(web, door)))["web_search"], {"query": "q"}, outside=breaks)


async def test_a_recording_stands_for_the_web(web: Web, door: Door) -> None:
    """What came back once gives the same events and the same words without the web."""
    web.json("/search", ROWS)
    web.page("/p", "<title>T</title><p>Some words, and more words.")
    calls = [
        ("web_search", {"query": "q"}),
        ("open_page", {"url": web.url + "/p"}),
        ("find_in_page", {"url": web.url + "/p", "pattern": "words"}),
        ("open_page", {"url": web.url + "/none"}),
    ]
    for name, arguments in calls:
        live = await run((await tools(kit(web, door)))[name], arguments)
        (recorded,) = live.outside.results

        async def replay(*_: Any, recorded: Any = recorded) -> Any:
            return recorded

        again = await run((await tools(kit(web, Door({}))))[name], arguments, outside=replay)
        assert (again.events, again.outcome) == (live.events, live.outcome)


@pytest.mark.parametrize("answer", [None, 3, "x", []])
async def test_a_recording_of_another_form_is_a_failure(answer: Any, web: Web, door: Door) -> None:
    """It is not read as something else."""

    async def replay(*_: Any) -> Any:
        return answer

    ran = await run((await tools(kit(web, door)))["web_search"], {"query": "q"}, outside=replay)
    assert ran.outcome.failed


@given(st.lists(st.tuples(URLS, HOSTILE, HOSTILE, HOSTILE), max_size=4, unique_by=lambda row: row[0]))
def test_only_our_markers_are_markers(rows: list[tuple[str, str, str, str]]) -> None:
    """Whatever stands on the web, each marker in the text is that of a source; and they can all be read back."""
    results = [{"url": url, "title": title, "text": text, "date": date} for url, title, text, date in rows]
    told = [found_pages("q", results, pages=True)]
    for url, title, text, _ in rows:
        told += [read_page(url + text, title, text, length=len(text) + more) for more in (0, 1)]
        told += [found_passages(url, title, text, [text], count=count) for count in (0, 1, 2)]
    for content, sources in told:
        assert set(MARKER.findall(content)) == {source.key for source in sources}
        assert content.count("<|") == content.count("|>")
        assert sources_in(content) == sources


def test_odd_blanks_keep_words_apart() -> None:
    """What shows nothing goes, but never a blank between two words."""
    assert prompts.harmless("a\xa0b\u3000c\u2028d\r\ne\x1b[1mf\u202eg\0") == "a b c d\ne[1mfg"
    assert prompts.line(" a \x1b b\n\xa0c ") == "a b c"


@given(st.lists(st.tuples(URLS, st.text("ab .", max_size=20)), min_size=1, max_size=4, unique_by=lambda row: row[0]))
def test_markers_become_citations(rows: list[tuple[str, str]]) -> None:
    """A model that cites as it is told leaves no marker in the text, and each citation leads to its page."""
    results = [{"url": url, "title": "t", "text": ""} for url, _ in rows]
    _, sources = found_pages("q", results, pages=False)
    citations = Citations({source.key: source.annotation for source in sources})
    said = "".join(f"{text} <|{source.key}|>" for (_, text), source in zip(rows, sources, strict=True))
    pieces = [*citations.feed(said), *citations.flush()]
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == "".join(text for _, text in rows)
    assert [piece["url"] for piece in pieces if isinstance(piece, dict)] == [url for url, _ in rows]


async def test_what_the_model_reads_has_a_limit(web: Web, door: Door) -> None:
    """It ends with how to cite, however little room there is."""
    long = "漢字 " * 5_000
    rows = [{"title": "T", "url": f"https://a.example/{n}", "content": long} for n in range(8)]
    web.json("/search", {"results": rows})
    page = web.page("/p", f"<title>T</title><p>{long}</p>")
    found = await tools(kit(web, door))
    for name, arguments in [("web_search", {"query": "q"}), ("open_page", {"url": page})]:
        ran = await run(found[name], arguments, max_output_bytes=6_000)
        assert len(ran.content.encode()) <= 6_000
        assert "right after the sentence" in ran.content[-300:]
        assert len(ran.outcome.sources) >= 1


@pytest.mark.parametrize("name", sorted(ACTIONS))
async def test_definitions_are_functions(name: str, web: Web, door: Door) -> None:
    """A name, a description and a schema whose every parameter is required text."""
    tool = (await tools(kit(web, door)))[name]
    assert (tool.kind, tool.label, tool.repeatable) == ("web_search", None, True)
    schema = tool.definition["parameters"]
    assert set(schema["properties"]) == set(schema["required"])
    assert all(one["type"] == "string" and one["description"] for one in schema["properties"].values())
    assert len(tool.definition["description"]) > 20


async def test_the_model_knows_what_the_search_is_bound_to(web: Web, door: Door) -> None:
    """The sites that are searched and the place of the user stand in the definition."""
    entry = {
        "type": "web_search_preview",
        "filters": {"allowed_domains": ["a.example"]},
        "user_location": {"city": "Austin", "country": "us", "timezone": "America/Chicago"},
    }
    tool = (await tools(kit(web, door), entry))["web_search"]
    assert tool.kind == "web_search_preview"
    for words in ("a.example", "Austin, US", "America/Chicago"):
        assert words in tool.definition["description"]


def test_a_page_has_one_key_forever() -> None:
    """It depends on the address alone: calls at once, and turns one after the other, agree on it."""
    first = prompts.web_source("https://a.example/", "one")
    assert first.key == prompts.web_source("https://a.example/", "two").key == "web-befde4"
    assert first.key != prompts.web_source("https://a.example/x", "one").key


async def test_what_goes_out_is_all_that_decides(web: Web, door: Door) -> None:
    """The same call with other options is another call; the key and the address of the provider are not in it."""
    web.json("/search", ROWS)
    seen = []
    for entry in ({}, {"search_context_size": "low"}, {"filters": {"allowed_domains": ["a.example"]}}):
        outside = Outside()
        await run((await tools(kit(web, door), entry))["web_search"], {"query": "q"}, outside=outside)
        seen.append(json.dumps(outside.calls))
    assert len(set(seen)) == 3
    assert web.url not in "".join(seen)
