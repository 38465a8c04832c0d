"""Signals and debts: what was stored, what was consumed, what was promised (DESIGN §4 rules 7, 14).

- A signal is stored once, whatever its sender repeats, and consumed once, by a wait that may take
  it, with the payload that was sent. It is not removed before.
- A wait does not time out while a signal for it lies there that its sender was told is accepted.
- Of one sender, the signals that waits of one name consume come in the order they were sent in.
- A debt leaves the head when its receiver has the signal, or cannot have it any more.
- At rest nobody waits for what has come, and nobody owes.
"""

from __future__ import annotations

from engine.inbox import BY_NAME, Signal, decode_signal
from engine.layout import INBOX_PREFIX, RunKey
from engine.ports import Item
from engine.simulation.observing import Violation
from engine.snapshot import Entry, Head, Kind, Owed, State, Token


class SignalBook:
    """The inbox of one run."""

    def __init__(self, key: RunKey) -> None:
        self._key = key
        self.stored: dict[str, Signal] = {}
        """Every signal that ever came, by its item's name."""
        self.ids: set[str] = set()
        self.accepted: set[str] = set()
        """Ids whose senders were answered."""
        self._consumed: set[str] = set()
        self._sequences: dict[tuple[str, str], int] = {}

    def written(self, item: Item) -> None:
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

    def deleted(self, name: str, *, ended: bool) -> None:
        """Raises Violation."""
        if name.startswith(INBOX_PREFIX) and name not in self._consumed and not ended:
            raise self._violation("lost signal", f"{name} was removed, and nobody consumed it")

    def saved(self, before: Head | None, after: Head, entry: Entry | None) -> None:
        """Raises Violation."""
        if before is None or entry is None:
            return
        if entry.kind is Kind.EXPIRED:
            wait = before.wait(entry.node, entry.visit)
            ordinal = 0 if wait is None else wait.ordinal
            for name in self._open(entry.node, entry.visit, ordinal, entry.port):
                if self.stored[name].id in self.accepted:
                    raise self._violation("time-out", f"{entry} expired, and {name} had come")
        if entry.kind is Kind.SIGNALLED:
            self._consumes(before, after, entry)

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

    def _consumes(self, before: Head, after: Head, entry: Entry) -> None:
        fresh = set(after.consumed) - set(before.consumed)
        if len(fresh) != 1:
            raise self._violation("consume", f"{entry} consumed {fresh or 'what had been before'}")
        (name,) = fresh
        signal = self.stored.get(name)
        wait = before.wait(entry.node, entry.visit)
        if signal is None or name in self._consumed or wait is None:
            raise self._violation("consume", f"{entry} consumed {name}, which is not there")
        if not _is_for(signal, entry.node, entry.visit, wait.ordinal, wait.name):
            raise self._violation("consume", f"{entry} consumed {signal}, which is not for it")
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
