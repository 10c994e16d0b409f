"""The text of a stream as templates with holes and the values that filled them.

Promise: ``decode(encode(reads)) == reads`` for every list of byte strings that together are UTF-8, in every byte and in
what each read delivered. JSON is never spelled anew: it is cut out of the text as it stood, and a value that our own
spelling would not reproduce is kept as the text it was.

The coded form is JSON, made for people to read (``docs/recording/format.md``)::

    {"events": [template, ...], "values": [column, ...], "order": [...], "reads": [...] | "cuts": [...]}
"""

from __future__ import annotations

from antiphon.tape.codec.decoding import Malformed, decode
from antiphon.tape.codec.encoding import encode

__all__ = ["Malformed", "decode", "encode"]
