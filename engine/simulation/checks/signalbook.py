"""Signals and debts: what was stored, what was consumed, what was promised (DESIGN §4 rules 7, 14).

- A signal is stored once, whatever its sender repeats, and consumed once, by a wait that may take
  it, with the payload that was sent. It is not removed before.
- A wait does not time out while a signal for it lies there that its sender was told is accepted.
- Of one sender, the signals that waits of one name consume come in the order they were sent in.
- A debt leaves the head when its receiver has the signal, or cannot have it any more.
- At rest nobody waits for what has come, and nobody owes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.inbox import BY_NAME, Signal, decode_signal
from engine.layout import INBOX_PREFIX, RunKey
from engine.ports import Item
from engine.simulation.observing import Violation
from engine.snapshot import Entry, Head, Kind, Owed, State, Token, Value


class SignalBook:
    """The inbox of one run."""

    def __init__(self, key: RunKey) -> None:
        self._key = key
        self.stored: dict[str, Signal] = {}
        """Every signal that ever came, by its item's name."""
        self._came_at: dict[str, int] = {}
        self.ids: set[str] = set()
        self.accepted: set[str] = set()
        """Ids whose senders were answered."""
        self._consumed: set[str] = set()
        """Or given up: an answer that no wait can take any more."""
        self._sequences: dict[tuple[str, str], int] = {}

    def written(self, item: Item, at: int) -> None:
        """Raises Violation."""
        if not item.name.startswith(INBOX_PREFIX):
            return
        signal = decode_signal(item.body)
        if item.name in self.stored:
            return
        if signal.id in self.ids:
            raise self._violation("one signal", f"{signal.id} was stored twice")
        self.ids.add(signal.id)
        self.stored[item.name] = signal
        self._came_at[item.name] = at

    def named(self, id: str) -> Signal | None:
        """The signal of this id, if it came."""
        return next((signal for signal in self.stored.values() if signal.id == id), None)

    def sent_as(self, sender: str, sequence: int) -> str:
        """The id under which this signal of another run came; empty for none."""
        for signal in self.stored.values():
            if (signal.sender, signal.sequence) == (sender, sequence):
                return signal.id
        return ""

    def granted(self, id: str, asked: tuple[str, Any], json_of: Callable[[Value], Any]) -> None:
        """A caller was told that his signal, a name and a payload, is stored. Raises Violation."""
        signal = self.named(id)
        if signal is None:
            raise self._violation("accepted", f"signal {id} was accepted, and is not stored")
        if (signal.name, json_of(signal.value)) != asked:
            raise self._violation("same signal", f"{signal} is stored, and {asked} was accepted")
        self.accepted.add(id)

    def had_come(self, head: Head, token: Token, before: int) -> list[str]:
        """What this wait could consume, and was there before that time."""
        return [name for name in self._for(head, token) if self._came_at[name] < before]

    def deleted(self, name: str, head: Head, *, ended: bool) -> None:
        """Raises Violation."""
        if not name.startswith(INBOX_PREFIX) or name in self._consumed or ended:
            return
        if not self._is_dead(head, self.stored[name]):
            raise self._violation("lost signal", f"{name} was removed, and nobody consumed it")
        self._consumed.add(name)

    def _is_dead(self, head: Head, signal: Signal) -> bool:
        """Whether it is an answer to a wait that is over, or will never begin."""
        if signal.node == BY_NAME:
            return False
        wait = head.wait(signal.node, signal.visit)
        begun = 0 if wait is None else wait.ordinal
        tokens = [t for t in head.frontier if (t.node, t.visit) == (signal.node, signal.visit)]
        waiting = any(token.state is State.WAITING for token in tokens)
        return not tokens or signal.ordinal < begun or (signal.ordinal == begun and not waiting)

    def saved(self, before: Head | None, after: Head, entry: Entry | None) -> None:
        """Raises Violation."""
        if before is None or entry is None:
            return
        fresh = set(after.consumed) - set(before.consumed)
        if entry.kind is not Kind.SIGNALLED:
            self._dies(after, fresh)
        if entry.kind is Kind.EXPIRED:
            wait = before.wait(entry.node, entry.visit)
            ordinal = 0 if wait is None else wait.ordinal
            for name in self._open(entry.node, entry.visit, ordinal, entry.port):
                if self.stored[name].id in self.accepted:
                    raise self._violation("time-out", f"{entry} expired, and {name} had come")
        if entry.kind is Kind.SIGNALLED:
            self._consumes(before, after, entry, fresh)

    def forgotten(self, head: Head) -> str:
        """At rest: what lies there for a wait that goes on; empty for nothing."""
        for token in head.frontier:
            if token.state is State.WAITING:
                waiting = self._for(head, token)
                if waiting:
                    return f"{token} waits for what has come: {waiting}"
        return ""

    def _for(self, head: Head, token: Token) -> list[str]:
        wait = head.wait(token.node, token.visit)
        if wait is None:
            raise self._violation("wait", f"{token} waits, and for nothing")
        return self._open(token.node, token.visit, wait.ordinal, wait.name)

    def _open(self, node: int, visit: int, ordinal: int, name: str) -> list[str]:
        """What this wait could consume."""
        return [
            item
            for item, signal in self.stored.items()
            if item not in self._consumed and _is_for(signal, node, visit, ordinal, name)
        ]

    def _dies(self, after: Head, names: set[str]) -> None:
        """Answers may go that no wait can take any more, and nothing else."""
        for name in names:
            signal = self.stored.get(name)
            if signal is None or signal.node == BY_NAME or name in self._consumed:
                raise self._violation("consume", f"{name} is listed, and nobody consumed it")
            if not self._is_dead(after, signal):
                raise self._violation("consume", f"{name} was given up, and its wait may take it")
            self._consumed.add(name)

    def _consumes(self, before: Head, after: Head, entry: Entry, fresh: set[str]) -> None:
        wait = before.wait(entry.node, entry.visit)
        taken = [
            name
            for name in fresh - self._consumed
            if wait is not None
            and name in self.stored
            and _is_for(self.stored[name], entry.node, entry.visit, wait.ordinal, wait.name)
        ]
        if len(taken) != 1:
            text = f"{entry} consumed {taken or 'what had been before'} for {wait}"
            raise self._violation("consume", text)
        (name,) = taken
        signal = self.stored[name]
        self._dies(after, fresh - {name})
        if signal.value != entry.value:
            raise self._violation("consume", f"{entry} is not what was sent: {signal}")
        self._consumed.add(name)
        if signal.sender:
            last = self._sequences.get((signal.sender, signal.name), -1)
            if signal.sequence <= last:
                raise self._violation("order", f"{signal} was consumed after {last}")
            self._sequences[signal.sender, signal.name] = signal.sequence

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, f"run {self._key.run}: {text}")


def _is_for(signal: Signal, node: int, visit: int, ordinal: int, name: str) -> bool:
    if signal.node == BY_NAME:
        return signal.name == name
    return (signal.node, signal.visit, signal.ordinal) == (node, visit, ordinal)


def paid(before: Head | None, after: Head) -> list[Owed]:
    """What the head owed and owes no more."""
    still = {owed.id for owed in after.owed}
    return [owed for owed in (before.owed if before is not None else ()) if owed.id not in still]
