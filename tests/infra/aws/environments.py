"""What a round of many threads runs on: an account on moto, and execution environments on it.

What must stay true
- Every environment has an event loop, a journal and a receiver of its own, and shares with others
  what one process of a function's shares: nothing but AWS. (The clients are one set for all:
  opening them takes tenths of a second, and they hold no state.)
- Time runs `SPEED` times as fast for the engine, so that sweeps, claims and dead letters come into
  their own; actors and the queue's visibility go by the clock on the wall.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from unittest.mock import patch

from msgspec.structs import replace

from engine.dead_letters import DeadLetters
from engine.errors import PlatformError
from engine.ordered import OrderedJournal
from engine.ports import Delivery, Platform, Source
from engine.receiving import Receiver
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.pauses import Pauses
from infra.aws.s3 import S3Blobs
from infra.aws.sqs import SqsQueue
from infra.aws.sqs_source import SqsSource
from infra.aws.table import create_table
from infra.system import EnvironmentSecrets, SystemEntropy
from tests.infra.aws.account import empty_account
from tests.infra.aws.faults import Faults, injected
from tests.infra.aws.names import BUCKET, TABLE
from tests.infra.torture.actors import LOG_VARIABLE

SPEED = 120
BATCH = 10
STEP_MS = 300_000
"""As long as an actor may take: two and a half seconds by the clock on the wall."""
VISIBILITY_S = 2
"""By the clock on the wall. Shorter than a step may take, so that messages come again meanwhile."""
MAX_RECEIVES = 2


class FastClock:
    """Implements `engine.ports.Clock`, for all threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> int:
        return 1_700_000_000_000 + int((time.monotonic() - self._began) * 1000 * SPEED)


@dataclass(frozen=True)
class Account:
    """What the threads share: the clients and where things are."""

    clients: ThreadedClients
    clock: FastClock
    steps_url: str
    dead_url: str

    def dead_source(self) -> SqsSource:
        return SqsSource(self.clients.client("sqs"), self.dead_url, VISIBILITY_S)

    def opened(self) -> tuple[Platform, SqsQueue]:
        """The platform of one execution environment, and its queue."""
        pauses = Pauses(chance=lambda: 0.1)
        store = DynamoStore(self.clients.client("dynamodb"), TABLE, pauses)
        queue = SqsQueue(self.clients.client("sqs"), self.steps_url, pauses, VISIBILITY_S)
        blobs = S3Blobs(lambda: self.clients.later("s3"), BUCKET)
        journal = OrderedJournal(store, queue)
        secrets = EnvironmentSecrets({})
        return Platform(journal, blobs, self.clock, SystemEntropy(), secrets), queue


@dataclass(frozen=True)
class Happened:
    """What the threads of a round have seen."""

    counted: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    """Exceptions that nobody should have seen."""


class Environment:
    """One execution environment: receives, and handles what it has received."""

    def __init__(
        self, platform: Platform, receiver: Receiver, source: Source, happened: Happened
    ) -> None:
        self._platform = platform
        self._receiver = receiver
        self._source = source
        self._happened = happened

    async def work(self, stop: Event, *, by_batch: bool) -> None:
        """Until `stop`. `by_batch`: whoever has received deletes what was handled, not the step."""
        while not stop.is_set():
            try:
                deliveries = await self._source.receive(BATCH, 0)
            except PlatformError:
                continue
            if not deliveries:
                await asyncio.sleep(0.05)
                continue
            handle = self._handle_and_delete if by_batch else self._handle
            await asyncio.gather(*(handle(delivery) for delivery in deliveries))

    async def _handle(self, delivery: Delivery) -> bool:
        """Whether it is done with; what is not comes again."""
        deadline = self._platform.clock.now() + STEP_MS
        counted = self._happened.counted
        try:
            handled = await self._receiver.handle(delivery, deadline)
        except PlatformError:
            counted["delivery failed"] += 1
            return False
        except Exception:
            self._happened.problems.append(traceback.format_exc())
            return False
        counted["delivered"] += 1
        kind = type(self._receiver).__name__
        if kind == DeadLetters.__name__ or handled.what in ("lost", "relayed"):
            counted[f"{kind} {handled.what}"] += 1
        return True

    async def _handle_and_delete(self, delivery: Delivery) -> None:
        if await self._handle(replace(delivery, receipt=None)):
            try:
                await self._platform.journal.send((), delivery)
            except PlatformError:
                self._happened.counted["deletion failed"] += 1


@contextmanager
def account(faults: Faults, log: Path) -> Iterator[Account]:
    """An empty account under these faults, whose actors write into `log`."""
    with ExitStack() as exits:
        exits.enter_context(empty_account())
        exits.enter_context(patch.dict(os.environ, {LOG_VARIABLE: str(log)}))
        clients = ThreadedClients(connections=32)
        exits.callback(clients.close)
        sqs = clients.client("sqs")

        async def created() -> tuple[str, str]:
            await create_table(clients.client("dynamodb"), TABLE)
            await clients.client("s3").call("create_bucket", Bucket=BUCKET)
            dead = (await sqs.call("create_queue", QueueName="dead"))["QueueUrl"]
            asked = await sqs.call(
                "get_queue_attributes", QueueUrl=dead, AttributeNames=["QueueArn"]
            )
            target = {
                "deadLetterTargetArn": asked["Attributes"]["QueueArn"],
                "maxReceiveCount": MAX_RECEIVES,
            }
            policy = {"RedrivePolicy": json.dumps(target)}
            steps = await sqs.call("create_queue", QueueName="steps", Attributes=policy)
            return str(steps["QueueUrl"]), str(dead)

        urls = asyncio.run(created())
        exits.enter_context(injected(faults))
        yield Account(clients, FastClock(), *urls)
