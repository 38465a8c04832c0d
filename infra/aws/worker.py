"""The composition root of a long-running process on AWS: `tidestep work --aws` and its visitors.

    async with aws_backend(os.environ) as backend:
        worker = backend.worker(actors)
        await backend.signaller.signal(run_key("order-7"), "approval", {"by": "Ada"})

It is what the functions put together in `functions/application.py`, on asynchronous clients: one
process keeps hundreds of steps in flight. Importing it imports aiobotocore.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from engine.actors import Registry
from engine.dead_letters import DeadLetters
from engine.dispatcher import Dispatcher
from engine.forking import Forker
from engine.operating import Operator
from engine.ordered import OrderedJournal
from engine.ports import Events, Platform, Source
from engine.reading import RunReader
from engine.signalling import Signaller
from engine.starting import Starter
from engine.worker import Worker, WorkerSettings
from infra.aws.aio import AsyncClients
from infra.aws.client import WEBSOCKET_URL
from infra.aws.dynamodb import DynamoStore
from infra.aws.s3 import S3Blobs
from infra.aws.settings import AwsSettings
from infra.aws.sqs import SqsQueue
from infra.aws.sqs_source import SqsSource
from infra.callbacks import callbacks_from
from infra.limits import limits_from
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy, exposed

if TYPE_CHECKING:
    from engine.allocation.ports import Allocation

STEP_TIMEOUT_S = 300.0
VISIBILITY_S = 360
"""Asked for with every receive, whatever the queues say, so that a running step is not redelivered.
What the step leaves of it is for receiving its batch and for committing; where that is too little,
the message comes a second time, which costs an execution at most."""
SWEEP_EVERY_S = 60.0
"""As often as the template's sweeper; two at once do no harm."""


@dataclass(frozen=True)
class AwsBackend:
    """The engine's ports, the queues as sources of deliveries, and what acts on runs.

    The journal acknowledges what comes from either queue. It has no slots, for `cached_property`:
    who acts on runs remembers the definitions that he has read.
    """

    platform: Platform
    source: Source
    dead_letters: Source | None
    """None where the environment does not name the dead-letter queue."""

    @cached_property
    def reader(self) -> RunReader:
        return RunReader(self.platform)

    @cached_property
    def starter(self) -> Starter:
        return Starter(self.platform)

    @cached_property
    def signaller(self) -> Signaller:
        return Signaller(self.platform)

    @cached_property
    def operator(self) -> Operator:
        return Operator(self.platform)

    @cached_property
    def forker(self) -> Forker:
        return Forker(self.platform)

    def worker(self, actors: Registry, settings: WorkerSettings | None = None) -> Worker:
        chosen = replace(
            settings or WorkerSettings(), step_timeout=STEP_TIMEOUT_S, sweep_every=SWEEP_EVERY_S
        )
        dispatcher = Dispatcher(self.platform, actors)
        return Worker(
            self.platform,
            dispatcher,
            self.source,
            chosen,
            DeadLetters(self.platform, actors, dispatcher.running),
            self.dead_letters,
        )


@asynccontextmanager
async def aws_backend(
    environment: Mapping[str, str], events: Events | None = None
) -> AsyncIterator[AwsBackend]:
    """Open DynamoDB, SQS and S3 as the environment names them. Raises Misconfigured."""
    chosen = AwsSettings.from_env(environment)
    async with AsyncClients(environment=environment) as clients:
        store = DynamoStore(await clients.client("dynamodb"), chosen.table)
        sqs = await clients.client("sqs")
        queue = SqsQueue(sqs, chosen.queue_url, visibility_s=VISIBILITY_S)
        dead_url = chosen.dead_letter_url
        dead_letters = SqsSource(sqs, dead_url, VISIBILITY_S) if dead_url else None
        journal, clock, entropy = OrderedJournal(store, queue), SystemClock(), SystemEntropy()
        platform = Platform(
            journal=journal,
            blobs=S3Blobs(lambda: clients.client("s3"), chosen.bucket),
            clock=clock,
            entropy=entropy,
            callbacks=callbacks_from(environment, journal, clock, entropy),
            allocation=_allocation(environment, clients),
            secrets=EnvironmentSecrets(environment),
            events=events,
            env=exposed(environment, chosen.expose_env),
            limits=limits_from(environment),
        )
        yield AwsBackend(platform, queue, dead_letters)


def _allocation(environment: Mapping[str, str], clients: AsyncClients) -> Allocation | None:
    """How runners are reached and started, where the environment says so."""
    if not environment.get(WEBSOCKET_URL, "").strip():
        return None
    from infra.aws.allocation import allocation_from

    return allocation_from(environment, clients.client)
