"""The process that reads files: spawned from the server, it never sees one itself, but forks a child for each.

So each file meets a fresh process with limits of its own, and the libraries are loaded once. The server speaks to it
over a socket: a job comes with two descriptors, the file and the pipe for the reply; how the child ended goes back.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from typing import NoReturn

from antiphon.files.parsing import confine, reading
from antiphon.files.parsing.model import Failed, Job, Reply, Unparsable, decode_job, encode_reply

#: Bytes of a job at most: a name, a media type and numbers.
MAX_JOB = 16 * 1024
#: What is said when a job has been taken.
TAKEN = b"T"


def main() -> None:
    """Until the socket, which is the standard input, is closed."""
    door = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # noqa: PTH123 - for whatever would read from it
        os.dup2(nothing.fileno(), 0)
    confined = False
    while True:
        data, descriptors, _, _ = socket.recv_fds(door, MAX_JOB, 2)
        if not data:
            return
        job = decode_job(data)
        if not confined:
            confine.confine(job.limits.memory_bytes)
            confined = True
        reading.prepare(job.filename)
        door.sendall(TAKEN)
        door.sendall(b"%d\n" % _in_child(job, door, *descriptors))


def _in_child(job: Job, door: socket.socket, file: int, pipe: int) -> int:
    """Reads in a child. How that ended: 0, or the signal that ended it, or -1."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        door.close()  # what reads the file must not be able to speak for it
        _read(job, file, pipe, parent)
    os.close(file)
    os.close(pipe)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -bool(status)


def _read(job: Job, file: int, pipe: int, parent: int) -> NoReturn:
    """In the child: writes the reply and ends, whatever happens."""
    status = 1
    try:
        confine.begin_file(job.limits.cpu_seconds, parent)
        reply = encode_reply(_reply(job, file))
        while reply:
            reply = reply[os.write(pipe, reply) :]
        status = 0
    except BaseException:  # noqa: BLE001 - nothing may go on in what is a copy of another process
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)


def _reply(job: Job, file: int) -> Reply:
    try:
        return reading.drawn(job, file) if job.dpi else reading.read(job, file)
    except Unparsable as why:
        return Failed(why.code, why.message)
    except MemoryError:
        limit = job.limits.memory_bytes // (1024 * 1024)
        return Failed("invalid_file", f"It takes more than {limit} MiB to read (files.parsing.memory_bytes).")
