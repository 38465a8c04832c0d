"""The engine's log lines on stderr: warnings by default, everything with `--verbose`.

Tracebacks are shown with `--verbose` alone: what an actor raised is in the run's history anyway.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ROOT = "tidestep"


@contextmanager
def logging_to(say: Callable[[str], None], *, verbose: bool) -> Iterator[None]:
    """Hand the engine's log lines to `say` while entered."""
    logger = logging.getLogger(ROOT)
    before = logger.level
    handler = _Handler(say, verbose)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _Handler(logging.Handler):
    def __init__(self, say: Callable[[str], None], verbose: bool) -> None:
        super().__init__()
        self._say = say
        self.setFormatter(_WithTracebacks() if verbose else _OneLine())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._say(self.format(record))
        except Exception:
            self.handleError(record)


class _WithTracebacks(logging.Formatter):
    """Time, level, message, and where an actor said it; then the traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        where = " ".join(
            str(value)
            for name in ("run", "node")
            if (value := getattr(record, name, None)) is not None
        )
        return f"{at} {record.levelname.lower():7} {f'{where}: ' if where else ''}{record.message}"


class _OneLine(_WithTracebacks):
    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        return self.formatMessage(record)
