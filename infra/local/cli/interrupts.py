"""Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.

The handlers are Python's own and not the event loop's, because an actor that blocks the loop must
be interruptible too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from infra.local.cli.exits import INTERRUPTED

GIVE_UP_S = 5.0
"""How long "at once" may take. An exception that is raised anywhere at all may be lost, or leave
something waiting for what no longer comes; everything stored survives a process that just ends."""


class Interrupts:
    """Installs the handlers while entered, on the running event loop.

    `stop` is set by the first signal, after which `asked` is called on the loop. The second raises
    KeyboardInterrupt wherever the program is.
    """

    def __init__(self, asked: Callable[[], None]) -> None:
        self.stop = asyncio.Event()
        self.caught: signal.Signals | None = None
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            _end_within(GIVE_UP_S)
            self._loop.set_exception_handler(_ignore)  # tasks are torn apart; that is no news
            raise KeyboardInterrupt
        self.caught = signal.Signals(number)
        self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        self.stop.set()
        self._asked()


def _end_within(seconds: float) -> None:
    watchdog = threading.Timer(seconds, os._exit, [INTERRUPTED])
    watchdog.daemon = True
    watchdog.start()


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    pass
