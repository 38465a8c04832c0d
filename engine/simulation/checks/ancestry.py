"""Runs that begin with a history: what a fork must have of the run that it comes from (DESIGN §5).

What must stay true
- Every result before the chosen step is the original's, in number, content and time; what follows
  them are the messages that the fork was given.
- What is pending where the fork begins is what the reference model says after those results. So a
  fork shows whether the stored history is enough to go on from, at any step of any run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.layout import page_item
from engine.simulation.checks.reference import Divergence, Marking
from engine.snapshot import Entry, Head, Kind, Payload, Value, decode_page

_WAITED = (Kind.SIGNALLED, Kind.EXPIRED)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a run that its forks need: its results, and which joins went without
    optional messages after which of them."""

    entries: Sequence[Entry]
    joins: Mapping[int, int]


def stored_entries(head: Head, items: Mapping[str, bytes]) -> tuple[list[Entry], list[str]]:
    """The results that the head and its pages hold, and the pages' names. Raises Divergence."""
    entries: list[Entry] = []
    names: list[str] = []
    while len(entries) + 1 < head.first:
        name = page_item(len(entries) + 1)
        if name not in items:
            raise Divergence(f"{name} is missing")
        entries += decode_page(items[name]).entries
        names.append(name)
    return [*entries, *head.tail], names


def inherit(model: Marking, head: Head, own: Sequence[Entry], past: Past) -> None:
    """Bring the model, which is fresh, to where this fork begins. Raises Divergence."""
    lineage = head.lineage
    assert lineage is not None, "a fork says where it comes from"
    kept, chosen = past.entries[: lineage.step - 1], past.entries[lineage.step - 1]
    for number, (ours, theirs) in enumerate(zip(own, kept, strict=False), 1):
        if _plain(ours) != _plain(theirs):
            raise Divergence(f"result {number} is {ours}, and was {theirs}")
    changes = own[len(kept) :]
    if len(own) < len(kept) or any(entry.kind is not Kind.CHANGED for entry in changes):
        raise Divergence(f"it begins with {len(own)} results, of which it was given {len(changes)}")
    model.begin()
    epoch = _replay(model, kept, past.joins)
    while epoch < chosen.epoch:
        model.reopen()
        epoch += 1
    _change(model, chosen, changes, len(kept))
    if any(pending.stopped for pending in model.pending.values()):
        model.reopen()
        epoch += 1
    model.go_on()
    model.steps = 0
    if head.epoch != epoch:
        raise Divergence(f"it begins in epoch {head.epoch}, not {epoch}")


def _replay(model: Marking, entries: Sequence[Entry], joins: Mapping[int, int]) -> int:
    """The epoch of the last of these results."""
    epoch = 0
    for number, entry in enumerate(entries, 1):
        while epoch < entry.epoch:
            model.reopen()
            epoch += 1
        model.go_on()
        record(model, number, entry)
        if number in joins:
            model.go_on()
            model.go_without(joins[number])
    return epoch


def record(model: Marking, number: int, entry: Entry) -> tuple[int, ...]:
    """Tell the model one result; the inputs that it should have had. Raises Divergence."""
    activation = (entry.node, entry.visit)
    if entry.kind is not Kind.CHANGED:
        kind = Kind(entry.kind)
        return model.settle(number, activation, entry.attempt, kind, entry.port).inputs
    inputs = model.pending[activation].inputs
    model.change(number, activation, int(entry.port))
    return inputs


def _change(model: Marking, chosen: Entry, changes: Sequence[Entry], before: int) -> None:
    activation = (chosen.node, chosen.visit)
    if activation not in model.pending:
        raise Divergence(f"{activation} was not pending before the step")
    if chosen.kind not in _WAITED:
        model.pending[activation].failures = 0
    for number, entry in enumerate(changes, before + 1):
        if (entry.node, entry.visit) != activation:
            raise Divergence(f"{entry} changes another step than the chosen one")
        record(model, number, entry)


def _plain(entry: Entry) -> Entry:
    """What is the same in a fork: all but owners, drawn numbers, and the names of blobs."""
    state = None if entry.state is None else _anywhere(entry.state)
    return replace(entry, owner="", chance=None, value=_anywhere(entry.value), state=state)


def _anywhere(value: Value) -> Value:
    return replace(value, ref="") if isinstance(value, Payload) and value.blob else value
