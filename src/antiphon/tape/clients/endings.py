"""How a body broke, in the words of one client library, and told again in the words of any.

The kind is kept in the recording (``reset``: the peer went away; ``error``: otherwise), with the class name of the
exception, so that the library that recorded it raises the very same, and another its own nearest.
"""

from __future__ import annotations

from antiphon.tape.model import End

_TIMEOUTS = ("ReadTimeout", "SocketTimeoutError", "ServerTimeoutError", "TimeoutError")
_RESETS = (
    "ReadError",
    "RemoteProtocolError",
    "ClientPayloadError",
    "ClientOSError",
    "ClientConnectionResetError",
    "ServerDisconnectedError",
    "ConnectionResetError",
    "IncompleteRead",
)


def of_exception(failure: Exception) -> tuple[End, str]:
    """The kind of end, and its words: ``Class: message``."""
    name = type(failure).__name__
    words = f"{name}: {failure}".rstrip(": ")
    return ("reset" if name in _RESETS or isinstance(failure, ConnectionError) else "error"), words


def words_of(error: str) -> tuple[str, str]:
    """The class name and the message of such words; the name is empty when they do not begin with one."""
    name, colon, message = error.partition(": ")
    if name.isidentifier() and name[:1].isupper():
        return name, message if colon else "the connection broke"
    return "", error or "the connection broke"


def is_timeout(name: str) -> bool:
    """Whether an exception of this name says that nothing came in time."""
    return name in _TIMEOUTS
