"""The functions of a built stack in emulators of their runtime, and the test in place of the rest.

The test is API Gateway, which calls the functions of HTTP, and Lambda's poller, which hands the
messages of the queue to the dispatcher. Tables, queues and buckets are ministack's, behind a gate.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from tests.stack.deployment import ENDED, Deployment
from tests.stack.ministack import REGION, Ministack, serving
from tests.stack.runtime_emulator import Emulator, Gate, Package, account, emulated
from tests.stack.tools import ROOT

EVENTS = ROOT / "functions" / "events"
WHAT_IS_IMPORTED = "what is imported"
"""An event that each function answers with the files of its modules."""
OBSERVER = f"""
import importlib, os, sys

module, _, name = os.environ["OBSERVED"].rpartition(".")
observed = getattr(importlib.import_module(module), name)

def handler(event, context):
    if event == "{WHAT_IS_IMPORTED}":
        files = [getattr(each, "__file__", "") for each in list(sys.modules.values())]
        return [file for file in files if file]
    return observed(event, context)
"""
SLOW = """
import asyncio, os, signal, time
from pathlib import Path
from tidestep import actor

def first(what):
    mark = Path(os.environ["DESK"]) / what
    seen = mark.exists()
    mark.touch()
    return not seen

@actor("slow.block")
async def block(value: str) -> str:
    if first(value):
        time.sleep(60)
    return "done"

@actor("slow.wait")
async def wait(value: str) -> str:
    if first(value):
        await asyncio.sleep(60)
    return "done"

