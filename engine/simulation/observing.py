"""What watches a simulation, and how it says that something went wrong.

Observers are called synchronously, at the moment at which the thing happens in the simulated world:
`head_saved` when the store holds the new head, whether or not the process that wrote it lives to
hear so. What they see is the truth of the services, not what some process believes of it.

An observer changes nothing and asks the engine for nothing. It raises `Violation` when it has seen
what must not be; the simulation ends there, with the violation in its report.

`at` is milliseconds of true time since 1970; processes have clocks of their own. `worker` names the
process, and never the same one twice. A token is (epoch, node, visit, attempt), as in messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.layout import RunKey
from engine.ports import Item
from engine.receiving import Handled
from engine.snapshot import Head

BLOBS = ""
"""The partition under which observers are told of blobs."""
TokenId = tuple[int, int, int, int]
"""Epoch, node, visit and attempt."""


class Violation(Exception):
    """A rule was broken: `rule` names it in a word or two, `text` says what was seen."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(rule, text)
        self.rule = rule
        self.text = text

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


class Observer:
    """Inherit from it and override what you want to see; the rest does nothing.

    Of a transaction everything is stored before any of it is told: items first, then the head.
    """

    # -- the store --------------------------------------------------------------------------------

    def head_saved(self, key: RunKey, before: Head | None, after: Head, at: int) -> None:
        """The run's head was replaced."""

    def service_saved(self, key: RunKey, before: bytes | None, after: bytes, at: int) -> None:
        """The head of a service run was replaced; what is in it, its own code knows."""

    def item_written(self, item: Item, at: int) -> None:
        """An item was written, for the first time or again; blobs too, of partition `BLOBS`."""

    def item_deleted(self, partition: str, name: str, at: int) -> None:
        """An item that was there is gone."""

    # -- the queue --------------------------------------------------------------------------------

    def sent(self, body: str, delay_ms: int, at: int) -> None:
        """A process put a message on the queue; copies that the queue makes are not told."""

    def delivered(self, body: str, worker: str, receives: int, at: int) -> None:
        """A process was given a message."""

    def acknowledged(self, body: str, at: int) -> None:
        """A message was deleted from a queue, that of the dead letters included."""

    def backlog_read(self, messages: int, worker: str, at: int) -> None:
        """A sweep was told how many messages wait on the queue."""

    def dead_lettered(self, body: str, reason: str, at: int) -> None:
        """The queue gave a message up: received too often. Expired ones are told here too."""

    # -- processes --------------------------------------------------------------------------------

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        """The actor of this token was called."""

    def actor_ended(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        """It returned, raised or was cut off. Not told where its process died."""

    def handled(self, handled: Handled, worker: str, at: int) -> None:
        """A delivery came to its end without an error."""

    def raised(self, body: str, error: Exception, worker: str, at: int) -> None:
        """An error came out of handling a delivery, which will therefore come again."""

    def died(self, worker: str, at: int) -> None:
        """A process was killed: it does nothing any more."""

    # -- callers ----------------------------------------------------------------------------------

    def answered(self, call: str, key: RunKey, result: Any, at: int) -> None:
        """A caller got an answer: what the call returned, or the error that it raised.

        A call whose process dies has no answer; its caller asks again.
        """

    def granted(self, call: str, key: RunKey, asked: Any, result: Any, at: int) -> None:
        """Told with `answered` where the answer was no error: what the caller had asked for."""

    # -- the end ----------------------------------------------------------------------------------

    def calmed(self, at: int) -> None:
        """The faults have stopped for good; what they have done is done. At the beginning, where
        there are none."""

    def came_to_rest(self, heads: Mapping[RunKey, Head], quiet: bool, at: int) -> None:
        """The simulation is over. `quiet`: nothing would ever happen again, or nothing but waits;
        otherwise its time was up first."""
