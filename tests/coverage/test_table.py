"""The coverage table has no empty cell, no claim to a row that is not there, and its page is fresh."""

from __future__ import annotations

from antiphon.wire import events
from antiphon.wire.inputs import InputItem
from antiphon.wire.parameters import PARAMETERS
from tests.coverage.rows import ITEMS, NAMES
from tests.coverage.table import PAGE, as_markdown, claims, claims_in


def test_every_row_has_a_test() -> None:
    """A promise that no test holds is an empty cell."""
    assert NAMES - {claim.row for claim in claims()} == set()


def test_every_claim_names_a_row() -> None:
    """A marker with a typing error would prove nothing; one outside of a test belongs to nobody."""
    assert [claim for claim in claims() if claim.row not in NAMES or claim.test.endswith("::?")] == []


def test_page_is_fresh() -> None:
    """``docs/coverage.md`` is what ``python -m tests.coverage`` writes."""
    assert PAGE.read_text() == as_markdown(claims())


def test_rows_cover_the_tables_of_the_server() -> None:
    """What the code knows has a row: each parameter, each item type, each kind of growing text."""
    types = {member.__struct_config__.tag for member in InputItem.__args__}
    known = {f"param:{row.name}" for row in PARAMETERS} | {f"item:{kind}" for kind in types}
    kinds = [value for value in vars(events).values() if isinstance(value, events.Kind)]
    assert kinds
    known |= {f"event:{name}" for kind in kinds for name in (kind.delta, kind.done)}
    assert known - NAMES == set()
    assert len(ITEMS) == len(types) + 3, "and three more ways to write a message"


def test_claims_are_read_off_the_source() -> None:
    """Decorators, params of decorators and async tests count; a row that is no literal is seen as wrong."""
    source = """
@pytest.mark.covers("a", "b")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.covers("c"))])
async def test_one(x): ...

@covers(NAME)
def test_two(): ...

pytestmark = pytest.mark.covers("d")
"""
    assert list(claims_in(source)) == [
        ("test_one", "a"),
        ("test_one", "b"),
        ("test_one", "c"),
        ("test_two", ""),
        ("?", "d"),
    ]
