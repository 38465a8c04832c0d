"""Runners' connections: a pair of channels that keep their order, and may break at any time.

What must stay true
- Frames of one direction arrive in the order in which they were sent, or not at all: what is under
  way when the connection breaks is lost, and nothing comes after it.
- Who learns of a break, and when, is chance: until the server does, what it posts is swallowed; it
  may never be told, and find out only because it posts.
- Each frame is an invocation of its own, as behind API Gateway: of two, the second may be handled
  first.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Protocol

from engine.allocation.ports import ConnectionGone
from engine.simulation.allocation.gate import Gate
from engine.simulation.world.faults import SUBJECT
from engine.simulation.world.functions import Function, escaped
from engine.simulation.world.line import LATENCY_MS, Line
from engine.simulation.world.process import Process
from engine.simulation.world.stage import Stage

SOON_MS = 3_000
LATE_MS = 20_000
"""At most until an end of a broken connection learns of it."""


class Peer(Protocol):
    """The runner's end."""

    def frame_came(self, link: Link, text: str) -> None: ...

    def link_closed(self, link: Link) -> None: ...


class Link:
    """One connection."""

    def __init__(self, wire: Wire, id: str, peer: Peer) -> None:
        self.id = id
        self.peer = peer
        self.open = True
        """Whether frames pass, in fact."""
        self.frames = count(1)
        self._wire = wire
        self._arrivals = {"up": 0.0, "down": 0.0}

    def send(self, text: str) -> None:
        """By the runner."""
        if self.open:
            self._wire.carry(self, "up", lambda: self._wire.arrived(self, text))

    def hang_up(self) -> None:
        """By the runner: what it has sent arrives, and the server learns of the end."""
        if self.open:
            self._wire.carry(self, "up", lambda: self._wire.ended(self))

    def arrival(self, direction: str, latency_ms: float, now: float) -> float:
        """When a frame that is sent now arrives, in milliseconds from now: after all before it."""
        at = max(now + latency_ms, self._arrivals[direction])
        self._arrivals[direction] = at
        return at - now


class Wire:
    """All connections of one world. `door` serves them."""

    def __init__(self, stage: Stage, door: Function[Gate]) -> None:
        self._stage = stage
        self._door = door
        self._ids = count(1)
        self.links: dict[str, Link] = {}
        """Those that the server believes to be open."""

    def open(self, peer: Peer) -> Link:
        link = Link(self, f"c{next(self._ids)}", peer)
        self.links[link.id] = link
        return link

    # -- what moves -------------------------------------------------------------------------------

    def carry(self, link: Link, direction: str, arrive: Callable[[], object]) -> None:
        """Let something arrive in this direction, unless the connection breaks before it does."""
        stage, dice = self._stage, self._stage.dice
        if dice.fault(direction, ("disconnected",), link.id):
            self.cut(link)
            return
        latency = LATENCY_MS + dice.size("jitter_ms", link.id)
        delay = link.arrival(direction, latency, stage.loop.time() * 1000)
        stage.later(delay, lambda: arrive() if link.open else None)

    def cut(self, link: Link) -> None:
        """Break the connection; both ends learn of it at some time, or one never does."""
        if not link.open:
            return
        link.open = False
        dice, site = self._stage.dice, f"cut:{link.id}"
        self._stage.note("wire", "{} breaks", link.id)
        self._stage.later(1 + dice.pick(site, SOON_MS), self._tell_peer, link)
        if dice.pick(site, 3):
            self._stage.later(1 + dice.pick(site, LATE_MS), self._tell_server, link)
        else:
            self._stage.later(1 + dice.pick(site, LATE_MS), self._forget, link)

    def ended(self, link: Link) -> None:
        """An orderly end."""
        if link.open:
            link.open = False
            self._stage.later(LATENCY_MS, self._tell_peer, link)
            self._tell_server(link)

    def _tell_peer(self, link: Link) -> None:
        link.peer.link_closed(link)

    def _forget(self, link: Link) -> None:
        self.links.pop(link.id, None)

    # -- the server's end -------------------------------------------------------------------------

    def arrived(self, link: Link, text: str) -> None:
        self._invoke(link, "frame", lambda gate: gate.detached.frame(link.id, text))

    def _tell_server(self, link: Link) -> None:
        self._forget(link)
        self._invoke(link, "closed", lambda gate: gate.detached.closed(link.id))

    def _invoke(
        self, link: Link, what: str, work: Callable[[Gate], Coroutine[Any, Any, None]]
    ) -> None:
        """What an invocation could not do, nobody is told."""
        subject = f"{link.id}/{what}{next(link.frames)}"

        async def invoked(process: Process, gate: Gate) -> None:
            SUBJECT.set(subject)
            if self._stage.dice.fault(what, ("crashed",)):
                process.doom()
            await work(gate)
            process.spare()

        self._door.invoke(invoked, lambda _, error: escaped(self._stage, error))

    def post(self, id: str, text: str) -> bool:
        """Whether the connection is open, as far as the server knows."""
        link = self.links.get(id)
        if link is None:
            return False
        if link.open:
            self.carry(link, "down", lambda: link.peer.frame_came(link, text))
        return True

    def close(self, id: str) -> None:
        """By the server: what it has posted arrives."""
        link = self.links.get(id)
        if link is not None and link.open:
            self.carry(link, "down", lambda: self.ended(link))


class SimulatedSockets:
    """Implements `engine.allocation.ports.Sockets` for one process."""

    def __init__(self, wire: Wire, line: Line) -> None:
        self._wire = wire
        self._line = line

    async def post(self, connection: str, text: str) -> None:
        if not await self._line.write("post", lambda: self._wire.post(connection, text)):
            raise ConnectionGone

    async def close(self, connection: str) -> None:
        await self._line.write("close", lambda: self._wire.close(connection))
