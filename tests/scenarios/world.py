"""One engine on one backend, driven by hand: every message is delivered when the test says so.

Time is a fake clock that moves to the next due message or look-at time when nothing else is left to
do. The same scenarios run in memory, on SQLite and on the AWS adapters over moto.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, TypeVar

from engine.actors import Actor, Registry
from engine.dead_letters import DeadLetters
from engine.definition import Definition
from engine.dispatcher import Dispatcher
from engine.documents import parse_definition
from engine.events import Event
from engine.forking import Forker
from engine.layout import WAKE_SHARDS, RunKey, WaitAddress, run_key
from engine.library import ACTORS
from engine.operating import Operator
from engine.ports import Blobs, Delivery, Journal, Limits, Platform, Send, Source
from engine.reading import ResultView, RunReader, RunView
from engine.receiving import Handled
from engine.signalling import Answered, Signaller
from engine.snapshot import Head
from engine.starting import Started, Starter
from engine.sweeper import sweep
from engine.timing import in_reach
from tests.clock import ManualClock

T = TypeVar("T")
STEP_MS = 60_000


class CountingEntropy:
    """Ids that read well in a failing test, and a chance that is always the same."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers):06d}"

    def chance(self) -> float:
        return 0.5

    def new_key(self) -> bytes:
        return next(self._numbers).to_bytes(32, "big")


class FixedSecrets:
    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = secrets

    def get(self, name: str) -> str | None:
        return self._secrets.get(name)


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)


Open = Callable[[ManualClock, AsyncExitStack], Awaitable[tuple[Journal, Blobs, Source]]]


