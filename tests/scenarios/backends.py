"""The backends that every scenario runs on, opened for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from itertools import count
from pathlib import Path

from engine.memory import MemoryBlobs, MemoryJournal
from engine.ordered import OrderedJournal
from engine.ports import Blobs, Journal, Source
from infra.aws.client import ThreadedClients
from tests.clock import ManualClock
from tests.infra.aws.account import empty_account
from tests.scenarios.world import DelayedSource, Open

BACKENDS = ("memory", "sqlite", "aws")

_numbers = count(1)


@contextmanager
def stand_in() -> Iterator[ThreadedClients]:
    """AWS as moto plays it, and its clients: opening them takes longer than most tests."""
    with empty_account():
        clients = ThreadedClients()
        yield clients
        clients.close()


def memory() -> Open:
    async def opened(clock: ManualClock, exits: AsyncExitStack) -> tuple[Journal, Blobs, Source]:
        journal = MemoryJournal(clock)
        return journal, MemoryBlobs(), journal.source

    return opened


def sqlite(directory: Path) -> Open:
    async def opened(clock: ManualClock, exits: AsyncExitStack) -> tuple[Journal, Blobs, Source]:
        from infra.local.sqlite import SqliteWorker

        worker = exits.enter_context(SqliteWorker(directory / "test.db", clock))
        return worker.journal, worker.blobs, worker.source

    return opened


def aws(clients: ThreadedClients) -> Open:
    async def opened(clock: ManualClock, exits: AsyncExitStack) -> tuple[Journal, Blobs, Source]:
        from infra.aws.dynamodb import DynamoStore
        from infra.aws.s3 import S3Blobs
        from infra.aws.sqs import SqsQueue
        from infra.aws.table import create_table

        name = f"test-{next(_numbers)}"
        dynamodb, sqs, s3 = (clients.client(each) for each in ("dynamodb", "sqs", "s3"))
        await create_table(dynamodb, name)
        url = (await sqs.call("create_queue", QueueName=name))["QueueUrl"]
        await s3.call("create_bucket", Bucket=name)
        queue = DelayedSource(SqsQueue(sqs, url), clock)
        journal = OrderedJournal(DynamoStore(dynamodb, name), queue)
        return journal, S3Blobs(lambda: clients.later("s3"), name), queue

    return opened
