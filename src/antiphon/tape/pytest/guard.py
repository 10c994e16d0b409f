"""No connection leaves a test, unless its host is allowed: catches every client that no recorder sees.

The sockets of Python are guarded, and with them whatever is built on them. A library that calls the system by itself
(uvloop's own connections, database drivers in C) is not seen here. Sockets of the file system are no network.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_METHODS = ("connect", "connect_ex", "sendto", "sendmsg")


class NetworkBlocked(RuntimeError):
    """A connection that this test may not make."""


@contextlib.contextmanager
def blocked(allowed: Sequence[str], exempt: Callable[[], bool], why: str) -> Iterator[None]:
    """Connections are refused, save to hosts that match a pattern, by address or by the name that was looked up.

    ``exempt`` is asked in the context of each connection; ``why`` stands in the error.
    """
    guard = _Guard(allowed, exempt, why)
    originals = {name: getattr(socket.socket, name) for name in _METHODS if hasattr(socket.socket, name)}
    inherited = {name for name in originals if name not in socket.socket.__dict__}
    look_up, pair = socket.getaddrinfo, socket.socketpair
    for name, original in originals.items():
        setattr(socket.socket, name, guard.around(name, original))
    socket.getaddrinfo = guard.remembering(look_up)
    socket.socketpair = guard.unguarded(pair)
    try:
        yield
    finally:
        socket.getaddrinfo, socket.socketpair = look_up, pair
        for name, original in originals.items():
            if name in inherited:
                delattr(socket.socket, name)
            else:
                setattr(socket.socket, name, original)


class _Guard:
    def __init__(self, allowed: Sequence[str], exempt: Callable[[], bool], why: str) -> None:
        self._patterns = [re.compile(pattern.strip()) for pattern in allowed if pattern.strip()]
        self._exempt = exempt
        self._why = why
        self._names: dict[str, str] = {}
        self._pairing = threading.local()

    def around(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def method(sock: socket.socket, *args: Any) -> Any:
            address = _address(name, args)
            if sock.family in (socket.AF_INET, socket.AF_INET6) and address is not None:
                try:
                    self._check(str(address[0]))
                except NetworkBlocked:
                    if name.startswith("connect"):
                        sock.close()  # callers clean up after errors of the system only
                    raise
            return original(sock, *args)

        return method

    def remembering(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            found = look_up(host, *args, **options)
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
            if isinstance(name, str):
                for *_, address in found:
                    self._names[str(address[0])] = name
            return found

        return getaddrinfo

    def unguarded(self, pair: Callable[..., Any]) -> Callable[..., Any]:
        """Where the system has no pairs of sockets, Python makes one over loopback; event loops need them."""

        def socketpair(*args: Any, **options: Any) -> Any:
            self._pairing.now = True
            try:
                return pair(*args, **options)
            finally:
                self._pairing.now = False

        return socketpair

    def _check(self, host: str) -> None:
        if self._exempt() or getattr(self._pairing, "now", False):
            return
        name = self._names.get(host)
        known = [host] if name is None else [host, name]
        if any(pattern.match(one) for pattern in self._patterns for one in known):
            return
        shown = host if name in (None, host) else f"{name} ({host})"
        raise NetworkBlocked(f"A connection to {shown} is blocked: {self._why}.")


def _address(method: str, args: Sequence[Any]) -> tuple[Any, ...] | None:
    """Where it is to go: the last argument of ``sendto``, the fourth of ``sendmsg``, the only one of ``connect``."""
    at = 3 if method == "sendmsg" else len(args) - 1
    found = args[at] if 0 <= at < len(args) else None
    return found if isinstance(found, tuple) else None
