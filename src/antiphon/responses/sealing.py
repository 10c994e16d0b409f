"""``encrypted_content``: reasoning that a client keeps for us and cannot read.

AES-SIV, deterministic on purpose: the same text gives the same blob, so a replayed run has the same bytes. The owner
and the version are authenticated with it; the model is not, because people switch models in mid-conversation.

A sealed text reads ``ant1.<key id>.<base64url>``. The first key seals, every key opens.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.storage.model import Owner

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_VERSION = "ant1"
_KEY_BYTES = 64


class BadKey(Exception):
    """A key of ``ANTIPHON_KEYS`` or of the key file cannot be used."""


class Sealer:
    """Seals and opens with these keys, 64 bytes each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise BadKey("there is no key to seal with")
        self._keys = {_key_id(key): key for key in keys}
        self._first = _key_id(keys[0])
        self._ciphers: dict[str, AESSIV] = {}

    def seal(self, owner: Owner, text: str) -> str:
        """The text as only we can read it."""
        sealed = self._cipher(self._first).encrypt(text.encode(), [_associated(owner)])
        return f"{_VERSION}.{self._first}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, owner: Owner, sealed: str) -> str | None:
        """The text again; None when it is not ours, not this owner's, damaged, or its key is gone."""
        from cryptography.exceptions import InvalidTag

        version, _, rest = sealed.partition(".")
        key_id, _, data = rest.partition(".")
        if version != _VERSION or key_id not in self._keys:
            return None
        try:
            blob = base64.urlsafe_b64decode(data.encode())
            return self._cipher(key_id).decrypt(blob, [_associated(owner)]).decode()
        except (InvalidTag, binascii.Error, UnicodeError, ValueError):
            return None

    def _cipher(self, key_id: str) -> AESSIV:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESSIV

            cipher = self._ciphers[key_id] = AESSIV(self._keys[key_id])
        return cipher


def load_keys(configured: str | None, key_file: Path) -> list[bytes]:
    """The keys of ``ANTIPHON_KEYS`` (any texts, separated by commas; each is stretched to a key), else of the file.

    The file is made, readable by its owner only, when it is not there.
    """
    if configured:
        return [hashlib.sha512(part.strip().encode()).digest() for part in configured.split(",") if part.strip()]
    if not key_file.exists():
        _make_key(key_file)
    try:
        keys = [base64.b64decode(line, validate=True) for line in key_file.read_bytes().split()]
    except binascii.Error as damage:
        raise BadKey(f"the key file {key_file.name} is damaged: {damage}") from damage
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise BadKey(f"the key file {key_file.name} does not hold keys of {_KEY_BYTES} bytes")
    return keys


def _make_key(key_file: Path) -> None:
    """Whole or not at all, and never over another process's: linking a finished file fails when there is one."""
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the database may live elsewhere
    draft = key_file.with_name(f"{key_file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, key_file)
    finally:
        draft.unlink()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"antiphon key id\0" + key).hexdigest()[:8]


def _associated(owner: Owner) -> bytes:
    return f"{_VERSION}\0{owner}".encode()
