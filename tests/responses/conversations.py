"""Conversations for the laws about prompts: any mixture of items that a client may send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ItemDict = dict[str, Any]

PNG = "data:image/png;base64,iVBORw0KGgo="
TEXTS = st.text(max_size=12)
IDS = st.sampled_from(["call_0", "call_1", "fc_x"])
NAMES = st.sampled_from(["look", "look.up", "a" * 80, "ähm", "apply"])


def _part(kind: str) -> st.SearchStrategy[ItemDict]:
    return st.builds(lambda text: {"type": kind, "text": text, "annotations": None}, TEXTS)


IMAGES = st.builds(
    lambda url, detail: {"type": "input_image", "image_url": url, "detail": detail, "file_id": None},
    st.sampled_from([PNG, "https://example.com/cat.png"]),
    st.sampled_from(["auto", "low", "original", None]),
)
FILES = st.sampled_from(
    [
        {"type": "input_file", "filename": "a.txt", "file_data": "aGk="},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_file", "file_data": PNG},
    ]
)
AUDIO = st.just({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})
CONTENT = TEXTS | st.lists(_part("input_text") | IMAGES | FILES | AUDIO, max_size=3)
SAID = TEXTS | st.none() | st.lists(_part("output_text") | st.just({"type": "refusal", "refusal": "no"}), max_size=3)
RESULTS = TEXTS | st.lists(_part("input_text") | IMAGES | FILES, max_size=3)

MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "system", "developer"]), CONTENT
)
ANSWERS = st.builds(lambda content: {"type": "message", "id": "msg_1", "role": "assistant", "content": content}, SAID)
RECEIPTS = st.sampled_from(
    [
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "reasoning", "id": "rs_2", "summary": None, "encrypted_content": "sealed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"], "results": None},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "do it", "arguments": "{}", "output": "done"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"},
        {"type": "configuration_update", "reasoning": {"effort": "high"}},
        {"type": "program", "id": "p_1", "call_id": "x", "code": "1", "fingerprint": "f"},
        {"type": "function_call_output", "name": "later", "output": "at last"},
    ]
)
CALLS = st.one_of(
    st.builds(lambda i, n: {"type": "function_call", "call_id": i, "name": n, "arguments": "{}"}, IDS, NAMES),
    st.builds(
        lambda i, n: {"type": "function_call", "call_id": i, "name": n, "namespace": "ns", "arguments": ""}, IDS, NAMES
    ),
    st.builds(lambda i, n: {"type": "custom_tool_call", "call_id": i, "name": n, "input": 'say "x"'}, IDS, NAMES),
    st.builds(lambda i: {"type": "shell_call", "call_id": i, "action": {"commands": ["ls"], "timeout_ms": None}}, IDS),
    st.builds(
        lambda i: {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": i,
            "action": {"type": "exec", "command": ["ls"]},
        },
        IDS,
    ),
    st.builds(
        lambda i: {"type": "apply_patch_call", "call_id": i, "operation": {"type": "delete_file", "path": "a"}}, IDS
    ),
    st.builds(lambda i: {"type": "computer_call", "call_id": i, "action": {"type": "screenshot"}}, IDS),
)


def result_of(call: ItemDict, output: Any) -> ItemDict:
    """An answer of the kind that goes with this call."""
    kind = call["type"] + "_output"
    answer: ItemDict = {"type": kind, "call_id": call["call_id"], "output": output}
    if kind == "shell_call_output":
        answer["output"] = [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    elif kind in ("local_shell_call_output", "apply_patch_call_output"):
        answer |= {"output": "x", "status": "completed"}
    elif kind == "computer_call_output":
        answer["output"] = {"type": "computer_screenshot", "image_url": PNG}
    return answer


@st.composite
def conversations(draw: st.DrawFn, max_size: int = 10) -> list[ItemDict]:
    """Items in any order, where every call is answered somewhere after it; begins with a user message."""
    items: list[ItemDict] = [{"role": "user", "content": "start"}]
    waiting: list[ItemDict] = []
    for _ in range(draw(st.integers(0, max_size))):
        move = draw(st.sampled_from(["message", "answer", "receipt", "call", "call", "result"]))
        if move == "result" and waiting:
            items.append(result_of(waiting.pop(draw(st.integers(0, len(waiting) - 1))), draw(RESULTS)))
        elif move == "call":
            waiting.append(draw(CALLS))
            items.append(waiting[-1])
        else:
            items.append(draw({"message": MESSAGES, "answer": ANSWERS}.get(move, RECEIPTS)))
    return items + [result_of(call, draw(RESULTS)) for call in waiting]
