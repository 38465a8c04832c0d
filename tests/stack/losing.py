"""Runs in the state in which a crash leaves them: begun, and their messages lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from engine.actors import load_registry
from engine.definition import Definition
from engine.documents import load_definition
from engine.layout import run_key
from engine.memory import MemoryBlobs
from engine.ordered import OrderedJournal
from engine.ports import Commit, Platform, Send
from engine.reading import RunReader
from engine.records import head_record
from engine.snapshot import Owed
from engine.starting import Starter
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy
from tests.stack.deployment import Deployment
from tests.stack.tools import ROOT

WORKFLOWS = ROOT / "tests" / "stack" / "app" / "stackapp" / "workflows"


@dataclass
class Losing:
    """A queue whose messages are lost: they are kept here."""

    bodies: list[str] = field(default_factory=list)

    async def send(self, sends: Sequence[Send], acknowledgement: Any = None) -> None:
        self.bodies += [send.body for send in sends]


def start_and_lose(deployment: Deployment, workflow: str, run: str, value: Any) -> list[str]:
    """The lost messages. What began before is left as it is."""
    registry = load_registry(["tests.stack.app.stackapp.actors"])
    definition = load_definition(WORKFLOWS / f"{workflow}.yaml", registry)
    losing = Losing()
    with _platform(deployment, losing) as platform:
        asyncio.run(_started(platform, definition, value, run))
    return losing.bodies


async def _started(platform: Platform, definition: Definition, value: Any, run: str) -> None:
    await Starter(platform).start(definition, value, run)


def owe(deployment: Deployment, run: str, receiver: str, names: str) -> None:
    """Let a run owe another one a signal of each name, since long ago."""
    with _platform(deployment, Losing()) as platform:
        asyncio.run(_indebted(platform, run, receiver, names))


async def _indebted(platform: Platform, run: str, receiver: str, names: str) -> None:
    head = await RunReader(platform).head(run_key(run))
    debts = tuple(Owed(f"1.{n}", receiver, n, name, b"1") for n, name in enumerate(names))
    after = replace(head, rev=head.rev + 1, owed=debts, owed_look_at=1, wake_at=1)
    await platform.journal.commit(Commit(head_record(run_key(run), after), head.rev))


@contextmanager
def _platform(deployment: Deployment, losing: Losing) -> Iterator[Platform]:
    with patch.dict(os.environ, deployment.worker_environment):
        clients = ThreadedClients()
        store = DynamoStore(clients.client("dynamodb"), deployment.outputs["TableName"])
        yield Platform(
            journal=OrderedJournal(store, losing),  # type: ignore[arg-type]
            blobs=MemoryBlobs(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            secrets=EnvironmentSecrets({}),
        )
        clients.close()
