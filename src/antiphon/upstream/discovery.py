"""What back ends there are without being told: the variables of the OpenAI SDKs, then well-known local ports.

Runs after the server listens and never stops the start: whatever goes wrong becomes a sentence for the log. A port
counts only if its ``/v1/models`` answers a list of models; our own address never counts.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from antiphon.config import UpstreamConfig
from antiphon.upstream.door import ExchangeFailed, Request, Transport, host_of, read_all
from antiphon.upstream.listing import models_of

#: Local servers by the port each takes by default, in order of preference.
LOCAL_PORTS: Mapping[str, int] = {"ollama": 11434, "vllm": 8000, "lmstudio": 1234, "llama": 8080}

#: What each is called in a sentence.
TITLES = {"ollama": "Ollama", "vllm": "vLLM", "lmstudio": "LM Studio", "llama": "llama-server", "openai": "OpenAI"}

#: All probes together may take this long. Seconds.
PROBE_SECONDS = 0.15
#: A name that does not resolve in this time is taken to be somebody else's.
RESOLVE_SECONDS = 2.0

OPENAI_URL = "https://api.openai.com/v1"
_MAX_LIST_BYTES = 4 * 1024 * 1024

#: A listening address as a socket names it: (host, port).
Address = tuple[str, int]


class Finding(msgspec.Struct, frozen=True):
    """One place that was looked at and is worth a line in the log. ``config`` is None when it was refused."""

    name: str
    sentence: str
    config: UpstreamConfig | None = None


async def discover(
    env: Mapping[str, str],
    own: Sequence[Address],
    transport: Transport,
    *,
    ports: Mapping[str, int] = LOCAL_PORTS,
    seconds: float = PROBE_SECONDS,
) -> list[Finding]:
    """The back ends found, the preferred one first. ``own`` are the addresses we listen on. Never raises for a peer."""
    found = await _environment(env, own)
    ours = {port for _, port in own}
    probes = [_probe(name, port, transport, seconds) for name, port in ports.items() if port not in ours]
    local = await asyncio.gather(*probes)
    return [*([found] if found is not None else []), *(f for f in local if f is not None)]


async def is_own(url: str, own: Sequence[Address]) -> bool:
    """Whether a URL leads back to one of our listening addresses, whatever name it uses for it."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme.lower())
    except ValueError:
        return False
    hosts = [host for host, ours in own if ours == port]
    if not hosts or not parts.hostname:
        return False
    theirs = await _resolved(parts.hostname)
    return any(_same(host, address) for host in hosts for address in theirs)


async def _environment(env: Mapping[str, str], own: Sequence[Address]) -> Finding | None:
    url = env.get("OPENAI_BASE_URL", "").strip()
    key = env.get("OPENAI_API_KEY", "").strip()
    if not url and not key:
        return None
    why = "OPENAI_BASE_URL is set" if url else "OPENAI_API_KEY is set"
    url = url or OPENAI_URL
    place = host_of(url)
    if urlsplit(url).scheme.lower() not in ("http", "https") or not urlsplit(url).netloc:
        return Finding("openai", "OPENAI_BASE_URL is not an http(s) URL, so it was passed over.")
    if await is_own(url, own):
        return Finding("openai", f"OPENAI_BASE_URL points to this server itself ({place}), so it was passed over.")
    return Finding("openai", f"Took the upstream at {place}, because {why}.", UpstreamConfig(url=url, key=key or None))


async def _probe(name: str, port: int, transport: Transport, seconds: float) -> Finding | None:
    url = f"http://127.0.0.1:{port}/v1"
    request = Request("GET", url + "/models", (("Accept", "application/json"),), b"", seconds, seconds)
    try:
        async with asyncio.timeout(seconds):
            reply = await transport.send(request)
            body = await read_all(reply, _MAX_LIST_BYTES)
            if reply.status != 200:
                return None
            count = _count(msgspec.json.decode(body))
    except (ExchangeFailed, TimeoutError, msgspec.MsgspecError):
        return None  # nobody there, or somebody else: not worth a word
    models = "1 model" if count == 1 else f"{count} models"
    title = TITLES.get(name, name)
    return Finding(name, f"Found {title} on port {port} with {models}.", UpstreamConfig(url=url))


def _count(answer: Any) -> int:
    """How many models the answer lists. Raises ``msgspec.ValidationError`` when it is no list of models."""
    if not isinstance(answer, dict):
        raise msgspec.ValidationError("not an object")
    models = models_of(answer)
    return len(models)


async def _resolved(host: str) -> set[str]:
    try:
        return {str(ipaddress.ip_address(host))}
    except ValueError:
        pass  # a name
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            infos = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return set()
    return {str(info[4][0]).partition("%")[0] for info in infos}


def _same(listening: str, address: str) -> bool:
    """Whether a connection to ``address`` would reach a socket that listens on the host ``listening``."""
    try:
        theirs = ipaddress.ip_address(address)
        ours = ipaddress.ip_address("127.0.0.1" if listening == "localhost" else listening or "0.0.0.0")  # noqa: S104
    except ValueError:
        return False
    mapped = getattr(theirs, "ipv4_mapped", None)
    theirs = mapped if mapped is not None else theirs
    if theirs == ours or theirs.is_unspecified:
        return True
    return ours.is_unspecified and (theirs.is_loopback or _is_local(str(theirs)))


def _is_local(address: str) -> bool:
    """Whether an address belongs to this machine: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
