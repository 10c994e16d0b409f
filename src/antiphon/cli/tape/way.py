"""How the commands reach an upstream: through the server's own network transport, so that proxies, pools and TLS are
the same, and long bodies from their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.tape.outbound import Outgoing
    from antiphon.tape.proxy.relay import Way


def network_way() -> Way:
    """A new transport, the caller's to close."""
    from antiphon.tape.outbound import OutboundFailed
    from antiphon.tape.proxy.relay import Way
    from antiphon.upstream.door import ExchangeFailed

    return Way(_Network(), (ExchangeFailed, OutboundFailed))


class _Network:
    """The network of the server; what was spooled to a file goes by the Tape's own, which can send files."""

    def __init__(self) -> None:
        from antiphon.tape.outbound import Outbound
        from antiphon.upstream.network import Network

        self._network = Network()
        self._files = Outbound()

    async def send(self, request: Outgoing) -> Any:
        from antiphon.upstream.door import Request

        if not isinstance(request.body, bytes):
            return await self._files.send(request)
        return await self._network.send(Request(request.method, request.url, request.headers, request.body))

    async def aclose(self) -> None:
        await self._network.aclose()
        await self._files.aclose()
