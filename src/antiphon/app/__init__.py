"""Where the concrete parts are chosen and joined: ``application`` makes the ASGI app, ``server`` runs it on uvicorn,
and ``taping`` hangs the tape on the doors.
"""

from __future__ import annotations

from antiphon.app.application import App, CannotStart, create_app
from antiphon.app.server import serve

__all__ = ["App", "CannotStart", "create_app", "serve"]
