"""The rows of the coverage table: what a client of the Responses API can send, and what it can see of us.

A row is named ``kind:name``; a test claims it with ``@pytest.mark.covers("param:temperature")``. Events are those that
this server emits; a new one gets its row here first.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One promise: its ``kind:name``, and what it is."""

    name: str
    says: str


def _rows(kind: str, table: str) -> tuple[Row, ...]:
    lines = (line.strip() for line in table.strip().splitlines())
    return tuple(
        Row(f"{kind}:{name.strip()}", says.strip()) for name, _, says in (line.partition(" | ") for line in lines)
    )


ENDPOINTS = _rows(
    "endpoint",
    """
    POST /v1/responses | makes a response
    GET /v1/responses/{id} | the response, or its events again
    DELETE /v1/responses/{id} | removes it
    POST /v1/responses/{id}/cancel | only for background responses
    GET /v1/responses/{id}/input_items | pages of what was sent
    POST /v1/responses/input_tokens | counts without sampling
    POST /v1/conversations | makes a conversation, perhaps with items
    GET /v1/conversations/{id} | its metadata
    POST /v1/conversations/{id} | other metadata
    DELETE /v1/conversations/{id} | removes it
    POST /v1/conversations/{id}/items | appends up to 20
    GET /v1/conversations/{id}/items | pages of them
    GET /v1/conversations/{id}/items/{item} | one of them
    DELETE /v1/conversations/{id}/items/{item} | takes it out
    POST /v1/files | keeps a file
    GET /v1/files | pages of them, by purpose
    GET /v1/files/{id} | what is known of it
    GET /v1/files/{id}/content | its bytes, or a range of them
    DELETE /v1/files/{id} | removes it
    POST /v1/uploads | begins a file that comes in parts
    POST /v1/uploads/{id}/parts | adds a part
    POST /v1/uploads/{id}/complete | makes a file of them
    POST /v1/uploads/{id}/cancel | drops them
    POST /v1/vector_stores | makes a store, perhaps with files
    GET /v1/vector_stores | pages of them, both ways
    GET /v1/vector_stores/{id} | its status, counts and size
    POST /v1/vector_stores/{id} | other name, metadata, expiry
    DELETE /v1/vector_stores/{id} | removes it and all that it held
    POST /v1/vector_stores/{id}/search | by meaning and words, with filters
    POST /v1/vector_stores/{id}/files | has a file read into it
    GET /v1/vector_stores/{id}/files | pages of them, by status
    GET /v1/vector_stores/{id}/files/{file} | its status, error and settings
    POST /v1/vector_stores/{id}/files/{file} | other attributes
    DELETE /v1/vector_stores/{id}/files/{file} | takes it out
    GET /v1/vector_stores/{id}/files/{file}/content | its text as it was read
    POST /v1/vector_stores/{id}/file_batches | up to 2000 files, each with settings of its own
    GET /v1/vector_stores/{id}/file_batches/{batch} | what became of them
    POST /v1/vector_stores/{id}/file_batches/{batch}/cancel | reads no more of them
    GET /v1/vector_stores/{id}/file_batches/{batch}/files | pages of them
    POST /v1/chat/completions | passed through
    POST /v1/completions | passed through
    POST /v1/embeddings | passed through
    GET /v1/models | every model of every back end
    GET /v1/models/{id} | one of them, slashes allowed
    GET /health | whether it is up
    GET /openapi.json | the description of all this
    """,
)

