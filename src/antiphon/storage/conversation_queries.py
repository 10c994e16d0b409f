"""The statements about conversations, in SQLAlchemy Core; ``compile`` turns them into text, nothing else runs them.

The law that they keep: whoever appends to a conversation holds its claim in the same transaction, and gives it back
with it. So the items of two turns never mix, whatever happens to the processes that made them.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.sql.selectable import Select
from sqlalchemy.types import TypeEngine

from antiphon.storage.queries import ID, ONE, OWNER, ZERO, Dialect, bind, columns, commit, database_now, rows, unnested
from antiphon.storage.schema import blobs, conversation_items, conversations, item_blobs, items

_CONVERSATION = bind("conversation_id")
_ITEM = bind("item_id")
_TOKEN = bind("token")

#: What ends a turn, in the order of ``rows.Packed.turns``.
_TURN: dict[str, TypeEngine[Any]] = {
    "owner": Text(),
    "conversation_id": Text(),
    "token": Text(),
    "count": Integer(),
    "bytes": BigInteger(),
}

_ROW = (
    conversations.c.id,
    conversations.c.owner,
    conversations.c.created_at,
    conversations.c.metadata,
    conversations.c.item_count,
    conversations.c.item_bytes,
)
_THIS = and_(conversations.c.owner == OWNER, conversations.c.id == _CONVERSATION)
_FREE: dict[str, Any] = {"claim": null(), "claimed_until": ZERO}


def _listed(table: FromClause = conversation_items) -> ColumnElement[bool]:
    return and_(table.c.owner == OWNER, table.c.conversation_id == _CONVERSATION)


# -- reading


def _contents(page: FromClause) -> Select[Any]:
    """The items that ``page`` (rows of ``conversation_items``) names, in the form of ``rows.items``."""
    held = and_(items.c.owner == OWNER, items.c.response_id == page.c.response_id)
    uses = and_(item_blobs.c.owner == OWNER, item_blobs.c.response_id == page.c.response_id)
    kept = and_(blobs.c.owner == OWNER, blobs.c.sha256 == item_blobs.c.sha256)
    return select(
        items.c.id, items.c.direction, page.c.position, items.c.data, item_blobs.c.at, blobs.c.data, items.c.seen
    ).select_from(
        page.join(items, and_(held, items.c.position == page.c.item_position))
        .outerjoin(item_blobs, and_(uses, item_blobs.c.position == page.c.item_position))
        .outerjoin(blobs, kept)
    )


def _history() -> Select[Any]:
    """All of them. Rows come in no order: see ``queries._history``; ``rows.conversation`` sorts."""
    return _contents(conversation_items).where(_listed())


def _page(order: Literal["asc", "desc"]) -> Select[Any]:
    c = conversation_items.c
    named = (_listed(), c.item_id == bind("after"))
    # One id may stand twice; the cursor then means the one that lies further on, so that paging always moves.
    mark = select((func.max if order == "asc" else func.min)(c.position)).where(*named).scalar_subquery()
    beyond = c.position > mark if order == "asc" else c.position < mark
    chosen = select(conversation_items).where(_listed(), or_(bind("after").is_(None), beyond))
    chosen = chosen.order_by(c.position if order == "asc" else c.position.desc())
    page = chosen.limit(bind("limit", Integer)).offset(ZERO).subquery("page")
    return _contents(page).order_by(page.c.position if order == "asc" else page.c.position.desc(), item_blobs.c.at)


def _has_item() -> Select[Any]:
    return select(ONE).where(_listed(), conversation_items.c.item_id == _ITEM).limit(ONE).offset(ZERO)


def _item() -> Select[Any]:
    c = conversation_items.c
    found = select(conversation_items).where(_listed(), c.item_id == _ITEM).order_by(c.position.desc())
    page = found.limit(ONE).offset(ZERO).subquery("page")
    return _contents(page).order_by(item_blobs.c.at)


# -- claims


def _claims(dialect: Dialect) -> dict[str, Any]:
    c, now = conversations.c, database_now(dialect)
    until = now + bind("milliseconds", BigInteger)
    free = or_(c.claim.is_(None), c.claimed_until <= now)
    mine = and_(_THIS, c.claim == _TOKEN)
    return {
        "claim": update(conversations)
        .where(_THIS, free)
        .values(claim=_TOKEN, claimed_until=until)
        .returning(c.next_position, c.item_count, c.item_bytes),
        "renew_claim": update(conversations).where(mine).values(claimed_until=until).returning(c.id),
        "give_claim_back": update(conversations).where(mine).values(_FREE),
    }


def _grown(count: ColumnElement[Any], size: ColumnElement[Any]) -> dict[str, Any]:
    c = conversations.c
    return {
        **_FREE,
        "next_position": c.next_position + count,
        "item_count": c.item_count + count,
        "item_bytes": c.item_bytes + size,
    }


def _end_turn() -> Update:
    """One turn; it must find its one row."""
    grown = _grown(bind("count", Integer), bind("bytes", BigInteger))
    return update(conversations).where(_THIS, conversations.c.claim == _TOKEN).values(grown)


def _commit_turns() -> Any:
    """``queries.commit`` with what conversations get, in the same one statement.

    A turn whose claim is lost gives its items no conversation, and that null is refused: nothing is written then.
    """
    turn = unnested("turns", _TURN)
    c = conversations.c
    ended = (
        update(conversations)
        .where(c.owner == turn.c.owner, c.id == turn.c.conversation_id, c.claim == turn.c.token)
        .values(_grown(turn.c["count"], turn.c.bytes))
        .returning(c.owner, c.id)
        .cte("ended_turns")
    )
    made = columns(conversations).returning(c.owner, c.id).cte("new_conversations")
    may = union_all(select(ended.c.owner, ended.c.id), select(made.c.owner, made.c.id)).cte("may_append")
    return commit().add_cte(ended, made, _appended(may).cte("new_conversation_items"))


def _appended(may: FromClause) -> Insert:
    given = unnested("conversation_items", {c.name: c.type for c in conversation_items.columns})
    allowed = and_(may.c.owner == given.c.owner, may.c.id == given.c.conversation_id)
    names = [c.name for c in conversation_items.columns]
    chosen = [may.c.id if name == "conversation_id" else given.c[name] for name in names]
    return insert(conversation_items).from_select(names, select(*chosen).select_from(given.outerjoin(may, allowed)))


# -- what goes


def _adopt() -> dict[str, Any]:
    """Before a response is forgotten: what its conversation still shows becomes the conversation's own."""
    listed = conversation_items.c
    shown = and_(_listed(), listed.response_id == ID)
    moved = {"response_id": listed.conversation_id, "position": listed.position}
    adopted = {"response_id": listed.conversation_id, "item_position": listed.position}
    return {
        "lock_conversation": select(conversations.c.id).where(_THIS).with_for_update(),
        **{
            f"adopt_{table.name}": update(table)
            .where(table.c.owner == OWNER, table.c.response_id == ID, shown, listed.item_position == table.c.position)
            .values(moved)
            for table in (items, item_blobs)
        },
        "adopt_conversation_items": update(conversation_items).where(shown).values(adopted),
    }


