"""A counter and a chat room on this machine: woken by requests, killed, and there again.

A server hosts the actors in a process that it starts when the first request comes. This program is
the users: Ada and Grace, each with a WebSocket; and whoever pulls the plug.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from examples.running import say, tidestep

ACTORS = "examples.rooms.actors"
PATIENCE_S = 30.0
QUIET_S = 2.0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidestep-rooms-") as directory:
        database, port = str(Path(directory) / "rooms.db"), free_port()
        url = f"http://127.0.0.1:{port}/actors"
        say("A server. Nothing runs for the actors yet: the first request wakes the counter.")
        with serving(database, port, quiet_s=600) as server:
            for _ in range(3):
                count = post(f"{url}/counter/main")
            say("Ada and Grace are in a room, each with a WebSocket.")
            heard = asyncio.run(talk(url))
            say("Somebody pulls the plug: kill -9.")
            server.kill()
            server.wait()
        say("Another server on the same file. What was counted and said is there.")
        with serving(database, port, quiet_s=QUIET_S):
            count = post(f"{url}/counter/main")
            say(f"Grace is back, and nobody says anything: after {QUIET_S:g} s the room closes.")
            shown, code = asyncio.run(listen(url))
    print(json.dumps({"count": count["count"], "heard": heard, "shown": shown, "closed": code}))
    return 0 if (count["count"], shown, code) == (4, heard, 4000) else 1


@contextmanager
def serving(database: str, port: int, *, quiet_s: float) -> Iterator[subprocess.Popen[str]]:
    words = ("serve", "--stateful", ACTORS, "--db", database, "--port", str(port))
    server = tidestep(*words, ROOMS_QUIET_SECONDS=f"{quiet_s:g}")
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def post(address: str) -> Any:
    """Count, as soon as the server is there. The address is on this machine: no proxy is asked."""
    print(f"$ curl -X POST {address}", file=sys.stderr, flush=True)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            request = urllib.request.Request(address, method="POST")
            with opener.open(request, timeout=PATIENCE_S) as response:
                answer = json.load(response)
        except (urllib.error.URLError, ConnectionError) as error:
            refused = not isinstance(error, urllib.error.HTTPError)
            if not refused or time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            print(json.dumps(answer), file=sys.stderr, flush=True)
            return answer


async def talk(url: str) -> list[str]:
    """What both have heard."""
    async with entered(url, "Ada") as ada, entered(url, "Grace") as grace:
        await ada.send("Is anybody there?")
        first = await heard_by(ada, grace)
        await grace.send("I am.")
        return [first, await heard_by(ada, grace)]


async def listen(url: str) -> tuple[list[str], int | None]:
    """What Grace is shown when she comes back, and with which code the room is closed."""
    lines: list[str] = []
    async with entered(url, "Grace") as grace:
        try:
            while True:
                lines.append(str(await asyncio.wait_for(grace.recv(), PATIENCE_S)))
        except ConnectionClosed as closed:
            return lines, None if closed.rcvd is None else closed.rcvd.code


async def heard_by(*users: ClientConnection) -> str:
    """The one line that all of them hear."""
    heard = {str(await asyncio.wait_for(user.recv(), PATIENCE_S)) for user in users}
    (line,) = heard
    print(line, file=sys.stderr, flush=True)
    return line


def entered(url: str, name: str) -> connect:
    address = f"{url.replace('http', 'ws')}/room/lobby?name={name}"
    print(f"$ websocat '{address}'", file=sys.stderr, flush=True)
    return connect(address, open_timeout=PATIENCE_S, proxy=None)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
