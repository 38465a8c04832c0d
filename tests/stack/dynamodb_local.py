"""A DynamoDB Local of one's own: Amazon's program, a build of January 2020, in memory.

It keeps a table apart for each access key, so that another key is another account. It has no option
to listen on loopback alone: while it runs, whoever reaches this machine reaches it on every
interface, and finds nothing in it but these tests' items.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

from tests.stack.ministack import free_port
from tests.stack.processes import ended_after
from tests.stack.tools import dynamodb_local, java

STARTS_WITHIN_S = 60


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Start it, empty, give its address, and end it. `directory` gets its log, `log.txt`."""
    place = dynamodb_local()
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    command = [java(), "-Xmx512m", f"-Djava.library.path={place / 'DynamoDBLocal_lib'}"]
    command += ["-jar", str(place / "DynamoDBLocal.jar"), "-inMemory", "-port", str(port)]
    with (directory / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
        with ended_after(process):
            _await_start(process, port, directory)
            yield f"http://127.0.0.1:{port}"


def _await_start(process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with create_connection(("127.0.0.1", port), timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    said = (directory / "log.txt").read_text()[-3000:]
    raise AssertionError(f"DynamoDB Local has not started:\n{said}")
