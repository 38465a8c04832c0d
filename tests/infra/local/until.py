"""Work until something happens."""

from __future__ import annotations

import asyncio

from engine.events import Event, Type


class Until:
    """Implements `engine.ports.Events`: sets `stop` at the first event of this type."""

    def __init__(self, wanted: Type) -> None:
        self.stop = asyncio.Event()
        self.event: Event | None = None
        self._wanted = wanted

    def publish(self, event: Event) -> None:
        if event.type is self._wanted:
            self.event = event
            self.stop.set()
