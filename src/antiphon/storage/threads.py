"""A few threads that run blocking calls for the event loop.

An executor does the same for about 25 microseconds more per call, which is as much as a stored response costs; and a
queue that several threads share wakes them in turn, each with cold caches, for 40 more. So the loop chooses: the
thread that was busy last, while it is free.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from antiphon.errors import Unavailable

Result = TypeVar("Result")

_Call = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]
_Inbox = queue.SimpleQueue[_Call | None]


class Threads:
    """Up to ``count`` threads. ``call`` waits for room when ``max_waiting`` calls are on their way."""

    def __init__(self, count: int, name: str, *, max_waiting: int = 1024) -> None:
        self._loop = asyncio.get_running_loop()
        self._count = count
        self._name = name
        self._closed = False
        self._room = asyncio.Semaphore(max_waiting)
        self._waiting: deque[_Call] = deque()
        self._idle: list[_Inbox] = []
        self._started: list[tuple[threading.Thread, _Inbox]] = []

    async def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What ``function(*arguments)`` returns or raises in one of the threads."""
        async with self._room:
            if self._closed:
                raise Unavailable("The store is closed.")
            future: asyncio.Future[Result] = self._loop.create_future()
            inbox = self._free()
            if inbox is None:
                self._waiting.append((future, function, arguments))
            else:
                inbox.put((future, function, arguments))
            return await future

    async def close(self) -> None:
        """End every thread once it has done its calls."""
        self._closed = True
        while self._waiting:
            await asyncio.gather(*(future for future, _, _ in self._waiting), return_exceptions=True)
        for _, inbox in self._started:
            inbox.put(None)
        await self._loop.run_in_executor(None, self._join)

    def _join(self) -> None:
        for thread, _ in self._started:
            thread.join()

    def _free(self) -> _Inbox | None:
        if self._idle:
            return self._idle.pop()
        if len(self._started) == self._count:
            return None
        inbox: _Inbox = queue.SimpleQueue()
        name = f"{self._name}-{len(self._started)}"
        thread = threading.Thread(target=self._run, args=(inbox,), name=name, daemon=True)
        self._started.append((thread, inbox))
        thread.start()
        return inbox

    def _run(self, inbox: _Inbox) -> None:
        while (call := inbox.get()) is not None:
            future, function, arguments = call
            result, failure = None, None
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised again where the call is awaited
                failure = error
            self._loop.call_soon_threadsafe(self._done, inbox, future, result, failure)
            # A reference kept while waiting for the next call would keep a whole response in memory.
            del call, future, function, arguments, result, failure

    def _done(self, inbox: _Inbox, future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
        if self._waiting:
            inbox.put(self._waiting.popleft())
        else:
            self._idle.append(inbox)
        if future.done():
            return
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