def _take_out() -> dict[str, Any]:
    """One item by its id. Content goes where the conversation itself holds it; a response keeps its own."""
    listed = conversation_items.c
    named = (_listed(), listed.item_id == _ITEM)
    count = select(func.count()).select_from(conversation_items).where(*named).scalar_subquery()
    size = select(func.coalesce(func.sum(listed.item_bytes), ZERO)).where(*named).scalar_subquery()
    own = select(listed.item_position).where(*named, listed.response_id == _CONVERSATION)
    other = item_blobs.alias("other")

    def held(table: FromClause) -> ColumnElement[bool]:
        here = and_(table.c.owner == OWNER, table.c.response_id == _CONVERSATION)
        return and_(here, table.c.position.in_(own))

    used = select(item_blobs.c.sha256).where(held(item_blobs))
    elsewhere = exists().where(other.c.owner == OWNER, other.c.sha256 == blobs.c.sha256, ~held(other))
    mine = (blobs.c.owner == OWNER, blobs.c.sha256.in_(used))
    return {
        "uncount_item": update(conversations)
        .where(_THIS, exists().where(*named))
        .values(item_count=conversations.c.item_count - count, item_bytes=conversations.c.item_bytes - size)
        .returning(*_ROW),
        "lock_item_blobs": select(blobs.c.sha256).where(*mine).order_by(blobs.c.sha256).with_for_update(),
        "free_item_blobs": delete(blobs).where(*mine, ~elsewhere),
        "take_out_item_blobs": delete(item_blobs).where(held(item_blobs)),
        "take_out_items": delete(items).where(held(items)),
        "take_out_conversation_items": delete(conversation_items).where(*named),
    }


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    common = {
        "conversation": select(*_ROW).where(_THIS),
        "conversation_history": _history(),
        "conversation_asc": _page("asc"),
        "conversation_desc": _page("desc"),
        "conversation_has_item": _has_item(),
        "conversation_item": _item(),
        "update_conversation": update(conversations)
        .where(_THIS)
        .values(metadata=bindparam("metadata", type_=LargeBinary, required=True))
        .returning(*_ROW),
        # Under the name of a response, because the rest of the deletion calls it so.
        "drop_conversation": delete(conversations)
        .where(conversations.c.owner == OWNER, conversations.c.id == ID)
        .returning(conversations.c.id),
        "drop_conversation_items": delete(conversation_items).where(
            conversation_items.c.owner == OWNER, conversation_items.c.conversation_id == ID
        ),
        **_claims(dialect),
        **_adopt(),
        **_take_out(),
    }
    if dialect == "postgresql":
        return {**common, "commit_turns": _commit_turns()}
    inserts = {f"insert_{table.name}": rows(table) for table in (conversations, conversation_items)}
    return {**common, **inserts, "end_turn": _end_turn()}
