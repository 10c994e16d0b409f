"""The statements about files, in SQLAlchemy Core; ``compile`` turns them into text, nothing else runs them."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    false,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import CompoundSelect, Select

from antiphon.storage.files.model import StoredFile, StoredPart, StoredUpload
from antiphon.storage.files.tables import files, upload_parts, uploads
from antiphon.storage.queries import ONE, OWNER, ZERO, Dialect, bind

_FILE = bind("file_id")
_UPLOAD = bind("upload_id")
_NOW = bind("now", BigInteger)
_LIMIT = bind("limit", BigInteger)
_PENDING: ColumnElement[Any] = literal_column("'pending'")
#: An upload may get parts of this many times its size, so that one can be sent again.
_TIMES = literal_column("2", BigInteger)

_FILE_ROW = tuple(files.c[name] for name in StoredFile.__struct_fields__)
_UPLOAD_ROW = tuple(uploads.c[name] for name in StoredUpload.__struct_fields__)
_PART_ROW = tuple(upload_parts.c[name] for name in StoredPart.__struct_fields__)

_THIS_FILE = and_(files.c.owner == OWNER, files.c.id == _FILE)
_THIS_UPLOAD = and_(uploads.c.owner == OWNER, uploads.c.id == _UPLOAD)
_ITS_PARTS = and_(upload_parts.c.owner == OWNER, upload_parts.c.upload_id == _UPLOAD)
_NOT_EXPIRED = or_(files.c.expires_at.is_(None), files.c.expires_at > _NOW)
_SHOWN = and_(files.c.deleted == false(), _NOT_EXPIRED)


def _one(table: Table, **fixed: ColumnElement[Any]) -> Any:
    """An insert of one row, each value under the name of its column."""
    return insert(table).values({**_given(table), **fixed})


def _given(table: Table) -> dict[str, ColumnElement[Any]]:
    return {c.name: bindparam(c.name, type_=c.type, required=True) for c in table.columns}


def _page(order: Literal["asc", "desc"]) -> Select[Any]:
    after = bind("after")
    beyond = files.c.id > after if order == "asc" else files.c.id < after
    purpose = bind("purpose")
    of_purpose = or_(purpose.is_(None), files.c.purpose == purpose)
    wanted = (files.c.owner == OWNER, _SHOWN, or_(after.is_(None), beyond), of_purpose)
    by = files.c.id if order == "asc" else files.c.id.desc()
    return select(*_FILE_ROW).where(*wanted).order_by(by).limit(_LIMIT).offset(ZERO)


def _overdue(table: Table, row: tuple[Any, ...]) -> Select[Any]:
    return select(*row).where(table.c.sweep_at <= _NOW).order_by(table.c.sweep_at).limit(_LIMIT).offset(ZERO)


def _in_use() -> CompoundSelect[Any]:
    sha256 = bind("sha256", LargeBinary)
    return union_all(*(select(ONE).where(t.c.owner == OWNER, t.c.sha256 == sha256) for t in (files, upload_parts)))


def _parts() -> dict[str, Any]:
    """A part is written where the upload took it: ``take_part`` leaves its id, and nothing where it may not come."""
    size = bind("bytes", BigInteger)
    room = uploads.c.received + size <= uploads.c.bytes * _TIMES
    part = bind("part_id")
    given = {**_given(upload_parts), "id": part}
    return {
        "take_part": update(uploads)
        .where(_THIS_UPLOAD, uploads.c.status == _PENDING, uploads.c.expires_at > _NOW, room)
        .values(received=uploads.c.received + size, last_part=part)
        .returning(uploads.c.id),
        "add_part": insert(upload_parts).from_select(
            list(given), select(*given.values()).select_from(uploads).where(_THIS_UPLOAD, uploads.c.last_part == part)
        ),
        "upload_parts": select(*_PART_ROW).where(_ITS_PARTS).order_by(upload_parts.c.id),
        "drop_upload_part": delete(upload_parts).where(_ITS_PARTS, upload_parts.c.id == part),
        "drop_upload_parts": delete(upload_parts).where(_ITS_PARTS),
    }


def _ends() -> dict[str, Any]:
    """How an upload ends. ``add_upload_file`` does nothing where the upload did not become this file."""
    forget = {"sweep_at": bind("forget_at", BigInteger)}
    given = {**_given(files), "id": _FILE, "deleted": false()}
    became = and_(_THIS_UPLOAD, uploads.c.file_id == _FILE)
    return {
        "complete_upload": update(uploads)
        .where(_THIS_UPLOAD, uploads.c.status == _PENDING, uploads.c.expires_at > _NOW)
        .values(status=literal_column("'completed'"), file_id=_FILE, **forget)
        .returning(uploads.c.id),
        "add_upload_file": insert(files).from_select(
            list(given), select(*given.values()).select_from(uploads).where(became)
        ),
        "end_upload": update(uploads)
        .where(_THIS_UPLOAD, uploads.c.status == _PENDING)
        .values(status=bind("status"), **forget)
        .returning(*_UPLOAD_ROW),
    }


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    return {
        "add_file": _one(files, deleted=false()),
        "file": select(*_FILE_ROW).where(_THIS_FILE, _SHOWN),
        "files_asc": _page("asc"),
        "files_desc": _page("desc"),
        "bury_file": update(files)
        .where(_THIS_FILE, or_(files.c.deleted == true(), _NOT_EXPIRED))
        .values(deleted=true(), sweep_at=ZERO)
        .returning(*_FILE_ROW),
        "drop_file": delete(files).where(_THIS_FILE),
        "overdue_files": _overdue(files, _FILE_ROW),
        "content_in_use": _in_use(),
        "add_upload": _one(uploads, received=ZERO, last_part=null()),
        "upload": select(*_UPLOAD_ROW).where(_THIS_UPLOAD),
        "drop_upload": delete(uploads).where(_THIS_UPLOAD),
        "overdue_uploads": _overdue(uploads, _UPLOAD_ROW),
        **_parts(),
        **_ends(),
    }
