"""Whole folders of their recordings, and the lists of models that are spread over several files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from antiphon.tape.llama_stack.envelope import Unreadable, is_recording
from antiphon.tape.llama_stack.frames import dumps
from antiphon.tape.llama_stack.reading import is_model_list, load
from antiphon.tape.model import Exchange, HttpResponse


def convert(paths: Iterable[str | Path]) -> Iterator[Exchange]:
    """The exchanges of files and of everything below folders, in the order of their paths, lists of models last.

    Below a folder what is no recording of theirs is passed over. Raises ``Unreadable``, with the path, for a file that
    was named and is none, and for a damaged one.
    """
    lists: dict[tuple[str, bytes], list[Exchange]] = {}
    for path, named in _files(paths):
        data = path.read_bytes()
        if not is_recording(data):
            if named:
                raise Unreadable(f"{path}: not a recording of Llama Stack")
            continue
        try:
            exchanges = load(data)
        except Unreadable as error:
            raise Unreadable(f"{path}: {error}") from error
        for exchange in exchanges:
            if _has_models(exchange):
                lists.setdefault((exchange.scope, msgspec.json.encode(exchange.request)), []).append(exchange)
            else:
                yield exchange
    for alike in lists.values():
        yield merged(alike)


def merged(exchanges: Sequence[Exchange]) -> Exchange:
    """One list of models for several of the same request and scope: each model once, by name; the last one read wins.

    Their recorder answers with the union, whichever server was asked. Errors among ``exchanges`` are left out, unless
    there is nothing else: then the first is the answer.
    """
    lists = [exchange for exchange in exchanges if _has_models(exchange)]
    if not lists:
        return exchanges[0]
    first = lists[0]
    member, name = ("data", "id") if "data" in _body(first) else ("models", "model")
    models = {model[name]: model for exchange in lists for model in _body(exchange).get(member, ())}
    body = {**_body(first), member: [models[key] for key in sorted(models)]}
    response = msgspec.structs.replace(_answer(first), reads=(dumps(body),))
    return msgspec.structs.replace(first, response=response)


def _has_models(exchange: Exchange) -> bool:
    return (
        is_model_list(exchange.request)
        and isinstance(exchange.response, HttpResponse)
        and not {"data", "models"}.isdisjoint(_body(exchange))
    )


def _answer(exchange: Exchange) -> HttpResponse:
    assert isinstance(exchange.response, HttpResponse)
    return exchange.response


def _body(exchange: Exchange) -> dict[str, list[dict[str, str]]]:
    body = json.loads(_answer(exchange).content)
    return body if isinstance(body, dict) else {}


def _files(paths: Iterable[str | Path]) -> Iterator[tuple[Path, bool]]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from ((file, False) for file in sorted(path.rglob("*.json")) if file.is_file())
        else:
            yield path, True
