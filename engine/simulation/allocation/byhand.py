"""Allocation with every interleaving in the test's hands: no message and no frame moves by itself.

    async with by_hand(PoolConfig(url="http://endpoint")) as hand:
        actor = await hand.sleeping_actor()
        first = hand.request("/sleep")
        await hand.passing()             # the gateway looks, and sends its wake
        await hand.deliver("AWF")        # the actor's run takes one signal

The engine's own dispatcher, gateway and runners' door work on a store in memory. The parties are
called as in the seed's diagrams: `AWF` the actor's run, `RWF1` the first runner's, `S` the pool,
`G` the gateway, `R1` the first runner, `SE` the endpoint. `hand.trace` holds one line for each step
and for each thing that crosses the edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from engine.actors import Registry
from engine.allocation import frames
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.directory import Directory
from engine.allocation.door import Known, RunnerDoor
from engine.allocation.holding import report_end
from engine.allocation.local import LocalNews, LocalReplies
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, party_key
from engine.allocation.ports import Allocation, ConnectionGone, Stepped
from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.allocation.signals import Signal, Sleep, decode
from engine.allocation.stepping import signal_name
from engine.allocation.tunnel import HttpRequest, HttpResponse, Tunnel
from engine.dispatcher import Dispatcher
from engine.layout import DEFAULT_TENANT, INBOX_PREFIX, RunKey
from engine.memory import MemoryBlobs, MemoryStore
from engine.messages import decode_message
from engine.ordered import OrderedJournal
from engine.ports import Commit, Delivery, Item, Platform, Send
from engine.simulation.world.stage import EPOCH

POOL = "pool"
FAR_MS = 1 << 60
INSTANT_S = 0.001
"""Enough for everything to happen that needs no time."""


class _Clock:
    """Never the same time twice: what is stored later lies behind what was stored before."""

    def __init__(self) -> None:
        self.behind_ms = 0
        """How far it is behind the true time: whoever acts now has a clock that is wrong."""
        self._last = EPOCH

    def now(self) -> int:
        at = EPOCH + round(asyncio.get_running_loop().time() * 1000)
        self._last = max(at, self._last + 1)
        return self._last - self.behind_ms


class _Entropy:
    def __init__(self) -> None:
        self._ids = count(1)

    def new_id(self) -> str:
        return f"{next(self._ids):011d}"

    def chance(self) -> float:
        return 0.5

    def new_key(self) -> bytes:
        return bytes(32)


class _NoSecrets:
    def get(self, name: str) -> str | None:
        return None


class _Queue:
    """Implements `engine.ports.Queue`; messages stay until the test delivers them."""

    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self.waiting: list[tuple[int, str]] = []
        """(due, text), as they came."""

    async def send(self, sends: Sequence[Send]) -> None:
        self.waiting += [(self._clock.now() + send.delay_ms, send.body) for send in sends]

    async def acknowledge(self, delivery: Delivery) -> None:
        """It was taken off when it was delivered."""

    async def backlog(self) -> int:
        return 0


class _Journal(OrderedJournal):
    """Signals of some kinds are held up on their way, with whoever sends them, and so are the
    saves of some kinds of parties."""

    def __init__(self, store: MemoryStore, queue: _Queue) -> None:
        super().__init__(store, queue)
        self.gates: dict[str, asyncio.Event] = {}
        """By the kind of signal or party."""

    async def commit(self, commit: Commit) -> None:
        gate = self.gates.get(commit.head.key.kind)
        if gate is not None:
            await gate.wait()
        await super().commit(commit)

    async def swap(
        self,
        item: Item,
        expected: bytes | None,
        also: Sequence[Item] = (),
        drops: Sequence[str] = (),
    ) -> None:
        for each in also:
            if each.name.startswith(INBOX_PREFIX):
                gate = self.gates.get(signal_name(decode(each.body).signal))
                if gate is not None:
                    await gate.wait()
        await super().swap(item, expected, also, drops)


class Runner:
    """One runner's process. What it is sent waits in `inbox` until the test has it `take`n."""

    def __init__(self, hand: ByHand, name: str, key: str, slots: int, request: str) -> None:
        self.name = name
        self.inbox: list[frames.ToRunner] = []
        self.id = ""
        self.connected = False
        self._hand = hand
        self._key = key
        self._slots = slots
        self._request = request
        self._numbers = count(1)
        self.connection = ""
        self._known: Known | None = None
        self._last = 0
        self._commands = 0
        self._held: list[frames.Event] = []
        self._tries: dict[str, str] = {}
        """Path -> the newest request for it that has come."""

    @property
    def key(self) -> RunKey:
        """Its run's."""
        return party_key(Kind.RUNNER, self.id, DEFAULT_TENANT)

    async def connect(self) -> None:
        """Open a connection and say Hello, which is answered at once."""
        hand = self._hand
        self.connection = f"{self._key}.{next(self._numbers)}"
        self.connected = True
        hand.note(f"{self.name} > RWS  Connect")
        hand.sockets[self.connection] = self
        hello = frames.Hello(POOL, self._key, self._slots, connection=self._request)
        self._known = await hand.door.hello(self.connection, frames.encode(hello))
        assert self._known is not None
        if not self.id:
            hand.names.add(self._known.runner, f"RWF{self.name[1:]}")
        self.id = self._known.runner

    async def report(self, actor: RunKey, generation: int, report: frames.Report) -> None:
        """Send an event, and wait until it is stored."""
        self.hold(actor, generation, report)
        await self.send_held()

    def hold(self, actor: RunKey, generation: int, report: frames.Report) -> None:
        """Number an event without sending it yet."""
        self._last += 1
        self._held.append(frames.Event(self._last, actor.run, generation, report))

    async def send_held(self) -> None:
        """Send the events that are held back; also again, what was sent before."""
        events, self._held = tuple(self._held), []
        for event in events:
            word = type(event.report).__name__
            self._hand.note(f"{self.name} > RWS  {word} ({event.generation})")
        await self._say(frames.Events(events, self._commands))

    async def take(self, kind: type[frames.Frame]) -> str:
        """The oldest frame of this kind comes in; of commands and requests, in a word, what."""
        place = next(i for i, frame in enumerate(self.inbox) if isinstance(frame, kind))
        frame = self.inbox.pop(place)
        word = type(frame).__name__
        if isinstance(frame, frames.Commands):
            self._commands = max(each.index for each in frame.commands)
            word = ", ".join(
                f"{type(each.order).__name__} ({each.order.generation})" for each in frame.commands
            )
        elif isinstance(frame, frames.RequestStart):
            self._tries[frame.path] = frame.request
            word = f"{frame.method} {frame.path} ({frame.generation})"
        self._hand.note(f"RWS > {self.name}  {word}")
        return word

    async def answer(self, path: str, body: bytes = b"") -> None:
        """Answer the request that came last for this path."""
        self._hand.note(f"{self.name} > RWS  200 {path}")
        await self._say(frames.ResponseStart(self._tries[path], 200, [], body))

    async def refuse(self, path: str, code: str) -> None:
        self._hand.note(f"{self.name} > RWS  {code} {path}")
        await self._say(frames.Refused(self._tries[path], code))

    async def ping(self) -> None:
        await self._say(frames.Ping())

    async def lose_connection(self) -> None:
        """It breaks; the server notices."""
        self._hand.sockets.pop(self.connection, None)
        self.connected = False
        assert self._known is not None
        await self._hand.door.closed(self.connection, self._known)

    async def _say(self, frame: frames.Frame) -> None:
        assert self._known is not None
        await self._hand.door.frame(self.connection, self._known, frames.encode(frame))

    def came(self, frame: frames.ToRunner) -> None:
        if not isinstance(frame, frames.Welcome | frames.EventsStored | frames.Pong):
            self.inbox.append(frame)