class World:
    """Synchronous, so that scenarios read as scripts. Close it at the end."""

    def __init__(self, opener: Open) -> None:
        self.clock = ManualClock()
        self.recorder = Recorder()
        self.secrets: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.limits = Limits()
        self._runner = asyncio.Runner()
        self._exits = AsyncExitStack()
        self.journal, self.blobs, self.source = self.do(opener(self.clock, self._exits))
        self.actors: list[Actor[..., Any]] = []
        self.entropy = CountingEntropy()

    def close(self) -> None:
        self.do(self._exits.aclose())
        self._runner.close()

    def do(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self._runner.run(wait())

    # -- composition ------------------------------------------------------------------------------

    @property
    def registry(self) -> Registry:
        return Registry([*ACTORS, *self.actors])

    def platform(self, journal: Journal | None = None) -> Platform:
        return Platform(
            journal=journal or self.journal,
            blobs=self.blobs,
            clock=self.clock,
            entropy=self.entropy,
            secrets=FixedSecrets(self.secrets),
            events=self.recorder,
            env=self.env,
            limits=self.limits,
        )

    @property
    def operator(self) -> Operator:
        return Operator(self.platform())

    def dispatcher(self, journal: Journal | None = None) -> Dispatcher:
        return Dispatcher(self.platform(journal), self.registry)

    # -- acts -------------------------------------------------------------------------------------

    def start(
        self,
        document: str | Definition,
        input: Any = None,
        *actors: Actor[..., Any],
        run: str = "run",
        tenant: str = "default",
    ) -> Started:
        self.actors.extend(actors)
        definition = document
        if isinstance(definition, str):
            definition = parse_definition(definition, "test.yaml", self.registry)
        starter = Starter(self.platform())
        return self.do(starter.start(definition, {} if input is None else input, run, tenant))

    def receive(self, limit: int = 10) -> Sequence[Delivery]:
        return self.do(self.source.receive(limit, 0))

    def handle(self, delivery: Delivery, journal: Journal | None = None) -> Handled:
        deadline = self.clock.now() + STEP_MS
        return self.do(self.dispatcher(journal).handle(delivery, deadline))

    def handle_together(
        self, deliveries: Sequence[Delivery], journal: Journal | None = None
    ) -> list[Handled]:
        """Several workers at once, each with a dispatcher of its own."""

        async def all_of_them() -> list[Handled]:
            deadline = self.clock.now() + STEP_MS
            return await asyncio.gather(
                *(self.dispatcher(journal).handle(delivery, deadline) for delivery in deliveries)
            )

        return self.do(all_of_them())

    def signal(
        self,
        name: str,
        payload: Any = None,
        run: str = "run",
        id: str | None = None,
        journal: Journal | None = None,
    ) -> Answered:
        signaller = Signaller(self.platform(journal))
        return self.do(signaller.signal(run_key(run), name, payload, id))

    def answer(
        self,
        node: str,
        payload: Any = None,
        run: str = "run",
        visit: int = 1,
        ordinal: int = 1,
        journal: Journal | None = None,
    ) -> Answered:
        """Answer one wait, as the holder of its callback address does."""
        signaller = Signaller(self.platform(journal))
        return self.do(signaller.answer(self.address(node, run, visit, ordinal), payload))

    def address(self, node: str, run: str = "run", visit: int = 1, ordinal: int = 1) -> WaitAddress:
        key = run_key(run)

        async def found() -> WaitAddress:
            reader = RunReader(self.platform())
            head = await reader.head(key)
            definition = await reader.definition(key, head)
            number = [each.id for each in definition.nodes].index(node)
            return WaitAddress(key, number, visit, ordinal, head.created_at // 1000)

        return self.do(found())

    def cancel(self, run: str = "run") -> Head:
        return self.do(self.operator.cancel(run_key(run)))

    def retry(self, run: str = "run", journal: Journal | None = None) -> Head:
        return self.do(Operator(self.platform(journal)).retry(run_key(run)))

    def fork(self, step: int | str, of: str = "run", run: str = "fork", **changes: Any) -> Started:
        return self.do(Forker(self.platform()).fork(run_key(of), step, run, **changes))

    def bury(self, delivery: Delivery) -> Handled:
        """Hand a delivery to the consumer of dead letters."""
        dead_letters = DeadLetters(self.platform(), self.registry)
        return self.do(dead_letters.handle(delivery, self.clock.now() + STEP_MS))

    def redelivered(self, *deliveries: Delivery) -> list[Delivery]:
        """Let the visibility time-out of these pass, and receive what is there then."""
        for delivery in deliveries:
            self.do(self.source.release(delivery, 0))
        return list(self.receive())

    def lose(self) -> None:
        """Everything on the queue is lost."""
        for delivery in self.receive():
            self.do(self.journal.send((), delivery))

    def step(self) -> list[Handled]:
        """Handle every delivery that is there now, one after the other."""
        return [self.handle(delivery) for delivery in self.receive()]

    def sweep(self) -> int:
        return self.do(sweep(self.platform(), range(WAKE_SHARDS))).sent

    def work(self, rounds: int = 2000) -> list[Handled]:
        """Deliver, letting time pass where nothing is due, until nothing is left to happen."""
        handled: list[Handled] = []
        for _ in range(rounds):
            done = self.step()
            handled += done
            if done:
                continue
            moment = self.next_moment()
            if moment is None:
                return handled
            self.clock.advance(max(0, moment - self.clock.now()) / 1000)
            self.sweep()
        raise AssertionError(f"still going on after {rounds} rounds")

    def run(
        self, document: str | Definition, input: Any = None, *actors: Actor[..., Any]
    ) -> RunView:
        """Start a run and work until nothing is left to happen."""
        self.start(document, input, *actors)
        self.work()
        return self.view()

    # -- looks ------------------------------------------------------------------------------------

    def view(self, run: str = "run", tenant: str = "default") -> RunView:
        return self.do(RunReader(self.platform()).view(run_key(run, tenant)))

    def history(self, run: str = "run") -> list[ResultView]:
        async def read() -> list[ResultView]:
            return [r async for r in RunReader(self.platform()).history(run_key(run))]

        return self.do(read())

    def done(self, run: str = "run") -> list[str]:
        """The nodes in the order in which their results were recorded."""
        return [result.node for result in self.history(run) if result.outcome == "done"]

    def next_moment(self) -> int | None:
        """When something happens next: a token becomes due, or a run wants to be looked at."""
        now = self.clock.now()
        moments = []
        for row in self.do(self.journal.runs("default", limit=100)):
            head = self.head(row.key)
            for token in () if head.status.terminal else head.frontier:
                if token.due > now and in_reach(token, now):
                    moments.append(token.due + 999)  # queues count whole seconds
            if head.limit is not None and now < head.limit.due and in_reach(head.limit, now):
                moments.append(head.limit.due + 999)
            if head.wake_at:
                moments.append(head.wake_at)
        return min(moments, default=None)

    def head(self, key: RunKey | None = None) -> Any:
        return self.do(RunReader(self.platform()).head(key or run_key("run")))


class DelayedSource:
    """Holds delayed messages back until the fake clock says so, for queues on a real clock.

    It stands in front of such a queue as both its `Queue` and its `Source`.
    """

    def __init__(self, queue: Any, clock: ManualClock) -> None:
        self._queue = queue
        self._clock = clock
        self._held: list[tuple[int, int, Send]] = []
        self._numbers = count()

    async def send(self, sends: Sequence[Send]) -> None:
        for send in sends:
            if send.delay_ms:
                due = self._clock.now() + send.delay_ms
                heapq.heappush(self._held, (due, next(self._numbers), send))
        now = [send for send in sends if not send.delay_ms]
        if now:
            await self._queue.send(now)

    async def acknowledge(self, delivery: Delivery) -> None:
        await self._queue.acknowledge(delivery)

    async def backlog(self) -> int:
        now = self._clock.now()
        waiting: int = await self._queue.backlog()
        return waiting + sum(due <= now for due, _, _ in self._held)

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        due = []
        while self._held and self._held[0][0] <= self._clock.now():
            _, _, send = heapq.heappop(self._held)
            due.append(Send(send.body, send.group))
        if due:
            await self._queue.send(due)
        deliveries: Sequence[Delivery] = await self._queue.receive(limit, wait_s)
        return deliveries

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        await self._queue.release(delivery, 0)
