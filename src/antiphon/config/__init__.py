"""The one tree of settings: what ``antiphon.toml`` may say, with its defaults.

``config.load`` fills it from file, environment and command line; ``config.reference`` turns it, docstrings included,
into ``docs/configuration.md`` and ``antiphon.example.toml``. The structs are frozen: a running server's configuration
is a value.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SchemaMode = Literal["enforced", "validated"]
TapeMode = Literal["live", "record", "replay", "record-if-missing", "verify"]
PromptStyle = Literal["antiphon", "llama-stack", "llama-stack-2026-early", "llama-stack-2025", "llama-stack-2025-early"]
TapeModeOf = Literal["", "live", "record", "replay", "record-if-missing", "verify"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Bytes = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]

#: A value that is never shown.
Secret = Annotated[str | None, msgspec.Meta(extra={"hide": "all"})]
#: Names and values, of which the values are never shown.
Secrets = Annotated[dict[str, str], msgspec.Meta(extra={"hide": "all"})]
#: A URL whose user and password are never shown.
URL = Annotated[str, msgspec.Meta(extra={"hide": "user"})]
#: The same, where it may be absent.
OptionalURL = Annotated[str | None, msgspec.Meta(extra={"hide": "user"})]
#: A URL whose password is never shown.
DatabaseURL = Annotated[str | None, msgspec.Meta(extra={"hide": "password"})]


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen and what one request may cost. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    """Address to listen on. `0.0.0.0` is every IPv4 address of this machine."""
    port: Port = 8321
    """Port to listen on; 0 takes a free one and says which."""
    max_body_bytes: Bytes = 64 * 1024 * 1024
    """A longer request body is refused with 413."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""
    access_log: bool = True
    """One log line for each request."""
    shutdown_seconds: Seconds = 10.0
    """How long running requests may go on after the signal to stop."""
    keepalive_seconds: Seconds = 15.0
    """A comment goes out on a stream after this much silence."""


class StorageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where responses are kept."""

    data_dir: str = "./data"
    """Folder of everything this server writes; made when it is not there."""
    database_url: DatabaseURL = None
    """`postgresql://user:password@host/db`, or `sqlite:///path`. Without it, a SQLite file in `data_dir`. A value
    `env:NAME` is read from that environment variable."""
    journal_retention_seconds: Count = 7 * 24 * 3600
    """How long `?stream=true` can repeat a finished response's events. The response itself stays."""
    keep_exchanges: bool = False
    """Keep with each stored response how the models answered, to the byte and read by read. Its text is then stored
    twice, but never a header of the upstream's that could hold a secret."""


class ResponsesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and habits of a run."""

    max_response_bytes: Bytes = 64 * 1024 * 1024
    """A response whose events grow over this fails."""
    max_history_items: Count = 20_000
    """A chain of more items than this is refused."""
    max_history_bytes: Bytes = 64 * 1024 * 1024
    """A chain whose items are larger than this, together, is refused."""
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    """What becomes of a run whose client hangs up."""
    status_wait_seconds: Seconds = 1.0
    """How long the 200 waits for the upstream's status line, so that a refusal is an HTTP error."""
    reader_lag_bytes: Bytes = 4 * 1024 * 1024
    """A reader further behind a stored run than this is dropped, and may resume."""
    reader_stall_seconds: Seconds = 60.0
    """A reader that takes nothing for this long is dropped, and may resume."""
    dialect: Literal["openai", "open-responses"] = "openai"
    """Wire form where the two disagree, for requests without the header `OpenResponses-Dialect`."""
    schema_retries: Count = 1
    """How often an answer that breaks its JSON schema is asked for again, on upstreams with `schemas = "validated"`."""
    max_rounds: Annotated[int, msgspec.Meta(ge=2)] = 64
    """How often the model is asked in one response with tools of ours. The last time it may call none, and answers with
    what it has; so it does after `max_run_seconds` and `max_run_tokens`."""
    max_run_seconds: Seconds = 0.0
    """After so long no more tools of ours are called. 0: no limit."""
    max_run_tokens: Count = 0
    """After so many tokens, of all rounds together, no more tools of ours are called. 0: no limit."""


class ConversationsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conversations, which several requests share."""

    wait_seconds: Seconds = 10.0
    """How long a turn waits for the one before it, before it is refused with 409 `conversation_locked`."""


class ParsingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How documents become text: in processes of their own, one file each, within these limits. Sizes in bytes, times
    in seconds."""

    workers: Annotated[int, msgspec.Meta(ge=1)] = 2
    """Documents that are read at once."""
    idle_seconds: Seconds = 60.0
    """A process that has read nothing for so long ends."""
    wall_seconds: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    """A document that takes longer is given up."""
    cpu_seconds: Annotated[int, msgspec.Meta(ge=1)] = 120
    """The same, for the time that it keeps a processor busy."""
    memory_bytes: Annotated[int, msgspec.Meta(ge=128 * 1024 * 1024)] = 2 * 1024 * 1024 * 1024
    """Address space that reading a document may take."""
    max_text_bytes: Bytes = 64 * 1024 * 1024
    """A document with more text than this cannot be read."""
    max_unpacked_bytes: Bytes = 1024 * 1024 * 1024
    """A packed document (docx, pptx, xlsx) that unpacks to more than this is not read."""
    max_entries: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """The same, for the number of files packed into it."""


class FilesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files that clients upload. Sizes in bytes."""

    max_file_bytes: Bytes = 512 * 1024 * 1024
    """A longer file is refused with 413."""
    max_upload_bytes: Bytes = 8 * 1024 * 1024 * 1024
    """The same, for a file that comes in parts (`/v1/uploads`)."""
    max_input_bytes: Bytes = 32 * 1024 * 1024
    """A longer file cannot be shown to a model in a request; that of a vector store may be longer."""
    parsing: ParsingConfig = ParsingConfig()


class EmbeddingModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One embedding model by its name, where there is something to be said about it."""

    path: str = ""
    """Folder with `model.onnx` and `tokenizer.json`, to compute it here (`pip install 'antiphon[onnx]'`). Empty: an
    upstream serves it."""
    dimensions: Count = 0
    """Numbers of a vector: asked of the upstream, or the first ones of a model computed here. 0: the model's own."""
    document_prefix: str | None = None
    """What goes before every document. Not set: what the model is known to want."""
    query_prefix: str | None = None
    """The same, before every question."""
    max_tokens: Annotated[int, msgspec.Meta(ge=8)] = 2048
    """What is longer is cut, for a model computed here."""


class JobsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Work that goes on behind the requests, such as reading files into vector stores. It is kept in the database until
    it is done, and any server of that database may do it. Times in seconds."""

    at_once: Annotated[int, msgspec.Meta(ge=1)] = 4
    """Jobs that this server carries out at the same time."""
    lease_seconds: Annotated[float, msgspec.Meta(ge=0.1)] = 30.0
    """A job whose server died is taken up by another, or by the same one started anew, after this long."""
    poll_seconds: Annotated[float, msgspec.Meta(ge=0.05)] = 5.0
    """How often a server looks for jobs that others have left. Its own begin at once."""
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 5
    """A job that failed so often is given up."""
    retry_seconds: Seconds = 2.0
    """Wait before the second attempt; it doubles for each one after that, up to 300."""


class KnowledgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Vector stores: how files are read, cut, embedded and found. Sizes in bytes."""

    embedding_model: str = "all-MiniLM-L6-v2"
    """Model of stores that name none. `all-MiniLM-L6-v2` comes along; any other name is a table below, or a model that
    an upstream serves."""
    embedding_batch: Annotated[int, msgspec.Meta(ge=1, le=2048)] = 64
    """Texts in one request to an upstream."""
    index_bytes: Bytes = 1024 * 1024 * 1024
    """Vectors of stores that are kept in memory, with SQLite: the store used longest ago makes room."""
    models: dict[str, EmbeddingModelConfig] = {}


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One back end that speaks Chat Completions. Its name in the table is the prefix of its models."""

    url: URL
    """Base URL, most often ending in `/v1`."""
    key: Secret = None
    """Sent as a bearer token. A value `env:NAME` is read from that environment variable."""
    models: tuple[str, ...] = ()
    """Ids it serves, beside those its `/models` lists."""
    forward_auth: bool = False
    """Send the client's own `Authorization` header on, in place of `key`."""
    forward_headers: tuple[str, ...] = ()
    """Names of other client headers that are sent on."""
    forward_unknown: bool = False
    """Send request fields that we do not know on to it."""
    context_window: dict[str, int] = {}
    """Tokens each model can read; `"*"` for all."""
    schemas: SchemaMode = "enforced"
    """`validated`: it does not hold itself to a JSON schema, so we check the answer and ask again."""
    think_tags: bool = True
    """Text between `<think>` and `</think>` at the start of an answer is reasoning."""
    send_reasoning: Literal["", "reasoning_content", "reasoning"] = ""
    """Field in which earlier reasoning goes back; empty: it is not sent."""
    image_models: tuple[str, ...] = ()
    """Models that read images: a document without text, such as a scan, is shown to them page by page. `"*"`: all."""
    document_models: tuple[str, ...] = ()
    """Models that read documents (PDF) themselves, and get them as they are; others get their text. `"*"`: all."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """Name under which it takes the limit on output tokens."""
    developer_role: bool = False
    """It knows the role `developer`; otherwise such messages go as `system`."""
    connect_seconds: Seconds = 10.0
    """Longest wait for a connection."""
    read_seconds: Seconds = 600.0
    """Longest silence before we give it up."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """Connections open to it at once."""


class TapeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recording and replay of the calls that leave this server. It is off where `dir` is not set."""

    dir: str | None = None
    """Folder of the recordings."""
    mode: TapeMode = "replay"
    """`replay` answers from recordings alone; `record-if-missing` records what is not there; `record` records anew;
    `verify` calls live and compares with the recordings in shape; `live` does neither."""
    inference: TapeModeOf = ""
    """Mode of calls to models; empty: `mode`."""
    embeddings: TapeModeOf = ""
    """Mode of calls for embeddings; empty: `mode`."""
    tools: TapeModeOf = ""
    """Mode of calls of tools; empty: `mode`."""
    strict: bool = False
    """A request that comes more often than it was recorded is an error, as is a match by a relaxed rule."""
    exhausted: Literal["last", "cycle", "error"] = "last"
    """What such a request gets otherwise: the last recording again, or all of them in turn."""
    timing: Literal["none", "summary", "exact"] = "none"
    """What recordings keep of the pace of a stream."""
    speed: Seconds = 0.0
    """Pace of a replay: 1 as recorded, 10 ten times faster; 0 is at once."""
    volatile: tuple[str, ...] = ()
    """JSON paths of a request, or `re:` and a pattern, whose values need not match."""
    relax: tuple[str, ...] = ()
    """Parts of a request that need not match: `system_prompt`, `tools.description`."""
    allow: tuple[str, ...] = ()
    """What only looks like a secret and may be recorded: exact text, or `re:` and a pattern."""
    budget_tokens: Count = 0
    """Nothing more is recorded after this many tokens; 0 is no limit."""
    faults: str | None = None
    """A file of faults to inject."""
    control_token: Secret = None
    """Who sends `Authorization: Bearer` and this may steer the tape below `/_tape/`. Without it programs on this
    machine may, and where the server listens beyond loopback, nobody. A value `env:NAME` is read from that environment
    variable."""


class WebSearchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tool `web_search` looks. Sizes in bytes."""

    provider: Literal["", "tavily", "brave", "exa", "serper", "searxng"] = ""
    """Who searches. Empty: the first of these of whom there is a key in the environment (`TAVILY_API_KEY`,
    `BRAVE_API_KEY`, `EXA_API_KEY`, `SERPER_API_KEY`) or an address (`SEARXNG_URL`)."""
    key: Secret = None
    """Key of the provider; not set: the environment's. A value `env:NAME` is read from that environment variable."""
    url: URL = ""
    """Base URL in place of the provider's own; SearXNG has none of its own."""
    pages: bool = True
    """The model may open pages, not only search."""
    max_page_bytes: Bytes = 8 * 1024 * 1024
    """A longer page is not read."""


class McpServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One MCP server that requests can name, by `connector_id` or as a `server_label` without `server_url`. It has a
    `url` or a `command`. The egress policy is not for it: it is here because you want it to be reached."""

    url: OptionalURL = None
    """Address of a server that speaks streamable HTTP, or HTTP with SSE."""
    command: str = ""
    """Program of a server that speaks over its standard input and output; started at its first use."""
    args: tuple[str, ...] = ()
    """Arguments of the program. They are no place for secrets: those belong into `env`."""
    env: Secrets = {}
    """Variables of the program, beside `PATH`, `HOME` and their like. A value `env:NAME` is read from that environment
    variable."""
    authorization: Secret = None
    """Token for a server with a `url`, where a request brings none. A value `env:NAME` is read from that environment
    variable."""
    headers: Secrets = {}
    """Further headers for a server with a `url`. A value `env:NAME` is read from that environment variable."""


class McpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """MCP servers, which requests name or bring along. Sizes in bytes, times in seconds."""

    servers: dict[str, McpServerConfig] = {}
    from_requests: bool = True
    """A request may bring a `server_url` of its own; if not, it can only name the servers above."""
    allow_private: bool = False
    """Such a `server_url` may be in a private network or on this machine. A server that listens on loopback only may
    reach those in any case."""
    allow_hosts: tuple[str, ...] = ()
    """Host names that may be in a private network all the same."""
    connect_seconds: Seconds = 20.0
    """Longest wait for a server to be reached, or started, and greeted."""
    idle_seconds: Seconds = 60.0
    """A connection that nobody used for so long is closed, and a program ended."""
    list_seconds: Seconds = 60.0
    """How long a server's list of tools is believed, unless it says before that the list has changed."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 256
    """Servers that are connected at once, counting one for each set of credentials."""
    max_message_bytes: Bytes = 16 * 1024 * 1024
    """A longer message of a server ends the call that it was for."""


class KitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool of your own or of a package. Packages that publish theirs (entry points of the group `antiphon.tools`)
    need not be named here."""

    use: str | None = None
    """Where it is: `package.module:Name`. Not set: what a package publishes under the name of this table."""
    enabled: bool = True
    """`false` leaves out what a package publishes."""
    settings: Secrets = {}
    """What it is made with. A value `env:NAME` is read from that environment variable."""


class ToolsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tools that this server runs itself."""

    call_seconds: Seconds = 60.0
    """A call that takes longer is given up, and the model is told."""
    calls_at_once: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Of one response. What more the model calls at once waits its turn."""
    max_output_bytes: Bytes = 100_000
    """What a model is shown of one call; what is longer is cut, and the model is told."""
    prompts: PromptStyle = "antiphon"
    """Whose definitions of our tools a model is shown, and whose words it gets back: those of Llama Stack, as it is or
    as it was then, fit recordings that were made there."""
    web_search: WebSearchConfig = WebSearchConfig()
    mcp: McpConfig = McpConfig()
    kits: dict[str, KitConfig] = {}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree."""

    server: ServerConfig = ServerConfig()
    storage: StorageConfig = StorageConfig()
    responses: ResponsesConfig = ResponsesConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    files: FilesConfig = FilesConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()
    jobs: JobsConfig = JobsConfig()
    tools: ToolsConfig = ToolsConfig()
    tape: TapeConfig = TapeConfig()
    upstreams: dict[str, UpstreamConfig] = {}
    default_upstream: str | None = None
    """Name of the upstream that gets models no list knows. Not set: the only one, or the first that was found."""
    discover: bool = True
    """Where no upstream is configured: take `OPENAI_BASE_URL` and `OPENAI_API_KEY`, and look for a local Ollama, vLLM,
    LM Studio or llama-server at start."""
