"""What all of one simulation shares: true time, chance, the trace, and who watches."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Iterable
from contextvars import Context
from itertools import count
from typing import Any

from engine.simulation.observing import Observer, Violation
from engine.simulation.world.faults import NOTHING_MUTED, Dice, Faults, Muting
from engine.simulation.world.loop import VirtualLoop
from engine.simulation.world.trace import Trace

EPOCH = 1_700_000_000_000
"""The true time at which every simulation begins (ms since 1970)."""


class Stage:
    """One simulation's time and chance. The loop is its own, and closed with it."""

    def __init__(
        self,
        seed: int,
        faults: Faults,
        muting: Muting = NOTHING_MUTED,
        observers: Iterable[Observer] = (),
    ) -> None:
        self.loop = VirtualLoop()
        self.dice = Dice(seed, faults, muting, on_fault=self._fault)
        self.trace = Trace(EPOCH)
        self.observers = list(observers)
        self.broken: Exception | None = None
        """Why the simulation ends early: a Violation, or an observer's own error."""
        self._ids = count(1)
        self._over = False

    def now(self) -> int:
        """The true time, ms since 1970."""
        return EPOCH + round(self.loop.time() * 1000)

    def new_id(self) -> str:
        return f"{next(self._ids):011d}"

    def later(self, delay_ms: float, act: Callable[..., object], *args: Any) -> TimerHandle:
        """Do something later, on no host: it outlives whoever asked for it."""
        return self.loop.call_later(delay_ms / 1000, act, *args, context=Context())

    def note(self, who: str, text: str, *facts: Any) -> None:
        self.trace.note(self.now(), who, text, *facts)

    def tell(self, telling: Callable[[Observer, int], None]) -> None:
        """Tell every observer. What one raises ends the simulation, not the observed code."""
        if self._over:  # what is disposed of may run its `finally` blocks
            return
        at = self.now()
        for observer in self.observers:
            try:
                telling(observer, at)
            except Exception as error:
                self.end(error)

    def end(self, error: Exception) -> None:
        """End the simulation because of `error`; the first one counts."""
        if self.broken is None:
            self.broken = error
            kind = "VIOLATION" if isinstance(error, Violation) else type(error).__name__
            self.note(kind, "{}", error)
        self.loop.stop()

    def close(self) -> None:
        """What is left of the processes is disposed of, and watched no more."""
        self._over = True
        self.loop.close()

    def _fault(self, occurrence: str) -> None:
        self.note("!", "{}", occurrence)
