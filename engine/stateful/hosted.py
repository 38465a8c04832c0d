"""The actors that a runner hosts, and which of them a frame is for.

What must stay true
- Of one actor one generation at most is here, the newest that was ordered: an older order changes
  nothing, a newer one drops what is here.
- A request or WebSocket for an actor, or a generation, that is not here is refused as `not_here`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from engine.allocation.frames import (
    Refused,
    RequestAbort,
    RequestChunk,
    RequestStart,
    SocketClose,
    SocketMessage,
    SocketOpen,
    StartActor,
    StopActor,
    Stopped,
)
from engine.ports import Clock
from engine.stateful.answering import NOT_HERE, Spawn
from engine.stateful.bodies import Uploads
from engine.stateful.declaring import Definition
from engine.stateful.exchange import Request
from engine.stateful.instance import Instance
from engine.stateful.line import Line
from engine.stateful.sockets import RESTARTING
from engine.stateful.talking import Talking

log = logging.getLogger("tidestep")


class Hosted:
    """`left` is called whenever an actor has gone."""

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        line: Line,
        clock: Clock,
        spawn: Spawn,
        left: Callable[[], None],
    ) -> None:
        self.stop_ms = 30_000
        """How long a stopping actor may take."""
        self._definitions = definitions
        self._line = line
        self._clock = clock
        self._spawn = spawn
        self._left = left
        self._instances: dict[str, Instance] = {}
        self._switchboard: dict[str, Talking] = {}
        self._uploads = Uploads()

    def __len__(self) -> int:
        return len(self._instances)

    # -- orders -----------------------------------------------------------------------------------

    def start(self, order: StartActor) -> None:
        present = self._instances.get(order.actor)
        if present is not None:
            if present.generation >= order.generation:
                return
            log.warning("%r is replaced by generation %d", present, order.generation)
            present.drop()
        definition = self._definitions.get(order.name)
        if definition is None:
            known = ", ".join(self._definitions)
            error = f"UnknownActor: this runner has no actor '{order.name}'; it has {known}"
            self._line.report(order.actor, order.generation, Stopped(error))
            return
        instance = Instance(
            definition,
            order,
            line=self._line,
            clock=self._clock,
            stop_ms=self.stop_ms,
            spawn=self._spawn,
            switchboard=self._switchboard,
            left=self._gone,
        )
        self._instances[order.actor] = instance
        instance.start()

    def stop(self, order: StopActor) -> None:
        present = self._find(order.actor, order.generation)
        if present is not None:
            present.stop(order.forever)

    def drop_all(self, error: str = "") -> None:
        """End all actors unsaved; with an error, report them as stopped."""
        for instance in list(self._instances.values()):
            instance.drop(error)
        self.forget_uploads()

    # -- requests ---------------------------------------------------------------------------------

    def begin_request(self, frame: RequestStart) -> None:
        if self._find(frame.actor, frame.generation) is None:
            self._refuse(frame)
        elif (whole := self._uploads.begin(frame)) is not None:
            self._request(*whole)

    def go_on_with_request(self, frame: RequestChunk) -> None:
        if (whole := self._uploads.go_on(frame)) is not None:
            self._request(*whole)

    def abort_request(self, frame: RequestAbort) -> None:
        self._uploads.abort(frame.request)
        for instance in self._instances.values():
            instance.abort(frame.request)

    def forget_uploads(self) -> None:
        """What has not come by now will not: the connection has broken."""
        self._uploads.clear()

    # -- WebSockets -------------------------------------------------------------------------------

    def open_socket(self, frame: SocketOpen) -> None:
        instance = self._find(frame.actor, frame.generation)
        if instance is not None:
            instance.open_socket(frame)
        else:
            self._line.put(SocketClose(frame.socket, RESTARTING, NOT_HERE))

    def message(self, frame: SocketMessage) -> None:
        if (talking := self._switchboard.get(frame.socket)) is not None:
            talking.message(frame)

    def closed(self, frame: SocketClose) -> None:
        if (talking := self._switchboard.get(frame.socket)) is not None:
            talking.closed(frame)

    def _find(self, actor: str, generation: int) -> Instance | None:
        instance = self._instances.get(actor)
        return instance if instance is not None and instance.generation == generation else None

    def _request(self, start: RequestStart, request: Request) -> None:
        instance = self._find(start.actor, start.generation)
        if instance is None:
            self._refuse(start)
        else:
            instance.request(start.request, request)

    def _refuse(self, frame: RequestStart) -> None:
        self._line.put(Refused(frame.request, NOT_HERE))

    def _gone(self, instance: Instance) -> None:
        if self._instances.get(instance.id) is instance:
            del self._instances[instance.id]
        self._left()
