"""A recorded history in which everything happens, to be told again with one thing wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from engine.layout import INBOX_PREFIX, PAGE_PREFIX, RunKey
from engine.simulation.checks.results import ScriptedResults
from engine.simulation.workloads.generated import generate
from engine.snapshot import (
    Head,
    Kind,
    Status,
)
from tests.engine.simulation.randomly import Recorder, quietly, simulated

Told = list[tuple[str, tuple[Any, ...]]]
EVERYTHING = {
    Kind.DONE,
    Kind.FAILED,
    Kind.RETRIED,
    Kind.SLEPT,
    Kind.WAITED,
    Kind.SIGNALLED,
    Kind.EXPIRED,
}


def recorded(seed: int) -> Told:
    recorder = Recorder()
    with quietly():
        simulated(seed, "none", [recorder])
    return recorder.told


def saves(told: Told) -> Iterator[tuple[int, RunKey, Head | None, Head]]:
    """The place of each save in what was told, and what it was."""
    for place, (name, facts) in enumerate(told):
        if name == "head_saved":
            yield place, facts[0], facts[1], facts[2]


def has_everything(told: Told) -> bool:
    heads = [after for _, _, _, after in saves(told)]
    written = [facts[0].name for name, facts in told if name == "item_written"]
    return (
        {head.tail[-1].kind for head in heads if head.tail} >= EVERYTHING
        and all(any(name.startswith(each) for name in written) for each in (PAGE_PREFIX, "out/"))
        and all(any(getattr(head, each) for head in heads) for each in ("ports", "states", "owed"))
        and any("from:" in name and name.startswith(INBOX_PREFIX) for name in written)
        and any(len(h.frontier) > 1 and h.status is Status.ACTIVE for h in heads)
        and any(head.status is Status.COMPLETED for head in heads)
    )


@cache
def eventful() -> tuple[int, Told]:
    """A seed, and what its simulation told: results of all kinds, pages, large outputs, queued
    messages, states, signals, debts."""
    for seed in range(500):
        told = recorded(seed)
        if has_everything(told):
            return seed, told
    raise AssertionError("in none of 500 random workloads everything happens")


def objection(seed: int, told: Told) -> str | None:
    """The rule that a fresh observer sees broken."""
    (observer,) = generate(seed).observers()
    assert isinstance(observer, ScriptedResults)
    violation = Recorder(told).retell(observer)
    return None if violation is None else violation.rule
