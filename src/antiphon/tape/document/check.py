"""Whether a file agrees with itself: what is derived in it, with what it is derived from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from antiphon.tape import canon
from antiphon.tape.codec.pieces import join
from antiphon.tape.document import tokens
from antiphon.tape.document.file import dump, load
from antiphon.tape.document.form import FileForm, Unreadable, read_form
from antiphon.tape.document.say import say
from antiphon.tape.model import HttpResponse

_FILE = msgspec.json.Decoder(FileForm)


def check(data: bytes, side: Callable[[str], bytes]) -> list[str]:
    """What is wrong with a file, a sentence each; nothing when it could have been written as it is."""
    try:
        exchange = load(data, side)
        form = read_form(data, _FILE)
    except Unreadable as error:
        return [str(error)]
    problems: list[str] = []
    response = exchange.response
    said = join(form.response.say or "")
    streamed = form.response.stream is not msgspec.UNSET
    if streamed and said != (heard := say(response)):
        problems.append(f"It claims to say {_shown(said)}, but the stream says {_shown(heard)} - at `$.response.say`.")
    if isinstance(response, HttpResponse) and (counted := tokens.usage(response)) not in (None, exchange.usage):
        problems.append(f"The usage is not what the body counts, {counted} - at `$.response.usage`.")
    if form.canon == canon.VERSION and form.key != canon.key(exchange.request):
        problems.append("The key is not that of the request - at `$.key`.")
    if not problems and form.canon == canon.VERSION and dump(exchange, timing="exact")[0] != data:
        problems.append("It is not laid out as it would be written; a re-recording would change more than the answer.")
    return problems


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
