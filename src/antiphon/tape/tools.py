"""The tool boundary: calls of tools, recorded as what they are and not as the HTTP beneath."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from antiphon.tape.model import Json, Response, ToolFailure, ToolResponse
from antiphon.tape.steps import Recorder

_inside: ContextVar[bool] = ContextVar("antiphon_tape_inside", default=False)


class ToolError(Exception):
    """A recorded failure of a tool. ``type`` is the name of the exception's class when it was recorded."""

    def __init__(self, failure: ToolFailure) -> None:
        super().__init__(failure.message)
        self.type = failure.type


def inside() -> bool:
    """Whether this is within a tool call that is being recorded: what leaves from there is part of it."""
    return _inside.get()


@contextmanager
def _recorded() -> Iterator[None]:
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


async def perform_recorded(recorder: Recorder, perform: Callable[[], Awaitable[Json]]) -> Json:
    """Calls the tool live, and tells the recorder how that went."""
    try:
        with _recorded():
            result = await perform()
    except Exception as failure:
        recorder.failed(ToolFailure(type(failure).__name__, str(failure), isinstance(failure, TimeoutError)))
        raise
    except BaseException:
        recorder.abandon()
        raise
    recorder.result(result)
    return result


def answer(response: Response) -> Json:
    """What a recorded tool gave back. Raises ``ToolError``, or ``TimeoutError`` for one that took too long."""
    assert isinstance(response, ToolResponse)
    failure = response.error
    if failure is None:
        return response.result
    if failure.timeout:
        raise TimeoutError(failure.message)
    raise ToolError(failure)
