"""Two articles, on this machine and over HTTP: Grace says yes to one, and no to the other.

A server works on a database file; the letters that it writes hold the addresses at which it waits
for the answers. This program is the manager: it reads them, and posts.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from examples.approval.desk import VARIABLE
from examples.running import HERE, TIDESTEP, say, tidestep

T = TypeVar("T")

WORKFLOW = str(HERE / "approval" / "approval.yaml")
ACTORS = "examples.approval.actors"
PATIENCE_S = 30.0
ANSWERS: dict[str, dict[str, Any]] = {
    "owls": {"approved": True},
    "newts": {"approved": False, "comment": "not enough newts"},
}


class NothingCame(Exception):
    """What was to happen has not happened in time."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidestep-approval-") as name:
        directory = Path(name)
        database = str(directory / "approval.db")
        say("A server: it works on the runs, and listens for the manager's answers.")
        with serving(database, directory):
            for run, answer in ANSWERS.items():
                say(f"An article on {run}: its run waits until somebody answers the letter.")
                article = {"title": run.title(), "author": "Ada", "manager": "Grace"}
                start(run, article, database)
                letter = eventually(partial(letter_of, directory, run))
                say(f"The letter to {letter['to']} says: POST to {letter['answer_at']}")
                print(f"$ curl -d '{json.dumps(answer)}' ADDRESS", file=sys.stderr, flush=True)
                print(post(letter["answer_at"], answer), file=sys.stderr, flush=True)
                ended = eventually(partial(ended_run, run, database))
                print(json.dumps({run: ended["output"]}), flush=True)
                if ended["status"] != "completed":
                    return 1
    return 0


@contextmanager
def serving(database: str, desk: Path) -> Iterator[None]:
    words = ("serve", "--actors", ACTORS, "--db", database, "--port", "0")
    server = tidestep(*words, **{VARIABLE: str(desk)})
    try:
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def start(run: str, article: dict[str, str], database: str) -> None:
    common = ["--actors", ACTORS, "--db", database, "--id", run]
    tidestep("start", WORKFLOW, *common, "--input", json.dumps(article)).wait()


def letter_of(desk: Path, run: str) -> dict[str, str] | None:
    for file in desk.glob(f"letter-{run}.*.json"):
        if text := file.read_text():
            found: dict[str, str] = json.loads(text)
            return found
    return None


def post(address: str, answer: dict[str, Any]) -> str:
    """What the server says to it. The address is on this machine: no proxy is asked."""
    request = urllib.request.Request(address, json.dumps(answer).encode(), method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_S) as response:
        text: str = response.read().decode()
        return text


def ended_run(run: str, database: str) -> dict[str, Any] | None:
    command = [*TIDESTEP, "show", run, "--db", database, "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found if found["status"] in ("completed", "failed", "cancelled") else None


def eventually(look: Callable[[], T | None]) -> T:
    """What `look` finds in the end. Raises NothingCame."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise NothingCame(f"nothing has come in {PATIENCE_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
