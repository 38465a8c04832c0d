"""A runner: hosts the actors of one pool over a connection that comes and goes.

Theory: `run` connects, says Hello, waits for Welcome, and then reads, writes and pings until the
connection breaks; then it connects again. Actors live on meanwhile: what they have to say waits in
the Line. They end here, unsaved, when the other side must take this runner for lost: it gives them
to others then.

What must stay true
- A command is carried out once, by its number; its number goes out with the next events.
- Without an answered ping for `lost_ms` no actor is left here, whether the connection is broken or
  only silent. Should it be the same runner after all, it reports those actors as stopped.
- Another id in Welcome means that this runner was lost in between: all is dropped, and the events
  begin with 1.
- `stop` gives up no actor unsaved within `stop_ms`: the other side takes them away, one by one.
- `Evicted` is final. Whatever ends `run`, no task of it is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from engine.allocation.frames import (
    STOPPED_REASON,
    Commands,
    EventsStored,
    Evicted,
    Fetched,
    Hello,
    Loaded,
    Ping,
    Pong,
    RequestAbort,
    RequestChunk,
    RequestStart,
    Saved,
    SocketClose,
    SocketMessage,
    SocketOpen,
    StartActor,
    StopActor,
    Stopping,
    ToRunner,
    UnknownFrame,
    Welcome,
    encode,
    to_runner,
)
from engine.errors import InvalidActor
from engine.ports import Clock, Entropy
from engine.stateful.connection import Connect, Connection, ConnectionLost
from engine.stateful.declaring import AnyActor, Definition, definition_of
from engine.stateful.hosted import Hosted
from engine.stateful.line import Line
from engine.stateful.tasks import Tasks, first_of

log = logging.getLogger("tidestep")

WELCOME_S = 15.0
"""How long connecting, and the answer to Hello, may take."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, JITTER = 1.0, 30.0, 0.25
"""Between two attempts to connect; the first one after a loss comes at once."""
UNWINDING_S = 1.0
"""How long cancelled handlers may take to end when the runner does."""


