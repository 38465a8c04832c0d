"""Every backend that the contract suite runs on: to add one, add its factory to `BACKENDS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.memory import MemoryJournal
from engine.ordered import OrderedJournal
from engine.ports import Journal, Source
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.sqs import SqsQueue
from infra.aws.table import create_table
from infra.local.sqlite import SqliteWorker
from tests.clock import ManualClock
from tests.infra.aws.account import empty_account


@dataclass(frozen=True)
class Backend:
    """A journal, and the source that delivers what it sends."""

    journal: Journal
    source: Source


@asynccontextmanager
async def _memory(directory: Path) -> AsyncIterator[Backend]:
    journal = MemoryJournal(ManualClock())
    yield Backend(journal, journal.source)


@asynccontextmanager
async def _sqlite(directory: Path) -> AsyncIterator[Backend]:
    with SqliteWorker(directory / "runs.db", ManualClock()) as worker:
        yield Backend(worker.journal, worker.source)


@asynccontextmanager
async def _aws(directory: Path) -> AsyncIterator[Backend]:
    with empty_account():
        clients = ThreadedClients()
        dynamodb, sqs = clients.client("dynamodb"), clients.client("sqs")
        await create_table(dynamodb, "table")
        url = (await sqs.call("create_queue", QueueName="steps"))["QueueUrl"]
        source = SqsQueue(sqs, url)
        yield Backend(OrderedJournal(DynamoStore(dynamodb, "table"), source), source)
        clients.close()


BACKENDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Backend]]] = {
    "aws": _aws,
    "memory": _memory,
    "sqlite": _sqlite,
}
"""Each takes an empty directory of its own and is entered on the test's event loop."""