class _Names:
    """What the trace calls everybody."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {POOL: "S"}

    def add(self, id: str, name: str) -> None:
        self._names[id] = name

    def of(self, id: str) -> str:
        return self._names.get(id, id)

    def in_words(self, sent: str) -> str:
        """An effect, with the parties called by their names."""
        for id, name in self._names.items():
            sent = sent.replace(f"actor '{id}'", name).replace(f"runner '{id}'", name)
            sent = sent.replace(f"pool '{id}'", name)
        return sent


class ByHand:
    """One deployment. Use `by_hand` to make it."""

    def __init__(self, settings: AllocationSettings) -> None:
        self.trace: list[str] = []
        self.names = _Names()
        self.clock = _Clock()
        self.sockets: dict[str, Runner] = {}
        self.begun: list[str] = []
        """Held requests whose runner has not been made yet."""
        self._replies = LocalReplies()
        self._queue = _Queue(self.clock)
        self._runners = count(1)
        self._requests = count(1)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.store = MemoryStore(self.clock)
        self._journal = _Journal(self.store, self._queue)
        allocation = Allocation(self, self, LocalNews(), settings, self._stepped)
        self.platform = Platform(
            self._journal,
            MemoryBlobs(),
            self.clock,
            _Entropy(),
            _NoSecrets(),
            allocation=allocation,
        )
        self.directory = Directory(self.platform)
        self.door = RunnerDoor(self.platform, self._replies)
        self._tunnel = Tunnel(self.platform, self._replies)
        self._mailer = Mailer(self.platform.journal, self.clock, self.platform.entropy)
        self._dispatcher = Dispatcher(self.platform, Registry())

    # -- ports ------------------------------------------------------------------------------------

    async def post(self, connection: str, text: str) -> None:
        """Implements `Sockets`."""
        if connection not in self.sockets:
            raise ConnectionGone
        self.sockets[connection].came(frames.to_runner(text))

    async def close(self, connection: str) -> None:
        runner = self.sockets.pop(connection, None)
        if runner is not None:
            runner.connected = False

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        """Implements `Starters`."""
        if request not in self.begun:
            self.note("S > SE  GET /start")
            self.begun.append(request)

    # -- what the test does -----------------------------------------------------------------------

    async def sleeping_actor(self, crash: CrashPolicy = CrashPolicy.SLEEP) -> RunKey:
        """The one actor of most tests, created and asleep; nothing of that is in the trace."""
        made = await self.directory.create("actor", ["key"], pool=POOL, crash=crash)
        self.names.add(made.key.run, "AWF")
        await self._mailer.signal(made.key, Sleep(), "to begin with")
        await self.deliver_all()
        self.trace.clear()
        return made.key

    def request(self, key: RunKey, path: str) -> asyncio.Task[HttpResponse]:
        """A user's request; it goes on while the test lets time pass."""
        number = next(self._requests)
        self.note(f"U > G  GET {path}")
        task = asyncio.create_task(self._request(key, f"r{number}", path))
        self._tasks.add(task)
        return task

    async def _request(self, key: RunKey, id: str, path: str) -> HttpResponse:
        answer = await self._tunnel.request(key, HttpRequest(id, "GET", path, [], b""))
        self.note(f"G > U  {answer.status}")
        return answer

    async def passing(self, seconds: float = 0.3) -> None:
        """Let time pass: gateways look again, nothing is delivered."""
        await asyncio.sleep(max(seconds, INSTANT_S))

    def runner(self, slots: int = 1) -> Runner:
        """The process that the oldest held request without one brings forth."""
        number = next(self._runners)
        request = self.begun.pop(0) if self.begun else ""
        return Runner(self, f"R{number}", f"key{number}", slots, request)

    async def request_ended(self, request: str, error: str = "") -> None:
        """The holder of this request reports its end."""
        await report_end(self._mailer, DEFAULT_TENANT, POOL, request, error)

    def another_door(self, behind_ms: int = 0) -> None:
        """From now on runners are served by another process, whose clock is so far behind."""
        self.clock.behind_ms = behind_ms
        self.door = RunnerDoor(self.platform, self._replies)

    def hold_up(self, kind: str) -> None:
        """Signals of this kind (or saves, of a kind of party) wait until they are let go, and with
        them whoever sends them."""
        self._journal.gates[kind] = asyncio.Event()

    async def let_go(self, kind: str) -> None:
        self._journal.gates.pop(kind).set()
        await asyncio.sleep(INSTANT_S)

    async def begin_to_deliver(self, party: str) -> None:
        """As `deliver`, in a process of its own, where something is held up: it goes on when that
        is let go."""
        other = Dispatcher(self.platform, Registry())
        self._tasks.add(asyncio.create_task(self._deliver(other, party)))
        await asyncio.sleep(INSTANT_S)

    async def deliver(self, *parties: str) -> None:
        """For each of the parties in turn, the message that has waited longest."""
        for party in parties:
            await self._deliver(self._dispatcher, party)

    async def _deliver(self, dispatcher: Dispatcher, party: str) -> None:
        now = self.clock.now()
        for place, (due, body) in enumerate(self._queue.waiting):
            if due <= now and self._party(body) == party:
                del self._queue.waiting[place]
                await dispatcher.handle(Delivery(body), FAR_MS)
                return
        raise AssertionError(f"no message waits for {party}: {self.waiting()}")

    async def tell(self, key: RunKey, signal: Signal) -> None:
        """A word of an operator."""
        await self._mailer.signal(key, signal, f"operator {self.clock.now()}")

    async def deliver_all(self, *parties: str) -> None:
        """All that waits for these parties (for all, where none is named), and what comes of it."""
        while True:
            waiting = [each for each in self.waiting() if not parties or each in parties]
            if not waiting:
                return
            await self.deliver(waiting[0])

    def waiting(self) -> list[str]:
        """Whom the messages are for that could be delivered now, as they came."""
        now = self.clock.now()
        return [self._party(body) for due, body in self._queue.waiting if due <= now]

    def note(self, line: str) -> None:
        self.trace.append(line)

    def close_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _party(self, body: str) -> str:
        return self.names.of(decode_message(body).run)

    def _stepped(self, stepped: Stepped) -> None:
        who = self.names.of(stepped.key.run)
        phases = stepped.before
        if stepped.after != stepped.before:
            phases = f"{stepped.before} -> {stepped.after}"
        line = f"{who}  {stepped.signal}: {phases}. {', '.join(stepped.said)}"
        if stepped.sent:
            line += f" > {', '.join(map(self.names.in_words, stepped.sent))}"
        self.note(line)


@asynccontextmanager
async def by_hand(
    config: PoolConfig, settings: AllocationSettings = DEFAULTS
) -> AsyncIterator[ByHand]:
    """A deployment with one pool. Run it on a `VirtualLoop`."""
    hand = ByHand(settings)
    await hand.directory.configure(POOL, config)
    try:
        yield hand
    finally:
        hand.close_all()
