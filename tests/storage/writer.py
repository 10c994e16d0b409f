"""A process that commits responses and prints the id of each one whose commit was acknowledged.

``python -m tests.storage.writer URL PREFIX COUNT``; what is stored under an id follows from the id, so that another
process can tell whether it is whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys

from antiphon.config import StorageConfig
from antiphon.storage import Store, open_store
from antiphon.storage.model import Finished
from tests.storage.values import finished, item, response

WORKERS = 16


def made(response_id: str) -> Finished:
    """The response of this id: several items, one of them long."""
    seed = hashlib.sha256(response_id.encode()).hexdigest().encode()
    data = [b'"%s"' % seed, b'"%s"' % (seed * 600), b'{"answer":"%s"}' % seed]
    items = [item(n, "in" if n < 2 else "out", content, f"{response_id}.{n}") for n, content in enumerate(data)]
    return finished(response(response_id, result=seed * 40), items)


async def _work(store: Store, prefix: str, worker: int, count: int) -> None:
    for n in range(count):
        response_id = f"{prefix}_{worker}_{n}"
        await store.commit(made(response_id))
        os.write(1, f"{response_id}\n".encode())


async def _main(url: str, prefix: str, count: int) -> None:
    store = await open_store(StorageConfig(database_url=url))
    await asyncio.gather(*(_work(store, prefix, worker, count) for worker in range(WORKERS)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
