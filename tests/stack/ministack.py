"""A ministack of one's own: a stand-in of AWS as a process on loopback, with permissions enforced.

Its server is started by `tests/stack/ministack_server.py`, in the environment of ministack.
"""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from tests.stack.processes import ended_after
from tests.stack.tools import MINISTACK, environment

SERVER = Path(__file__).with_name("ministack_server.py")
STARTS_WITHIN_S = 60
REGION = "us-east-1"


@dataclass(frozen=True)
class Ministack:
    url: str
    directory: Path
    """Its log (`log.txt`), what it was asked (`requests.jsonl`), the code of its functions."""

    @property
    def environment(self) -> dict[str, str]:
        """What points the AWS clients and the SAM CLI at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(directory: Path, **settings: str) -> Iterator[Ministack]:
    """Start it, empty, and end it. `settings` are environment variables of ministack's."""
    python = environment(*MINISTACK) / "python"
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    unwanted = ("AWS_", "TIDESTEP_", "PYTHON", "LOCALSTACK", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    told = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "TMPDIR": str(directory),
        "MINISTACK_REQUESTS": str(directory / "requests.jsonl"),
    }
    with (directory / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [str(python), "-P", str(SERVER)],
            env={**kept, **told, **settings},
            stdout=log,
            stderr=log,
        )
        with ended_after(process):
            _await_start(process, f"http://127.0.0.1:{port}/_ministack/health", directory)
            yield Ministack(f"http://127.0.0.1:{port}", directory)


def _await_start(process: subprocess.Popen[bytes], address: str, directory: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    said = (directory / "log.txt").read_text()[-3000:]
    raise AssertionError(f"ministack has not started:\n{said}")
