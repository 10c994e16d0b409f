"""The recording proxy: any client, in any language, records and replays by its base URL alone.

``Proxy`` is the whole ASGI application; ``control`` are its control endpoints, to be mounted elsewhere too.
"""

from __future__ import annotations

from antiphon.tape.proxy.app import Proxy
from antiphon.tape.proxy.control import control

__all__ = ["Proxy", "control"]
