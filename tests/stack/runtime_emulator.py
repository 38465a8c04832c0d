"""AWS's own emulator of the Lambda runtime, with a built function in it.

The emulator is a program in the SAM CLI's package. It listens on loopback, starts the function's
process at the first call, and starts it anew after it was ended: by a time-out, or by itself.

What must stay true
- A function finds what Lambda gives it and no more: its package, the layers that the template
  gives it, and what AWS's image of the runtime has.
- Nothing is written where the package lies: on Lambda, nothing can be.
- The emulator is never asked for its help: it would begin to serve, and not end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from socket import create_connection, create_server, socket
from typing import Any

import boto3

from infra.aws.table import table_definition
from tests.functions.templates import load_template
from tests.stack.ministack import REGION, Ministack, free_port
from tests.stack.sam import ARCHITECTURE
from tests.stack.tools import RUNTIME, SAM, environment, run

INVOKE = "/2015-03-31/functions/function/invocations"
STARTS_WITHIN_S = 20
TIMEOUT_S = 30


@dataclass(frozen=True)
class Package:
    """A function as it is deployed."""

    name: str
    directory: Path
    handler: str
    layers: tuple[Path, ...]

    @cached_property
    def path(self) -> str:
        """Where its imports are looked for, beside the runtime's own."""
        places = [self.directory, *(layer / "python" for layer in self.layers)]
        return os.pathsep.join(map(str, places))


def packages(stack: Path) -> dict[str, Package]:
    """The functions of a built stack, and of those that it nests, by their names."""
    found: dict[str, Package] = {}
    for template in sorted(stack.rglob("template.yaml")):
        resources = load_template(template)["Resources"]
        for name, each in resources.items():
            if each["Type"] != "AWS::Serverless::Function":
                continue
            given = each["Properties"]
            layers = [
                resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in given["Layers"]
            ]
            found[name] = Package(
                name,
                template.parent / given["CodeUri"],
                given["Handler"],
                tuple(template.parent / layer for layer in layers),
            )
    return found


@dataclass(frozen=True)
class Answer:
    status: int
    value: Any
    """What the function has returned, or what the emulator says instead; JSON where it is."""

    @property
    def timed_out(self) -> bool:
        return isinstance(self.value, str) and "Task timed out after" in self.value

    @property
    def died(self) -> bool:
        """Whether the function's process has ended while it was at work."""
        error = self.value.get("errorType") if isinstance(self.value, dict) else None
        return error in ("Runtime.ExitError", "Runtime.Unknown")


class Emulator:
    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process = process
        self._url = url
        self.log = log

    def call(self, event: Any) -> Answer:
        """What the function answers. The first call starts it."""
        asked = urllib.request.Request(self._url + INVOKE, json.dumps(event).encode())
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return _answer(answer.status, answer.read())
        except urllib.error.HTTPError as refused:
            return _answer(refused.code, refused.read())

    def answer(self, event: Any) -> Any:
        """The same, of a function that must not fail."""
        found = self.call(event)
        failed = isinstance(found.value, dict) and "errorType" in found.value
        worked = found.status == 200 and not failed and not found.timed_out
        assert worked, f"{found}\n{self.said}"
        return found.value

    @property
    def said(self) -> str:
        return self.log.read_text()[-3000:]

    @property
    def runtime(self) -> int:
        """The process id of the function, which has been called."""
        found = _children(self._process.pid)
        assert len(found) == 1, f"the emulator has these processes: {found}"
        return found[0]

    @property
    def cpu_s(self) -> float:
        """Seconds of processor that the function's process has used."""
        fields = Path(f"/proc/{self.runtime}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End the function's process, as if its machine had failed."""
        os.kill(self.runtime, signal.SIGKILL)


@contextmanager
def emulated(
    package: Package,
    settings: Mapping[str, str],
    log: Path,
    *,
    timeout_s: int = TIMEOUT_S,
    also: tuple[Path, ...] = (),
) -> Iterator[Emulator]:
    """The function, not yet started. `also` are directories of modules beside its own."""
    address, runtime = (f"127.0.0.1:{free_port()}" for _ in range(2))
    told = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([package.path, *map(str, also)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": package.name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "LAMBDA_TASK_ROOT": str(package.directory),
        "POWERTOOLS_SERVICE_NAME": "tidestep",
        "POWERTOOLS_METRICS_NAMESPACE": "Tidestep",
    }
    command = [str(emulator_program()), "--runtime-interface-emulator-address", address]
    command += ["--runtime-api-address", runtime, str(runtime_python()), "-m", "awslambdaric"]
    with log.open("w") as said:
        process = subprocess.Popen(
            [*command, package.handler],
            env={**told, **settings},
            cwd=package.directory,
            stdout=said,
            stderr=said,
        )
        try:
            _await_start(process, address, log)
            yield Emulator(process, f"http://{address}", log)
        finally:
            left_behind = _children(process.pid)
            process.kill()
            process.wait()
            for child in left_behind:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def runtime_python() -> Path:
    """What runs functions. Its own packages are compiled, as those of AWS's image are."""
    binaries = environment(*RUNTIME)
    compiled = binaries.parent / ".compiled"
    if not compiled.exists():
        run(str(binaries / "python"), "-m", "compileall", "-q", str(binaries.parent / "lib"))
        compiled.touch()
    return binaries / "python"


def emulator_program() -> Path:
    binaries = environment(*SAM)
    (found,) = binaries.parent.glob(f"lib/*/site-packages/samcli/local/rapid/*-{ARCHITECTURE}")
    return found


def _await_start(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """A request that is no call is refused, and starts nothing."""
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://{address}/", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"the emulator has not started:\n{log.read_text()[-3000:]}")


def _children(process: int) -> list[int]:
    threads = Path(f"/proc/{process}/task").glob("*/children")
    return [int(each) for thread in threads for each in thread.read_text().split()]


def _answer(status: int, body: bytes) -> Answer:
    text = body.decode()
    try:
        return Answer(status, json.loads(text))
    except json.JSONDecodeError:
        return Answer(status, text)


def account(server: Ministack) -> dict[str, str]:
    """A table, a queue and a bucket; the settings of functions that use them."""
    options = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    dynamodb, sqs, s3 = (
        boto3.client(service, endpoint_url=server.url, region_name=REGION, **options)
        for service in ("dynamodb", "sqs", "s3")
    )
    dynamodb.create_table(**table_definition("steps"))
    s3.create_bucket(Bucket="blobs")
    return {
        **server.environment,
        "TIDESTEP_TABLE": "steps",
        "TIDESTEP_QUEUE_URL": sqs.create_queue(QueueName="steps")["QueueUrl"],
        "TIDESTEP_BUCKET": "blobs",
    }


class Gate:
    """A way to a server that can be closed: what comes then waits, and is never passed on."""

    def __init__(self, target: str, address: str = "127.0.0.1") -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._closed = False
        self._waiting = threading.Event()
        self._opened = threading.Event()
        self._server = create_server((address, 0))
        self.url = f"http://{address}:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def closed(self) -> Iterator[threading.Event]:
        """Yields what is set once somebody waits."""
        self._waiting.clear()
        self._opened.clear()
        self._closed = True
        try:
            yield self._waiting
        finally:
            self._closed = False
            self._opened.set()

    def end(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = create_connection(self._target)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket, target: socket) -> None:
        with source, target:
            while True:
                try:
                    part = source.recv(65_536)
                    if self._closed:
                        self._waiting.set()
                        self._opened.wait()
                        return
                    if not part:
                        return
                    target.sendall(part)
                except OSError:
                    return
