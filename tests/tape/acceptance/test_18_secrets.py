"""Acceptance test 18: forty planted secrets, in no file, and the replay hits all the same."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx2

from antiphon.tape.clients import install
from antiphon.tape.clients.call import Place
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.model import HttpResponse
from antiphon.tape.secrets import Redactor
from tests.cli.tape.support import run, run_json
from tests.shared import shared
from tests.tape.acceptance.planted import ALL, ENVIRON, PLACES, SECRETS, called, question, refusal, said
from tests.tape.clients.far_side import DONE, Answer, FarSide
from tests.tape.proxy.raw import RawUpstream
from tests.tape.proxy.support import proxy, recordings
from tests.upstreams import PATIENCE

_KINDS = range(5)
#: What is left of a secret must be shorter than this.
_PIECE = 8


def clean(folder: Path) -> None:
    """No secret, nor a piece of one, is in any file below the folder, hidden ones included."""
    data = b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    for secret in ALL:
        for at in range(len(secret) - _PIECE + 1):
            piece = secret[at : at + _PIECE]
            # Every JWT begins alike.
            assert piece in "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiAi" or piece.encode() not in data, (secret, piece)


def answers(kind: int) -> list[Answer]:
    """What the far side answers to the calls of one kind: a stream with a secret over two events, and an error."""
    secret, arguments = SECRETS["two chunks"][kind], SECRETS["tool arguments"][kind]
    cookie = {"set-cookie": f"sid={SECRETS['cookie'][kind]}; Path=/", "x-api-key": SECRETS["cookie"][kind]}
    half = len(secret) // 2
    steps = (said(f"it is {secret[:half]}"), said(f"{secret[half:]}, mind"), called(json.dumps({"k": arguments})), DONE)
    stream = Answer(steps, headers={"content-type": "text/event-stream", **cookie})
    return [stream, Answer(status="401 No", headers=cookie, body=refusal(SECRETS["error body"][kind]))]


def ask(client: httpx2.Client, base: str, kind: int) -> list[tuple[int, bool]]:
    """The two calls of a kind: status, and whether there was a body."""
    headers = {"authorization": f"Bearer {SECRETS['header'][kind]}", "openai-beta": f"k={SECRETS['header'][kind]}"}
    found = []
    for path in ("chat/completions", "chat/completions?again=1"):
        url = httpx2.URL(f"{base}/{path}").copy_merge_params(
            {"api_key": SECRETS["query"][kind], "q": SECRETS["query"][kind]}
        )
        reply = client.post(url, json=question(kind), headers=headers)
        found.append((reply.status_code, bool(reply.content)))
    return found


def test_18_forty_secrets_are_in_no_file(far: FarSide, tapes: Path) -> None:
    """Headers, query, body, prompt, set-cookie, two chunks, tool arguments, error body, five kinds in each: nothing of
    them is written by the proxy, each call is found again, and a scan finds nothing.
    """
    assert len(set(ALL)) == 40 == len(PLACES) * len(_KINDS)
    heard = []
    for mode, url in (("record", f"{far.root}/v1"), ("replay", "http://127.0.0.1:9/v1")):
        for kind in _KINDS:
            far.answers(*answers(kind) if mode == "record" else ())
        with proxy(tapes, url, mode, environ=ENVIRON) as running:
            base = f"{running.root}/s/t/openai/v1"
            heard.append([ask(running.http, base, kind) for kind in _KINDS])
            running.files()
    assert heard[0] == heard[1] == [[(200, True), (401, True)]] * 5
    assert far.hits == 10
    sent = b"\n".join(asked.body + str(asked.headers).encode() + asked.path.encode() for asked in far.asked)
    for place in ("header", "query", "body", "prompt", "tool arguments"):
        assert all(secret.encode() in sent for secret in SECRETS[place]), "the upstream must get what was sent"
    assert len(recordings(tapes)) == 10
    clean(tapes)
    assert run(tapes, "scan").output == ""


def test_18_an_answer_is_clean_wherever_it_is_cut(tapes: Path) -> None:
    """Each secret that an answer holds, cut at every byte over two reads of a real connection: in text, in a tool's
    arguments and in an error.
    """
    cuts = [
        (form(secret), before + at)
        for place, form in (("two chunks", said), ("tool arguments", called), ("error body", refusal))
        for secret in SECRETS[place]
        if (before := form(secret).index(secret.encode()))
        for at in range(1, len(secret))
    ]
    assert len(cuts) > 400
    tape = Tape(Settings(str(tapes), mode="record"), environ=ENVIRON)
    installed = install(lambda url: Place(tape, "t"))
    told = iter(cuts)

    def answer(_: object) -> tuple[str, list[bytes], str]:
        data, at = next(told)
        return "text/event-stream", [data[:at], data[at:]], "end"

    try:
        with RawUpstream(answer) as upstream, httpx2.Client(timeout=PATIENCE, trust_env=False, verify=False) as client:
            for n in range(len(cuts)):
                client.post(f"{upstream.url}/chat/completions", json={"model": "m", "n": n, "stream": True})
    finally:
        installed.undo()
        tape.close()
    assert len(recordings(tapes)) == len(cuts)
    assert tape.refused == []
    clean(tapes)


def test_18_a_request_is_found_wherever_it_is_cut(far: FarSide, tapes: Path) -> None:
    """Each secret that a request's body holds, cut at every byte over two reads of the proxy: the same request."""
    for kind in _KINDS:
        far.answers(answers(kind)[0])
    with proxy(tapes, f"{far.root}/v1", "record", environ=ENVIRON) as running:
        for kind in _KINDS:
            running.http.post("/s/t/openai/v1/chat/completions", json=question(kind))
    asked = 0
    with proxy(tapes, "http://127.0.0.1:9/v1", "replay", environ=ENVIRON) as running:
        at = urlsplit(running.root)
        with socket.create_connection((at.hostname or "", at.port or 0), timeout=PATIENCE) as sock:
            reader = sock.makefile("rb")
            for kind in _KINDS:
                body = json.dumps(question(kind)).encode()
                for place in ("body", "prompt", "tool arguments"):
                    secret = SECRETS[place][kind].encode()
                    begin = body.index(secret)
                    for cut in range(begin + 1, begin + len(secret)):
                        asked += 1
                        _send(sock, body[:cut], body[cut:])
                        assert _status(reader) == 200
            reader.close()
        assert running.control("GET", "stats")["hits"] == asked > 400
    clean(tapes)