PARAMETERS = _rows(
    "param",
    """
    access_programs | accepted and without meaning here
    background | true is refused
    context_management | entries are refused
    conversation | its items come before the input; the turn is appended to it
    frequency_penalty | to the model, echoed
    image | forced compression is refused
    include | log probabilities, sealed reasoning
    input | a string or items
    instructions | first system message, of this response only
    max_output_tokens | to the model; reaching it is `incomplete`
    max_tool_calls | echoed; for tools that run here
    metadata | kept and echoed, never sent on
    model | chooses the back end
    moderation | refused
    multi_agent | refused when enabled
    parallel_tool_calls | to the model beside tools, echoed
    personality | accepted by `input_tokens` only
    presence_penalty | to the model, echoed
    previous_response_id | the chain comes before the input
    prompt | refused
    prompt_cache_key | to the model, echoed
    prompt_cache_options | echoed; prewarming is refused
    prompt_cache_retention | to the model, echoed
    reasoning | effort to the model, summaries, which reasoning comes back
    safety_identifier | to the model, echoed
    service_tier | to the model when sent; what was used is shown
    store | false keeps nothing
    stream | events or one object
    stream_options | padding is never sent
    temperature | to the model, echoed
    text | format and verbosity
    tool_choice | every form
    tools | offered, or echoed and named as unserved
    top_logprobs | to the model, echoed
    top_p | to the model, echoed
    truncation | refuse what is too long, or drop the oldest turns
    user | to the model, echoed
    """,
)

ITEMS = _rows(
    "item",
    """
    string | `input` as plain text
    easy_message | role and content, nothing else
    message | typed parts: text, image, file
    assistant_message | an answer replayed: text and refusal
    function_call | a call of a function
    function_call_output | its result, as text or parts
    custom_tool_call | a call of a freeform tool
    custom_tool_call_output | its result
    reasoning | thoughts, plain or sealed
    file_search_call | receipt of a search
    web_search_call | receipt of a search
    computer_call | actions on a screen
    computer_call_output | the screen after them
    code_interpreter_call | receipt of a run
    image_generation_call | receipt of a picture
    local_shell_call | a command
    local_shell_call_output | what it printed
    shell_call | commands
    shell_call_output | what they printed
    apply_patch_call | a change to a file
    apply_patch_call_output | whether it worked
    mcp_list_tools | tools of an MCP server
    mcp_approval_request | asks a person
    mcp_approval_response | the person's answer
    mcp_call | a call that was made, with its result
    tool_search_call | receipt of a search for tools
    tool_search_output | tools that were found
    additional_tools | tools from here on
    configuration_update | effort and format from here on
    compaction | a sealed summary
    compaction_trigger | refused
    item_reference | stands for a stored item
    program | a script of the model
    program_output | what it gave
    """,
)

EVENTS = _rows(
    "event",
    """
    response.created | the response begins
    response.in_progress | the model was asked
    response.completed | the end, with the whole response
    response.incomplete | the end, before the model was done
    response.failed | the end, with what went wrong
    error | what went wrong, for clients that read only this
    response.output_item.added | an item begins
    response.output_item.done | an item is whole
    response.content_part.added | a part of it begins
    response.content_part.done | a part is whole
    response.output_text.delta | text grows
    response.output_text.done | the text
    response.refusal.delta | a refusal grows
    response.refusal.done | the refusal
    response.reasoning_text.delta | raw reasoning grows
    response.reasoning_text.done | the reasoning
    response.reasoning_summary_part.added | a part of the summary begins
    response.reasoning_summary_part.done | the part is whole
    response.reasoning_summary_text.delta | the summary grows
    response.reasoning_summary_text.done | the summary
    response.function_call_arguments.delta | arguments grow
    response.function_call_arguments.done | the arguments
    response.custom_tool_call_input.delta | freeform input grows
    response.custom_tool_call_input.done | the input
    response.file_search_call.in_progress | the model searches vector stores
    response.file_search_call.searching | they are asked
    response.file_search_call.completed | they have answered
    response.mcp_list_tools.in_progress | an MCP server is asked for its tools
    response.mcp_list_tools.completed | it has told them
    response.mcp_list_tools.failed | it has not
    response.mcp_call.in_progress | an MCP tool is called
    response.mcp_call_arguments.delta | with these arguments
    response.mcp_call_arguments.done | the arguments
    response.mcp_call.completed | it has answered
    response.mcp_call.failed | it has failed
    response.reasoning.delta | Open Responses' name for raw reasoning
    response.reasoning.done | the same, whole
    """,
)

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Endpoints": ENDPOINTS,
    "Request parameters": PARAMETERS,
    "Input items": ITEMS,
    "Events": EVENTS,
}

NAMES = frozenset(row.name for rows in SECTIONS.values() for row in rows)
