"""The engine's warnings and errors, as lines of the history instead of on the console."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from engine.simulation.world.stage import Stage

_ENGINE = logging.getLogger("tidestep")


class _ToTrace(logging.Handler):
    def __init__(self, stage: Stage) -> None:
        super().__init__(logging.WARNING)
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        self._stage.note("log", "{}", record.getMessage())


@contextmanager
def logs_in(stage: Stage) -> Iterator[None]:
    """What the engine logs meanwhile goes into the stage's trace, and nowhere else."""
    handler, propagate = _ToTrace(stage), _ENGINE.propagate
    _ENGINE.addHandler(handler)
    _ENGINE.propagate = False
    try:
        yield
    finally:
        _ENGINE.removeHandler(handler)
        _ENGINE.propagate = propagate
