"""One metered run on the AWS adapters, driven message by message, and what each step used."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.shapes import registry
from benchmarks.simulated import BEGUN_AT, PACE_MS, TOOK_MS, SimulatedClock, simulated_platform
from engine.definition import Definition
from engine.dispatcher import Dispatcher
from engine.layout import HEAD
from engine.ordered import OrderedJournal
from engine.ports import Delivery
from engine.starting import Starter
from infra.aws.client import AwsClient
from infra.aws.dynamodb import DynamoStore
from infra.aws.metering import MeteredClient
from infra.aws.sqs import SqsQueue

STEP_MS = 60_000

Poll = Callable[[], Awaitable[Sequence[str]]]
"""The bodies of the messages that wait, taken from the queue."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step used, or several, or the average of them. Units are DynamoDB's."""

    requests: Mapping[str, float] = field(default_factory=dict)
    """By operation."""
    bytes: float = 0
    """Of items written and read, and of message bodies sent."""
    head_units: float = 0
    other_units: float = 0
    """Of writing pages, outputs and definitions."""
    index_units: float = 0
    read_units: float = 0

    @property
    def count(self) -> float:
        return sum(self.requests.values())

    @property
    def write_units(self) -> float:
        return self.head_units + self.other_units + self.index_units


def average(costs: Sequence[Cost]) -> Cost:
    """The mean of several steps."""

    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(costs)

    operations = dict.fromkeys(operation for cost in costs for operation in cost.requests)
    return Cost(
        {name: mean(cost.requests.get(name, 0) for cost in costs) for name in operations},
        mean(cost.bytes for cost in costs),
        mean(cost.head_units for cost in costs),
        mean(cost.other_units for cost in costs),
        mean(cost.index_units for cost in costs),
        mean(cost.read_units for cost in costs),
    )


class AwsRun:
    """A dispatcher on the real adapters over any two clients; a fresh one is a cold process."""

    def __init__(self, table: AwsClient, name: str, queue: AwsClient, url: str, poll: Poll) -> None:
        self._table = _HeadMeter(table)
        self._queue = _TextMeter(queue)
        self._poll = poll
        self._clock = SimulatedClock(BEGUN_AT)
        self._waiting: deque[str] = deque()
        journal = OrderedJournal(DynamoStore(self._table, name), SqsQueue(self._queue, url))
        platform = simulated_platform(journal, self._clock)
        self._dispatcher = Dispatcher(platform, registry(self._beat))
        self._starter = Starter(platform)

    async def start(self, definition: Definition, value: Any) -> Cost:
        """Start a run. The first start of a definition writes it."""
        await self._starter.start(definition, value)
        return self._used()

    async def drop(self) -> None:
        """Throw away what waits: nobody takes that run any further."""
        self._waiting.clear()
        await self._poll()

    async def step(self) -> Cost:
        """Handle the oldest message."""
        if not self._waiting:
            self._waiting.extend(await self._poll())
        await self._handle(self._waiting.popleft())
        return self._used()

    async def steps_at_once(self) -> tuple[int, Cost]:
        """Handle every message that waits, all at the same time; how many there were."""
        bodies = await self._poll()
        await asyncio.gather(*(self._handle(body) for body in bodies))
        return len(bodies), self._used()

    async def _handle(self, body: str) -> None:
        self._clock.ms += PACE_MS - TOOK_MS
        handled = await self._dispatcher.handle(Delivery(body), self._clock.ms + STEP_MS)
        assert handled.what == "stepped", handled

    def _beat(self) -> bool:
        self._clock.ms += TOOK_MS
        return False

    def _used(self) -> Cost:
        heads, sent = self._table.take_heads(), self._queue.take_bytes()
        table, queue = self._table.take(), self._queue.take()
        return Cost(
            dict(table.requests + queue.requests),
            table.bytes_written + table.bytes_read + sent,
            heads,
            table.written[""] - heads,
            table.index_write_units,
            table.read,
        )


class _HeadMeter(MeteredClient):
    """Also tells the write units of heads apart."""

    def __init__(self, client: AwsClient) -> None:
        super().__init__(client)
        self._heads = 0
        self._metered = 0

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return await super().call(operation, **parameters)
        finally:
            # no other task runs between what `super` adds for this request and here
            units = self.usage.written[""]
            if operation == "put_item" and parameters["Item"]["s"]["S"] == HEAD:
                self._heads += units - self._metered
            self._metered = units

    def take_heads(self) -> int:
        """To be called just before `take`."""
        heads, self._heads, self._metered = self._heads, 0, 0
        return heads


class _TextMeter(MeteredClient):
    """Also counts the bytes of message bodies."""

    def __init__(self, client: AwsClient) -> None:
        super().__init__(client)
        self._bytes = 0

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        for entry in parameters.get("Entries", [parameters]):
            self._bytes += len(entry["MessageBody"].encode())
        return await super().call(operation, **parameters)

    def take_bytes(self) -> int:
        sent, self._bytes = self._bytes, 0
        return sent
