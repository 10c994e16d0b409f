"""What a tape holds: exchanges, each a request as it is matched and a response as it came.

An exchange happens at a boundary, the kind of door through which a call leaves the process. Calls come in two kinds:
HTTP, and tool calls (a provider, a tool, arguments). A ``Call`` is what is about to leave, with its secrets; a
``Request`` is what of it is matched and may be written down: parsed, without hosts, with secrets replaced.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import msgspec

#: Header names and values, in the order they are sent.
Headers: TypeAlias = tuple[tuple[str, str], ...]
Json: TypeAlias = Any

#: The doors out of a process. What is neither embeddings nor a tool is inference.
Boundary = Literal["inference", "embeddings", "tools"]
BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)

#: ``record-if-missing`` replays what is there and records the rest; ``verify`` calls live and compares in shape.
Mode = Literal["live", "record", "replay", "record-if-missing", "verify"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: How a body ended: whole; the reader went away; the peer reset the connection; or otherwise (``HttpResponse.error``).
End = Literal["complete", "closed", "reset", "error"]

#: The scope of calls that declare none.
NO_SCOPE = ""

#: The form of our files.
FORMAT = 1


class BodyFile(msgspec.Struct, frozen=True):
    """A request body too long for memory, spooled to a file that lives as long as the call. ``size`` in bytes."""

    path: str
    size: int
    sha256: str


class HttpCall(msgspec.Struct, frozen=True):
    """An HTTP request about to leave. ``provider`` is the name its configuration gives the other side, or empty."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes | BodyFile = b""
    boundary: Boundary = "inference"
    provider: str = ""


class ToolCall(msgspec.Struct, frozen=True):
    """A tool about to be called; ``arguments`` is JSON."""

    provider: str
    tool: str
    arguments: Json = None
    boundary: Boundary = "tools"


Call: TypeAlias = HttpCall | ToolCall


class JsonBody(msgspec.Struct, frozen=True, tag_field="kind", tag="json"):
    """A body that is JSON, as its value."""

    value: Json


class TextBody(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """A body that is text and not JSON. ``type`` is its media type, or empty."""

    text: str
    type: str = ""


class BinaryBody(msgspec.Struct, frozen=True, tag_field="kind", tag="binary"):
    """A body that is neither, or too long to keep: known by its hash. ``size`` in bytes."""

    sha256: str
    size: int
    type: str = ""


class Part(msgspec.Struct, frozen=True):
    """One part of a multipart form. ``body`` is never JSON: parts are compared byte by byte."""

    name: str
    body: TextBody | BinaryBody
    filename: str | None = None


class FormBody(msgspec.Struct, frozen=True, tag_field="kind", tag="form"):
    """A ``multipart/form-data`` body without its boundary. A field of a urlencoded form is a part too."""

    parts: tuple[Part, ...]


Body: TypeAlias = JsonBody | TextBody | BinaryBody | FormBody


class HttpRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="http"):
    """An HTTP request as it is matched.

    ``path`` is the path of the URL as it was asked; ``query`` its pairs in order; ``headers`` only those that can
    change an answer, lowercase.
    """

    method: str
    path: str
    query: Headers = ()
    headers: Headers = ()
    body: Body | None = None


class ToolRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="tool"):
    """A tool call as it is matched."""

    provider: str
    tool: str
    arguments: Json = None


Request: TypeAlias = HttpRequest | ToolRequest


class HttpResponse(msgspec.Struct, frozen=True, tag_field="kind", tag="http"):
    """What came back, read by read.

    ``gaps`` are the milliseconds before each read, counted from the request for the first; None when not kept.
    ``summary`` is the short form of them: (to the first read, median of the others, whole). ``error`` says in words
    how an ``error`` ended. ``headers`` in the case they came, only those that a client acts on.
    """

    status: int
    headers: Headers = ()
    reads: tuple[bytes, ...] = ()
    end: End = "complete"
    error: str = ""
    gaps: tuple[int, ...] | None = None
    summary: tuple[int, int, int] | None = None

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(self.reads)


class ToolFailure(msgspec.Struct, frozen=True):
    """How a tool call failed. ``type`` is the exception's class name, to be mapped and never imported."""

    type: str
    message: str
    timeout: bool = False


class ToolResponse(msgspec.Struct, frozen=True, tag_field="kind", tag="tool"):
    """What a tool gave back: a JSON ``result``, or an ``error``."""

    result: Json = None
    error: ToolFailure | None = None


Response: TypeAlias = HttpResponse | ToolResponse


class Usage(msgspec.Struct, frozen=True):
    """Tokens that the other side counted for one exchange."""

    input: int = 0
    output: int = 0


class Exchange(msgspec.Struct, frozen=True):
    """One recorded call. ``scope`` is the test or session it was recorded in; ``NO_SCOPE`` is shared by all.

    ``variant`` counts the exchanges of one scope and key, from 1: they are played in that order.
    """

    request: Request
    response: Response
    boundary: Boundary = "inference"
    provider: str = ""
    scope: str = NO_SCOPE
    variant: int = 1
    usage: Usage | None = None