def _send(sock: socket.socket, *pieces: bytes) -> None:
    head = "POST /s/t/openai/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    sock.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n")


def _status(reader: IO[bytes]) -> int:
    status = int(reader.readline().split()[1])
    chunked, length = False, 0
    while line := reader.readline().strip().lower():
        chunked = chunked or line == b"transfer-encoding: chunked"
        length = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else length
    if chunked:
        while size := int(reader.readline(), 16):
            reader.read(size + 2)
        reader.readline()
    reader.read(length)
    return status


def test_18_a_planted_secret_is_found_and_a_news_url_is_left_alone(far: FarSide, tapes: Path) -> None:
    """A secret that a hand wrote into a file is found with its line; what only looks like one, in the real recordings
    and in a URL of the news, is neither changed nor found.
    """
    news = "https://www.example.com/2025/11/06/sk-hynix-nears-record-high-2025/task-force-says-risk-free"
    far.streams(said(f"See {news} there."), DONE)
    with proxy(tapes, f"{far.root}/v1", "record") as running:
        body = {"model": "m", "messages": [{"role": "user", "content": f"Read {news}"}]}
        running.http.post("/s/t/openai/v1/chat/completions", json=body)
        (file,) = running.files()
    assert file.read_text().count(news) >= 2
    assert run(tapes, "scan").output == ""
    assert run(tapes, "scan", shared("recordings")).output == ""
    file.write_text(file.read_text().replace(news, f"{news} {ALL[0]}", 1))
    found = run_json(tapes, "scan", code=1)
    assert [Path(one["path"]).name for one in found] == [file.name]
    assert ALL[0] not in json.dumps(found)


def test_18_reads_keep_their_number_when_a_secret_goes(tapes: Path) -> None:
    """A secret over two reads is gone from both, and both are still there."""
    secret = SECRETS["two chunks"][0]
    data = said(f"it is {secret}, mind")
    whole = Redactor({}).response(HttpResponse(200, reads=(data,)))
    assert isinstance(whole, HttpResponse)
    begin = data.index(secret.encode())
    for at in range(begin + 1, begin + len(secret)):
        cut = Redactor({}).response(HttpResponse(200, reads=(data[:at], data[at:])))
        assert isinstance(cut, HttpResponse)
        assert (len(cut.reads), cut.content) == (2, whole.content)
