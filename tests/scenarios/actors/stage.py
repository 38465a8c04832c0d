"""`tidestep serve` in a process of its own, with stateful actors; and how to reach it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[3]
CAST = "tests.scenarios.actors.cast"
PATIENCE_S = 40.0

T = TypeVar("T")


class Server:
    """A server that runs; `log` is what it and its runners say."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, log: Path) -> None:
        self.process = process
        self.directory = directory
        self._log = log
        found = eventually(lambda: re.search(r"serving (http://\S+)/callbacks", self.log()), self)
        self.url = found[1]
        """Its address, without a slash."""
        eventually(lambda: "; Ctrl-C stops" in self.log(), self)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def actor(self, key: str, path: str = "/") -> str:
        return f"{self.url}/actors/subject/{key}{path}"

    def command(self, *words: str) -> str:
        """What `tidestep` prints, run beside the server."""
        done = subprocess.run(
            [sys.executable, "-m", "infra.local.cli", *words],
            cwd=self.directory,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def serving(directory: Path, *words: str, **settings: str) -> Iterator[Server]:
    """A server for as long as the block runs; `settings` are environment variables of its own."""
    log = directory / f"serve-{len(list(directory.glob('serve-*.log')))}.log"
    command = [sys.executable, "-W", "error", "-m", "infra.local.cli", "serve", "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--stateful", CAST, *words],
            cwd=directory,
            env={**_environment(), **settings},
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(process, directory, log)
    except BaseException:
        print(log.read_text(errors="replace")[-20_000:])
        raise
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
            process.wait()


def eventually(look: Callable[[], T | None], server: Server | None = None) -> T:
    """What `look` finds, as soon as it finds something."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert server is None or server.process.poll() is None, "the server has ended"
        assert time.monotonic() < give_up, "it has not happened in time"
        time.sleep(0.02)
    return found


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDESTEP_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
