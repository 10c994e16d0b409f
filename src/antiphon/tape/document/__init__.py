"""An exchange and the bytes of its file: one readable JSON document, and beside it what is not text.

Promises: ``load(*dump(exchange))`` gives the exchange back with every byte of its response and what each read brought,
and ``dump`` of what was loaded gives the same file. Nothing in a file tells of the run that wrote it. The form of the
file is described in ``docs/recording/format.md``.

    dump(exchange, timing=) -> (bytes of the file, side files by suffix)
    load(data, side) -> Exchange          head(data) -> Head, without the response
    say(response), usage(response)        what a reviewer and the till want to know of an answer
    check(data, side) -> what in a file contradicts itself, one sentence each
"""

from __future__ import annotations

from antiphon.tape.document.answer import Timing
from antiphon.tape.document.check import check
from antiphon.tape.document.file import Head, dump, head, load
from antiphon.tape.document.form import Unreadable
from antiphon.tape.document.say import say
from antiphon.tape.document.tokens import usage

__all__ = ["Head", "Timing", "Unreadable", "check", "dump", "head", "load", "say", "usage"]
