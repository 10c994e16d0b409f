"""Tools: what the model is offered, under which names, and whose call comes back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.responses.toolbox import CallShape, Toolbox, flat_name, freeform_arguments
from antiphon.wire.inputs import read_items

NAMES = st.sampled_from(["a", "a.b", "a_b", "ns__a", "a" * 64, "a" * 65, "a" * 65 + "b", "é", "ü", "x y"]) | st.text(
    min_size=1, max_size=70
)
PLAIN = st.builds(lambda kind, name: {"type": kind, "name": name}, st.sampled_from(["function", "custom"]), NAMES)
GROUPS = st.builds(
    lambda name, tools: {"type": "namespace", "name": name, "tools": tools},
    st.sampled_from(["ns", "mcp__x__", "n" * 70, "é"]),
    st.lists(PLAIN, max_size=4),
)
WEB = {"type": "web_search", "external_web_access": True}
LOOK = {"type": "function", "name": "look", "description": None, "parameters": {"type": "object"}, "strict": None}


def shapes_of(tools: list[dict[str, Any]], namespace: str | None = None) -> list[CallShape]:
    """The shapes that these tools ask for."""
    found = []
    for tool in tools:
        if tool["type"] == "namespace":
            found += shapes_of(tool["tools"], tool["name"])
        else:
            found.append(
                CallShape(
                    "function_call" if tool["type"] == "function" else "custom_tool_call", tool["name"], namespace
                )
            )
    return found


@given(st.lists(PLAIN | GROUPS, max_size=8))
def test_names_go_there_and_back(tools: list[dict[str, Any]]) -> None:
    """Every tool has one name of its own that back ends take, and a call of that name is a call of that tool."""
    toolbox = Toolbox.of(tools)
    names = [tool["function"]["name"] for tool in toolbox.offered]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert len(set(names)) == len(names)
    assert {toolbox.shape_of(name) for name in names} == set(shapes_of(tools))
    assert all(toolbox.shape_of(toolbox.chat_name(shape)) == shape for shape in shapes_of(tools))


@given(st.lists(PLAIN | GROUPS, max_size=8))
def test_names_depend_on_the_tools_alone(tools: list[dict[str, Any]]) -> None:
    """The same tools get the same names every time."""
    assert Toolbox.of(tools).offered == Toolbox.of(json.loads(json.dumps(tools))).offered


@given(NAMES)
def test_a_name_that_fits_is_kept(name: str) -> None:
    """A function whose name back ends take keeps it, whatever other tools are there."""
    if re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        toolbox = Toolbox.of([{"type": "custom", "name": name + "."}, {"type": "function", "name": name}])
        assert toolbox.chat_name(CallShape("function_call", name)) == name
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", flat_name(name, name))


def test_functions_go_without_nulls() -> None:
    """Of a function only what was said goes to the model."""
    strict = {**LOOK, "name": "see", "description": "sees", "strict": False, "defer_loading": True}
    assert Toolbox.of([LOOK, strict]).offered == [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},
        {
            "type": "function",
            "function": {"name": "see", "description": "sees", "parameters": {"type": "object"}, "strict": False},
        },
    ]


def test_a_custom_tool_is_a_function_with_one_string() -> None:
    """A freeform tool is offered with one required string, its grammar told in the description."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    [tool] = Toolbox.of([{"type": "custom", "name": "patch", "description": "Patches.", "format": form}]).offered
    function = tool["function"]
    assert function["parameters"]["required"] == ["input"]
    assert function["parameters"]["properties"]["input"]["type"] == "string"
    assert function["description"].startswith("Patches.")
    assert "lark grammar:\nstart: /a+/" in function["description"]
    assert json.loads(freeform_arguments('say "é"\n')) == {"input": 'say "é"\n'}


def test_namespaces_are_flattened() -> None:
    """A namespace's tools carry it in their names and their calls, and its description comes first."""
    tools = [LOOK, {**LOOK, "name": "see"}]
    toolbox = Toolbox.of([{"type": "namespace", "name": "mcp__eye__", "description": "Eyes.", "tools": tools}])
    assert [tool["function"]["name"] for tool in toolbox.offered] == ["mcp__eye__look", "mcp__eye__see"]
    assert [tool["function"].get("description") for tool in toolbox.offered] == ["Eyes.", None]
    assert toolbox.shape_of("mcp__eye__see") == CallShape("function_call", "see", "mcp__eye__")


def test_a_tool_that_was_not_offered_is_a_function() -> None:
    """A name the model made up becomes a function call of that name."""
    assert Toolbox.of([]).shape_of("made_up") == CallShape("function_call", "made_up")


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "web_search",
            "web_search_preview",
            "web_search_2025_08_26",
            "web_search_preview_2025_03_11",
            "file_search",
            "mcp",
        ),
        *(
            "code_interpreter",
            "image_generation",
            "computer",
            "computer_use_preview",
            "shell",
            "local_shell",
            "apply_patch",
        ),
        *("tool_search", "programmatic_tool_calling", "never_heard_of"),
    ],
)
def test_hosted_tools_are_named_not_offered(kind: str) -> None:
    """Tools that a server would run are not offered, and each type is named once."""
    toolbox = Toolbox.of([{"type": kind}, LOOK, {"type": kind, "x": 1}])
    assert (len(toolbox.offered), toolbox.unserved) == (1, [kind])