@actor("slow.kill")
def kill(value: str) -> str:
    if first(value):
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
"""
SLOW_WORKFLOWS = ("block", "wait", "kill")


def event(name: str) -> Any:
    """A sample of the repository."""
    return json.loads((EVENTS / f"{name}.json").read_text())


def request(name: str, path: str, body: Any = None) -> Any:
    """The sample of an HTTP request, with another address and body."""
    sample = event(name)
    sample["rawPath"] = sample["requestContext"]["http"]["path"] = path
    return sample if body is None else {**sample, "body": json.dumps(body)}


def body_of(answer: Any) -> Any:
    """The JSON of an HTTP answer."""
    return json.loads(answer["body"])


class _Account(Deployment):
    """Not deployed: what belongs to all functions is there, and told to them."""

    settings: Mapping[str, str]

    @cached_property
    def outputs(self) -> dict[str, str]:
        return {"TableName": self.settings["TIDESTEP_TABLE"]}

    @property
    def worker_environment(self) -> dict[str, str]:
        return dict(self.settings)


class EmulatedStack:
    """Each function is started when it is first called, and ended with the stack."""

    def __init__(
        self, functions: Mapping[str, Package], server: Ministack, gate: Gate, directory: Path
    ) -> None:
        self.functions = functions
        self.gate = gate
        self.ends = ExitStack()
        self._emulators: dict[str, Emulator] = {}
        self._bodies: list[str] = []
        self.directory = directory
        own = account(server)
        self.queue_url = own["TIDESTEP_QUEUE_URL"]
        self.account = _Account(server, "")
        self.account.settings = own
        given = {"SHOP": "Owl & Co.", "TIDESTEP_SECRET_SHOP_CODE": "7", "DESK": str(directory)}
        workflows = ["stackapp/workflows", *(f"{name}.yaml" for name in SLOW_WORKFLOWS)]
        self.settings = {
            **own,
            "AWS_ENDPOINT_URL": gate.url,
            "TIDESTEP_ACTORS": "stackapp.actors,slow",
            "TIDESTEP_WORKFLOWS": ",".join(workflows),
            "TIDESTEP_APP_ENVIRONMENT": json.dumps(given),
            "TIDESTEP_EXPOSE_ENV": "SHOP",
            "TIDESTEP_CALLBACK_URL": "https://api.example.com",
            "TIDESTEP_WEBSOCKET_URL": "wss://def456.execute-api.us-east-1.amazonaws.com/live",
            "TIDESTEP_STATEFUL": "counter",
            "TIDESTEP_RUNNER_TOKEN": "what runners know",
            "TIDESTEP_ALLOCATION_READY_SECONDS": "1",
        }
        self._also = directory / "also"
        self._also.mkdir()
        (self._also / "observer.py").write_text(OBSERVER)
        (self._also / "slow.py").write_text(SLOW)
        for name in SLOW_WORKFLOWS:
            text = f"name: {name}\nnodes:\n  - {{id: {name}, actor: slow.{name}}}\n"
            (self._also / f"{name}.yaml").write_text(text)

    @contextmanager
    def emulated(self, name: str, timeout_s: int = 60) -> Iterator[Emulator]:
        """A function in an emulator of its own."""
        package = self.functions[name]
        observed = replace(package, handler="observer.handler")
        settings = {**self.settings, "OBSERVED": package.handler}
        log = self.directory / f"{name}-{time.time_ns()}.txt"
        with emulated(observed, settings, log, timeout_s=timeout_s, also=(self._also,)) as made:
            yield made

    def emulator(self, name: str) -> Emulator:
        """The one that runs are started, read and stepped in."""
        if name not in self._emulators:
            self._emulators[name] = self.ends.enter_context(self.emulated(name))
        return self._emulators[name]

    def start(self, workflow: str, run: str, value: Any) -> None:
        body = {"id": run, "input": value}
        asked = request("start", f"/workflows/{workflow}/runs", body)
        assert body_of(self.emulator("StartFunction").answer(asked))["created"]

    def view(self, run: str) -> dict[str, Any]:
        answer = self.emulator("StartFunction").answer(request("read", f"/runs/{run}"))
        view: dict[str, Any] = body_of(answer)
        return view

    def message(self, run: str) -> Any:
        """The event that brings the dispatcher the one message of this run."""
        self._receive()
        (body,) = [body for body in self._bodies if json.loads(body)["run"] == run]
        self._bodies.remove(body)
        return delivery(body)

    def step(self) -> None:
        """Hand over all messages that are there, one at a time."""
        self._receive()
        bodies, self._bodies = self._bodies, []
        for body in bodies:
            answer = self.emulator("DispatcherFunction").answer(delivery(body))
            assert answer == {"batchItemFailures": []}

    def _receive(self) -> None:
        options = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        sqs = boto3.client(
            "sqs", endpoint_url=self.account.server.url, region_name=REGION, **options
        )
        received = sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2
        )
        for message in received.get("Messages", []):
            sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
            self._bodies.append(message["Body"])

    def drive(self, run: str, seconds: float = 30) -> dict[str, Any]:
        """Hand all messages to the dispatcher until the run has ended."""
        until = time.monotonic() + seconds
        while (view := self.view(run))["status"] not in ENDED:
            assert time.monotonic() < until, view
            self.step()
        return view

    def letter(self, run: str, node: str) -> str:
        """What an actor has written down."""
        return (self.directory / f"{run}-{node}.txt").read_text()


def delivery(body: str, count: int = 1) -> Any:
    """An event of the dispatcher, with one message that has come for the `count`-th time."""
    sample = event("dispatcher")
    record = sample["Records"][0]
    record["body"] = body
    record["attributes"]["ApproximateReceiveCount"] = str(count)
    return sample


@contextmanager
def emulating(functions: Mapping[str, Package], directory: Path) -> Iterator[EmulatedStack]:
    with serving(directory / "ministack", AUTH="false") as server:
        gate = Gate(server.url)
        stack = EmulatedStack(functions, server, gate, directory)
        try:
            yield stack
        finally:
            stack.ends.close()
            gate.end()


def places(package: Package, files: list[str]) -> dict[str, set[str]]:
    """Layer -> the packages of it among these files, and "" -> all files that are of none."""
    found: dict[str, set[str]] = {"": set()}
    for file in files:
        for layer in package.layers:
            if file.startswith(f"{layer}{os.sep}"):
                name = Path(file).relative_to(layer / "python").parts[0].removesuffix(".py")
                found.setdefault(layer.name, set()).add(name)
                break
        else:
            found[""].add(file)
    return found
