"""What a call costs without us: a client of the ``mcp`` package, in a process of its own.

``python -m bench.tools.bare URL`` prints ``port 0`` once it is connected; each line ``N K`` has it make N times K calls
at once, and is answered by ``done``.
"""

from __future__ import annotations

import asyncio
import sys

from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def _main(url: str) -> None:
    async with Client(streamable_http_client(url)) as client:
        await client.list_tools()
        print("port 0", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            times, at_once = map(int, line.split())
            for _ in range(times):
                results = await asyncio.gather(*(client.call_tool("add", {"n": n}) for n in range(at_once)))
                if [result.content[0].text for result in results] != [str(n) for n in range(at_once)]:  # type: ignore[union-attr]
                    raise RuntimeError("a call gave something else")
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