def test_items_add_tools() -> None:
    """Tools of additional_tools items and of found tools are offered too; a later definition replaces an earlier."""
    items = read_items(
        [
            {"type": "additional_tools", "role": "developer", "tools": [{**LOOK, "description": "new"}, WEB]},
            {"type": "tool_search_output", "tools": [{**LOOK, "name": "found"}]},
        ]
    )
    toolbox = Toolbox.of([LOOK], items=items)
    assert [tool["function"]["name"] for tool in toolbox.offered] == ["look", "found"]
    assert toolbox.offered[0]["function"]["description"] == "new"
    assert toolbox.unserved == ["web_search"]


FORCED = {"type": "function", "function": {"name": "look"}}
SHAPES: list[tuple[Any, Any]] = [
    (None, None),
    ("auto", "auto"),
    ("none", "none"),
    ("required", "required"),
    ({"type": "function", "name": "look"}, FORCED),
    ({"type": "function", "function": {"name": "look"}}, FORCED),
    ({"type": "function", "name": "see", "namespace": "ns"}, {"type": "function", "function": {"name": "ns__see"}}),
    ({"type": "custom", "name": "free"}, {"type": "function", "function": {"name": "free"}}),
    ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}, "auto"),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}, WEB]}, "required"),
]
TOOLS = [
    LOOK,
    {"type": "custom", "name": "free"},
    {"type": "namespace", "name": "ns", "tools": [{**LOOK, "name": "see"}]},
    WEB,
]


@pytest.mark.parametrize(("choice", "chat"), SHAPES)
def test_every_form_of_tool_choice(choice: Any, chat: Any) -> None:
    """Each form of tool_choice becomes what a chat back end understands."""
    assert Toolbox.of(TOOLS, choice).fields().get("tool_choice") == chat


def test_allowed_tools_are_a_hard_limit() -> None:
    """Only the allowed tools are offered; those nobody runs here are passed over."""
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "custom", "name": "free"}, {"type": "web_search"}],
    }
    toolbox = Toolbox.of(TOOLS, choice)
    assert [tool["function"]["name"] for tool in toolbox.offered] == ["free"]
    whole = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "ns"}]}
    assert [tool["function"]["name"] for tool in Toolbox.of(TOOLS, whole).offered] == ["ns__see"]


@pytest.mark.parametrize(
    ("tools", "choice", "words"),
    [
        (TOOLS, {"type": "web_search"}, "does not run"),
        (TOOLS, {"type": "web_search_preview"}, "does not run"),
        ([{"type": "mcp", "server_label": "s"}], {"type": "mcp", "server_label": "s", "name": "x"}, "does not run"),
        ([{"type": "computer_use_preview"}], {"type": "computer"}, "does not run"),
        ([{"type": "mcp", "server_label": "s"}], {"type": "mcp", "server_label": "other"}, "not found"),
        (TOOLS, {"type": "function", "name": "gone"}, "not found"),
        (TOOLS, {"type": "custom", "name": "look"}, "not found"),
        (TOOLS, {"type": "function", "name": "see", "namespace": "other"}, "not found"),
        (TOOLS, {"type": "file_search"}, "not found"),
        (
            TOOLS,
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "gone"}]},
            "not found",
        ),
        (TOOLS, {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}, "none is offered"),
        ([], "required", "none is offered"),
        ([WEB], "required", "web_search"),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused(tools: list[dict[str, Any]], choice: Any, words: str) -> None:
    """A tool_choice that forces what is not there or not run here is a 400 on tool_choice."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        Toolbox.of(tools, choice)
    assert caught.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "allowed_tools", "mode": "maybe", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": "auto"}, "tool_choice.tools"),
        ({"type": "function"}, "tool_choice.name"),
        ({}, "tool_choice.type"),
    ],
)
def test_a_malformed_choice_names_its_field(choice: Any, param: str) -> None:
    """A tool_choice of no known form is a 400 that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        Toolbox.of(TOOLS, choice)
    assert caught.value.param == param


def test_a_forced_call_is_forced_once() -> None:
    """After the first model call of a response nothing is forced any more, but 'none' stays."""
    assert "tool_choice" not in Toolbox.of(TOOLS, "required").fields(first_round=False)
    assert "tool_choice" not in Toolbox.of(TOOLS, {"type": "function", "name": "look"}).fields(first_round=False)
    assert Toolbox.of(TOOLS, "none").fields(first_round=False)["tool_choice"] == "none"


@pytest.mark.parametrize(("parallel", "sent"), [(None, True), (True, True), (False, False)])
def test_parallel_goes_with_tools_only(parallel: bool | None, sent: bool) -> None:
    """parallel_tool_calls is sent whenever tools are, and never without."""
    assert Toolbox.of([LOOK], None, parallel).fields()["parallel_tool_calls"] is sent
    assert Toolbox.of([WEB], "auto", parallel).fields() == {}
