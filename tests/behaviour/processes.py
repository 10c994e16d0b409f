"""``antiphon serve`` as a process of its own: its signals, its exit code, and every line it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx2

from tests.upstreams import PATIENCE


class Process:
    """A started server. ``root`` is its address once it listens, ``lines`` what it has said on stderr."""

    def __init__(self, arguments: list[str], environ: dict[str, str], folder: Path) -> None:
        self.root = ""
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "antiphon", "serve", *arguments],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All of stderr so far."""
        return "\n".join(self.lines)

    def answering(self) -> Process:
        """Waits until it answers."""
        with self._news:
            self._news.wait_for(lambda: self.root or not self._reader.is_alive(), PATIENCE)
        assert self.root, self.said
        with httpx2.Client(trust_env=False, timeout=PATIENCE) as client:
            assert client.get(f"{self.root}/health").status_code == 200
        return self

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def ended(self) -> int:
        """Waits for its end; the exit code, negative for a signal."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self.ended()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                if found := re.search(r"Listening on (http://\S+)/v1", line):
                    self.root = found[1]
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


class Processes:
    """Starts processes with a data directory of their own and a bare environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Process] = []

    def __call__(self, *arguments: str, data_dir: str = "data", port: int = 0, **environ: str) -> Process:
        """``antiphon serve`` with these arguments and variables."""
        folder = str(self._folder / data_dir)
        given = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", folder, *arguments]
        process = Process(given, {**self.bare(), **environ}, self._folder)
        self._running.append(process)
        return process

    @staticmethod
    def bare() -> dict[str, str]:
        """An environment in which nothing is configured or found."""
        paths = [str(Path(__file__).resolve().parents[2] / "src"), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(paths).rstrip(os.pathsep)
        return {"PATH": os.environ["PATH"], "PYTHONPATH": path, "LANG": "C.UTF-8", "ANTIPHON_DISCOVER": "false"}

    def stop(self) -> None:
        """Kill what is left."""
        for process in self._running:
            process.kill()
