"""Around every request: an id, a log line, and errors in one form.

Pure ASGI, so that a stream passes through untouched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from antiphon import ambient
from antiphon.errors import APIError, InternalError, MethodNotAllowed, NotFound
from antiphon.http.exchange import ClientGone, send_error
from antiphon.http.logs import access, request_id
from antiphon.http.peer import Receive, Scope, Send
from antiphon.http.sending import Sending

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_defects = logging.getLogger("antiphon.http")


class Frame:
    """The outermost application: everything that is the same for all routes.

    ``exact`` are endpoints of the router by method and path, for paths without parameters: the router would try a
    pattern for every route before it. What is not among them is the router's.
    """

    def __init__(self, app: ASGIApp, exact: Mapping[tuple[str, str], ASGIApp]) -> None:
        self._app = app
        self._exact = exact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own_id = ambient.new_id("request")
        request_id.set(own_id)
        began = time.perf_counter()
        sending = Sending(scope, send, own_id)
        scope["app"] = self  # the router then raises what it would otherwise answer in plain text
        method, path = scope["method"], scope["path"]
        try:
            await self._exact.get((method, path), self._app)(scope, receive, sending)
        except ClientGone:
            pass
        except Exception as failure:
            if sending.status:
                raise  # the reply has begun: the server breaks the connection, which is the truth
            await send_error(sending, _as_api_error(failure, scope))
        finally:
            access.request(method, path, sending.status, time.perf_counter() - began)


def exact(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], ASGIApp]:
    """The endpoints of these routes by method and path, as far as their paths have no parameters."""
    found: dict[tuple[str, str], ASGIApp] = {}
    for route in routes:
        if isinstance(route, Route) and not route.param_convertors:
            for method in route.methods or ():
                found.setdefault((method, route.path), route.app)
    return found


def _as_api_error(failure: Exception, scope: Scope) -> APIError:
    if isinstance(failure, APIError):
        return failure
    if isinstance(failure, HTTPException):
        if failure.status_code == 405:
            allowed = ", ".join(_allowed(scope))
            return MethodNotAllowed(
                f"{scope['method']} is not allowed on {scope['path']}; allowed: {allowed}.", headers={"allow": allowed}
            )
        if failure.status_code == 404:
            return NotFound(
                f"Unknown request URL: {scope['method']} {scope['path']}. Check the path; it begins with /v1."
            )
    _defects.error("%s %s broke", scope["method"], scope["path"], exc_info=failure)
    return InternalError("The server failed while answering this request.")


def _allowed(scope: Scope) -> list[str]:
    """Every method of the path; the router itself names those of its first route only."""
    methods: set[str] = set()
    for route in scope["router"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)
