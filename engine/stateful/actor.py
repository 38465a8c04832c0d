"""A stateful actor as its author writes it: a class, its state, and what it does when.

    @dataclass
    class Count:
        count: int = 0

    @stateful_actor(idle=60)
    class Counter(StatefulActor[Count]):
        async def on_request(self, request: Request) -> dict[str, int]:
            self.state.count += 1
            return {"count": self.state.count}

What must stay true
- The decorator describes and checks; it registers nothing, and gives back the class. Without a
  runner an actor is an ordinary object: `Counter()`, with a state that the test gives it.
- What an actor has answered, sent or taken off is saved before: nobody learns of a state that can
  still be lost. What it has done without saying so may be lost with its process.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from engine.errors import Misconfigured
from engine.stateful.alarms import alarm_time
from engine.stateful.exchange import Request
from engine.stateful.kv import KeyValues
from engine.stateful.sockets import WebSocket

S = TypeVar("S")


class Hosting(Protocol):
    """What the runner does for one actor; `StatefulActor` says what each is."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def generation(self) -> int: ...
    @property
    def input(self) -> Any: ...
    @property
    def kv(self) -> KeyValues: ...

    def now(self) -> int: ...
    def sleep(self) -> None: ...
    def destroy(self) -> None: ...
    async def set_alarm(self, at: int) -> None: ...
    async def save(self) -> None: ...


class StatefulActor(Generic[S]):
    """Decorate a subclass with `@stateful_actor`. Every handler is optional."""

    state: S
    """Change it in place, or assign another one. It is saved before anything leaves the actor, and
    is what the next start finds. At first it is the state type, called without arguments."""

    _hosting: Hosting | None = None
    _definition: ClassVar[Any]

    # -- what the author writes -------------------------------------------------------------------

    async def on_start(self) -> None:
        """The actor has been woken, or has just been created; requests wait until this ends."""

    async def on_request(self, request: Request) -> Any:
        """Answer with a Response, bytes, text, any JSON value, or None for an empty answer.

        As many run at the same time as `concurrency` says. What it raises is answered with 500.
        """

    async def on_websocket(self, socket: WebSocket) -> None:
        """Somebody has opened a WebSocket. It is closed when this ends.

        One runs for each socket, beside each other and beside requests.
        """

    async def on_alarm(self) -> None:
        """The time that `set_alarm` was given has come. It may run again after a crash.

        It takes its turn with the requests. The alarm is off once this has ended, unless it sets
        another one. What it raises is a crash of the actor.
        """

    async def on_sleep(self) -> None:
        """The actor is about to leave this process. Not called where there is no time left."""

    # -- what the author uses ---------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._hosted.id

    @property
    def name(self) -> str:
        """Of the kind of actor."""
        return self._hosted.name

    @property
    def key(self) -> tuple[str, ...]:
        """Of this actor among those of its name; () where it was created without one."""
        return self._hosted.key

    @property
    def generation(self) -> int:
        """Rises each time that the actor is given to a runner."""
        return self._hosted.generation

    @property
    def input(self) -> Any:
        """The JSON value that the actor was created with, or None."""
        return self._hosted.input

    @property
    def kv(self) -> KeyValues:
        """Keys with JSON values of this actor's own, outside its state."""
        return self._hosted.kv

    def sleep(self) -> None:
        """Ask to be put to sleep. Returns at once; running requests end before that happens."""
        self._hosted.sleep()

    def destroy(self) -> None:
        """Ask to be ended for good, with all that was stored. Returns at once."""
        self._hosted.destroy()

    async def set_alarm(self, when: datetime | timedelta | float | None) -> None:
        """Have `on_alarm` called at a time, or so many seconds from now, asleep or not.

        There is one alarm: this replaces it, and None takes it off. It will ring, whatever becomes
        of this process, once this has returned.
        """
        await self._hosted.set_alarm(alarm_time(when, self._hosted.now()))

    async def save(self) -> None:
        """Save the state now. Raises TooLarge or InvalidValue where it cannot be."""
        await self._hosted.save()

    @property
    def _hosted(self) -> Hosting:
        if self._hosting is None:
            raise Misconfigured(f"this {type(self).__name__} is not run by a runner")
        return self._hosting
