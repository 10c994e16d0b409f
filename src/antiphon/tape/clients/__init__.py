"""HTTP clients of this process on the tape: httpx and httpx2, sync and async, and aiohttp.

Each family is caught at the lowest place that still knows requests and not yet sockets, so that an SDK built on it is
caught too, with its retries, raw responses and uploads, and what is recorded is what was on the wire. Bodies pass while
they are recorded, read by read, and are played in the same reads. ``install`` puts this in place and takes it away.
"""

from antiphon.tape.clients.call import Place, passing
from antiphon.tape.clients.seams import Installed, install
from antiphon.tape.clients.source import hang_up

__all__ = ["Installed", "Place", "hang_up", "install", "passing"]
