"""Responses to store: one plain example, and strategies for anything that may be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from antiphon.ambient import new_id
from antiphon.storage.model import DEFAULT_OWNER, Finished, Segment, Step, StoredItem, StoredResponse

#: A limit that nothing in a test reaches by accident.
PLENTY = 10**9

_numbers = count()


def fresh_owner() -> str:
    """An owner nobody else has, so that one database serves many examples."""
    return f"owner-{next(_numbers)}"


def response(response_id: str | None = None, owner: str = DEFAULT_OWNER, **fields: object) -> StoredResponse:
    """A completed response."""
    values: dict[str, object] = {
        "previous_id": None,
        "conversation_id": None,
        "status": "completed",
        "created_at": 1_700_000_000,
        "dialect": "openai",
        "request": b'{"model":"demo"}',
        "result": b'{"object":"response"}',
        **fields,
    }
    return StoredResponse(id=response_id or new_id("response"), owner=owner, **values)  # type: ignore[arg-type]


def item(position: int, direction: str = "in", data: bytes | None = None, item_id: str | None = None) -> StoredItem:
    """An item whose data says where it stands."""
    content = data if data is not None else b'{"n":%d}' % position
    return StoredItem(item_id or new_id("message"), direction, position, content)  # type: ignore[arg-type]


def finished(
    head: StoredResponse | None = None, items: Sequence[StoredItem] | None = None, **parts: Sequence[object]
) -> Finished:
    """A question, an answer, one model step and one segment, unless told otherwise."""
    held = list(items) if items is not None else [item(0), item(1, "out")]
    steps = [Step(0, "model", 0, 9, min(1, len(held)), len(held), b"{}")]
    segments = [Segment(0, 9, 0, b"\x00\x01segment")]
    return Finished(head or response(), held, **{"steps": steps, "segments": segments, **parts})  # type: ignore[arg-type]


_text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
_small = st.integers(0, 2**31 - 1)
_long = st.builds(
    lambda letter, size: b'{"data":"' + letter * size + b'"}',
    st.sampled_from([b"a", b"b"]),
    _small.map(lambda n: 32_760 + n % 16),
)
_data = st.binary(max_size=40) | _long


@st.composite
def anything(draw: st.DrawFn) -> Finished:
    """Any response the rules allow: positions count up, inputs before outputs, a step ends where there is an item."""
    head = response(
        previous_id=draw(st.none() | _text),
        previous_step=draw(st.none() | _small),
        conversation_id=draw(st.none() | _text),
        status=draw(_text),
        created_at=draw(st.integers(0, 2**53)),
        dialect=draw(_text),
        request=draw(_data),
        result=draw(_data),
    )
    inputs, outputs = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    total = inputs + outputs
    held = [item(n, "in" if n < inputs else "out", draw(_data), draw(_text)) for n in range(total)]
    ends = draw(st.lists(st.integers(0, total), max_size=3).map(sorted))
    steps = [
        Step(n, draw(st.sampled_from(["model", "tool"])), n, n + 5, 0, end, draw(_data), draw(st.none() | _data))
        for n, end in enumerate(ends)
    ]
    segments = [
        Segment(n * 10, n * 10 + 9, draw(st.integers(0, 3)), draw(_data)) for n in range(draw(st.integers(0, 3)))
    ]
    return Finished(head, held, steps, segments)
