"""Llama Stack's recordings (OGX today), in and out.

Their recorder keeps one JSON file a call, named by a hash of the request and of the test that made it, and holds what
its SDKs returned rather than what went over the wire. Here such a file becomes an ``Exchange`` in wire form, and an
``Exchange`` a file that their recorder plays. The class names in their files are mapped by tables; nothing that a file
names is ever imported.
"""

from __future__ import annotations

from antiphon.tape.llama_stack.envelope import Unreadable, is_recording
from antiphon.tape.llama_stack.folder import convert, merged
from antiphon.tape.llama_stack.hashing import file_key, their_key
from antiphon.tape.llama_stack.reading import Head, head, load
from antiphon.tape.llama_stack.writing import Unexportable, export

__all__ = [
    "Head",
    "Unexportable",
    "Unreadable",
    "convert",
    "export",
    "file_key",
    "head",
    "is_recording",
    "load",
    "merged",
    "their_key",
]