class Runner:
    """`key` is the runner's own name. Each Runner is a session of it, and takes the place of an
    earlier one, which has died or is evicted."""

    def __init__(
        self,
        actors: Sequence[type[AnyActor]],
        *,
        pool: str,
        key: str,
        slots: int,
        connect: Connect,
        clock: Clock,
        entropy: Entropy,
        version: int = 0,
        connection: str = "",
        token: str = "",
    ) -> None:
        """Raises InvalidActor for a class that is not decorated, or a name that comes twice."""
        self.connected = asyncio.Event()
        """Set while the other side knows this runner."""
        self.runner_id = ""
        """What the other side calls it; empty before it is connected for the first time."""
        self.evicted = ""
        """Why it was evicted; empty where it was not."""
        self._hello = Hello(
            pool,
            key,
            slots,
            session=entropy.new_id(),
            version=version,
            connection=connection,
            token=token,
        )
        self._connect = connect
        self._entropy = entropy
        self._tasks = Tasks()
        self._line = Line(entropy.new_id())
        self._hosted = Hosted(
            definitions(actors), self._line, clock, self._tasks.spawn, self._look_whether_done
        )
        self._welcome: Welcome | None = None
        self._answered = 0.0
        """When the last ping was answered, in the loop's time."""
        self._silence: asyncio.TimerHandle | None = None
        self._cut = asyncio.Event()
        """Set to break the connection that is there."""
        self._running = False
        self._stopping = False
        self._finish = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Returns when the runner was evicted, or has stopped."""
        self._running = True
        try:
            await first_of(self._stay_connected(), self._wait_for(self._finish))
        finally:
            if self._silence is not None:
                self._silence.cancel()
            self._hosted.drop_all()
            self._line.restart()
            await self._tasks.wind_up(UNWINDING_S)
            self._ended.set()

    async def stop(self) -> None:
        """Have all actors saved and taken away, at most `stop_ms` long; returns when `run` does."""
        if not self._stopping:
            self._stopping = True
            if self._welcome is None:
                self._finish.set()
            else:
                asyncio.get_running_loop().call_later(
                    self._welcome.stop_ms / 1000, self._finish.set
                )
                if self.connected.is_set():
                    self._line.put(Stopping())
                self._look_whether_done()
        if self._running:
            await self._ended.wait()

    # -- connections ------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        pause = 0.0
        while not self._finish.is_set():
            began = loop.time()
            try:
                async with self._connect() as connection:
                    await self._talk(connection)
            except (ConnectionLost, TimeoutError) as error:
                log.info("runner %s: %s", self._hello.key, str(error) or "no answer in time")
            finally:
                if self.connected.is_set() and loop.time() - began >= FIRST_PAUSE_S:
                    pause = 0.0
                self.connected.clear()
                self._hosted.forget_uploads()
            await asyncio.sleep(pause * (1 + JITTER * self._entropy.chance()))
            pause = min(LONGEST_PAUSE_S, pause * 2 or FIRST_PAUSE_S)

    async def _talk(self, connection: Connection) -> None:
        async with asyncio.timeout(WELCOME_S):
            await connection.send(encode(self._hello))
            early: list[ToRunner] = []
            while not isinstance(frame := await _read(connection), Welcome):
                if isinstance(frame, Evicted):
                    self._be_evicted(frame)
                    return
                early.append(frame)
        self._begin(frame)
        for each in early:
            self._take(each)
        await first_of(
            self._listen(connection),
            self._speak(connection),
            self._ping(connection, frame),
            self._wait_for(self._cut),
        )

    def _begin(self, welcome: Welcome) -> None:
        if self.runner_id not in ("", welcome.runner):
            log.warning("runner %s was lost, and is %s now", self.runner_id, welcome.runner)
            self._hosted.drop_all()
            self._line.restart()
        self.runner_id = welcome.runner
        self._welcome = welcome
        self._hosted.stop_ms = welcome.stop_ms
        self._cut.clear()
        self._line.resume(welcome.events)
        self._hear()
        self.connected.set()
        if self._stopping:
            self._line.put(Stopping())

    async def _listen(self, connection: Connection) -> None:
        while True:
            self._take(await _read(connection))

    async def _speak(self, connection: Connection) -> None:
        while True:
            outgoing = await self._line.take()
            try:
                await connection.send(outgoing.text)
            except BaseException:
                self._line.unsent(outgoing)
                raise
            self._line.sent(outgoing)
            self._look_whether_done()

    async def _ping(self, connection: Connection, welcome: Welcome) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(welcome.ping_ms / 1000)
            silent = loop.time() - self._answered
            asked = self._line.unanswered_since
            if asked is not None and loop.time() - asked >= welcome.lost_ms / 1000:
                raise ConnectionLost("a frame is not answered")  # all is sent again on the next one
            await connection.send(encode(Ping(int(silent * 1000))))

    def _hear(self) -> None:
        """The other side knows that this runner lives."""
        assert self._welcome is not None
        loop = asyncio.get_running_loop()
        self._answered = loop.time()
        if self._silence is not None:
            self._silence.cancel()
        self._silence = loop.call_later(self._welcome.lost_ms / 1000, self._give_up)

    def _give_up(self) -> None:
        """The actors are given to others by now."""
        if len(self._hosted):
            log.warning("runner %s is cut off: its actors are dropped", self.runner_id)
        self._hosted.drop_all("the runner was cut off for too long")
        self._line.clear()
        self._cut.set()

    # -- frames -----------------------------------------------------------------------------------

    def _take(self, frame: ToRunner) -> None:
        hosted = self._hosted
        match frame:
            case Loaded() | Saved() | Fetched():
                self._line.answer(frame)
            case EventsStored():
                self._line.confirm(frame.index)
                self._look_whether_done()
            case Pong():
                self._hear()
            case Commands():
                self._obey(frame)
            case RequestStart():
                hosted.begin_request(frame)
            case RequestChunk():
                hosted.go_on_with_request(frame)
            case RequestAbort():
                hosted.abort_request(frame)
            case SocketOpen():
                hosted.open_socket(frame)
            case SocketMessage():
                hosted.message(frame)
            case SocketClose():
                hosted.closed(frame)
            case Evicted():
                self._be_evicted(frame)
            case Welcome():
                pass

    def _obey(self, frame: Commands) -> None:
        for command in frame.commands:
            if command.index <= self._line.commands:
                continue
            self._line.commands = command.index
            match command.order:
                case StartActor() as order:
                    self._hosted.start(order)
                case StopActor() as order:
                    self._hosted.stop(order)

    def _be_evicted(self, frame: Evicted) -> None:
        level = logging.INFO if frame.reason == STOPPED_REASON else logging.WARNING
        log.log(level, "runner %s is evicted: %s", self.runner_id or self._hello.key, frame.reason)
        self.evicted = frame.reason or "evicted"
        self._finish.set()

    def _look_whether_done(self) -> None:
        if self._stopping and not len(self._hosted) and self._line.idle:
            self._finish.set()

    async def _wait_for(self, event: asyncio.Event) -> None:
        await event.wait()


def definitions(actors: Sequence[type[AnyActor]]) -> dict[str, Definition]:
    """By name. Raises InvalidActor."""
    found: dict[str, Definition] = {}
    for actor in actors:
        definition = definition_of(actor)
        if found.setdefault(definition.name, definition).kind is not actor:
            raise InvalidActor(f"two stateful actors are called '{definition.name}'")
    if not found:
        raise InvalidActor("a runner needs at least one actor")
    return found


async def _read(connection: Connection) -> ToRunner:
    """The next frame that can be read. Raises ConnectionLost."""
    while True:
        text = await connection.receive()
        if text is None:
            raise ConnectionLost("the connection was closed")
        try:
            return to_runner(text)
        except UnknownFrame as error:
            log.warning("%s", error)
