"""Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.

The handlers are Python's own and not the event loop's, because an actor that blocks the loop must
be interruptible too.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self


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
            self._loop.set_exception_handler(_ignore)  # tasks are torn apart; that is no news
            raise KeyboardInterrupt
        self.caught = signal.Signals(number)
        self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        self.stop.set()
        self._asked()


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    pass
