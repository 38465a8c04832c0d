"""Folding the history leads to where the run stood, whatever has happened to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.definition import Definition, RetryPolicy
from engine.ending import cancel, close, reopened
from engine.errors import Corrupt
from engine.folding import fold
from engine.outcomes import (
    Changed,
    Done,
    Expired,
    Failed,
    Outcome,
    Settling,
    Signalled,
    Slept,
    Waited,
)
from engine.settle import settle
from engine.snapshot import Entry, Failure, Head, State, Status, Token
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph

POLICY = RetryPolicy(max_attempts=3, interval=60, max_interval=7200)

GRAPHS = (
    graph(
        "a -> b", "a -> c", "b -> d.left", "c -> d.right", "d.again -> a", start="a", named=["b"]
    ),
    graph("a -> b", "b.error -> c", "b.again -> b", "c -> a", start="a", on_failure="continue"),
    graph("a -> b", "a -> b", "b -> c", concurrency={"b": 2}, max_steps=6),
    graph("a -> j.x", "b -> j.y", "j -> k", "j.again -> a", start="a b", optional={"j": ["y"]}),
)

ACTS = st.tuples(
    st.integers(0, 9),
    st.sampled_from(
        (
            "done",
            "again",
            "error",
            "raise",
            "permanent",
            "sleep",
            "wait",
            "change",
            "close",
            "cancel",
        )
    ),
    st.integers(0, 4_000_000),
    st.floats(0, 0.999),
)


def outcome_of(token: Token, act: str, now: int, much: int) -> Outcome:
    if token.state is State.WAITING:
        return Signalled(b"%d" % much, "inbox/x") if act in ("done", "again") else Expired()
    if act == "again":
        return Done("again", b"%d" % much)
    if act == "error":
        return Failed(Failure("ValueError", "no"), ("ValueError",), permanent=True)
    if act in ("raise", "permanent"):
        return Failed(Failure("OSError", "no"), ("OSError",), permanent=act == "permanent")
    if act == "sleep":
        return Slept(now + much)
    if act == "wait":
        return Waited(f"signal{much % 3}", now + (much % 5) if much % 2 else 0)
    if act == "change" and token.inputs:
        return Changed(much % len(token.inputs), b"%d" % much)
    return Done("out", b"%d" % much)


class History:
    """A run driven through `settle`, with all of its entries."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.first = first_head(definition, b"d" * 16, b"s" * 16, b"null", CREATED)
        self.head = self.first
        self.entries: list[Entry] = []
        self.now = CREATED

    def act(self, which: int, act: str, much: int, chance: float) -> None:
        self.now += much % 1000
        if self.head.status.terminal:
            if self.head.status is Status.COMPLETED or not self.head.frontier:
                return
            self.head = reopened(self.head, None, "retry", self.now)
        if act == "cancel":
            self.head = cancel(self.head, self.now)
            return
        if act == "close" and self.head.status is not Status.CLOSING:
            self.head = close(self.head, self.now, 60_000)
            return
        pending = [t for t in self.head.frontier if t.state is not State.STOPPED]
        if not pending:
            self.head = cancel(self.head, self.now)
            return
        token = pending[which % len(pending)]
        settling = Settling(
            token,
            outcome_of(token, act, self.now, much),
            "sid",
            self.now,
            took=much % 7,
            chance=chance,
            policy=POLICY,
            state=b"%d" % much if much % 3 == 0 else None,
        )
        settled = settle(self.head, self.definition, settling)
        self.head = settled.head
        self.entries.append(self.head.tail[-1])
        if settled.quiescent:
            self.head = replace(self.head, status=Status.COMPLETED)


def stand(head: Head) -> dict[str, Any]:
    """Where a run stands, without what differs between having lived through it and folding it."""
    return {
        "frontier": [
            (t.node, t.visit, t.attempt, t.state, t.inputs, t.due, t.failures, t.resumed)
            for t in head.frontier
        ],
        "ports": head.ports,
        "visits": head.visits,
        "latest": head.latest,
        "states": head.states,
        "waits": head.waits,
        "failures": head.failures,
        "number": head.next_number,
        "last_at": head.last_at,
    }


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GRAPHS), st.lists(ACTS, max_size=40))
def test_the_fold_of_any_history_stands_where_the_run_stands(
    definition: Definition, acts: list[tuple[int, str, int, float]]
) -> None:
    history = History(definition)
    for act in acts:
        history.act(*act)
    head = history.first
    for settled in fold(history.first, definition, history.entries):
        head = settled.head
    while head.epoch < history.head.epoch:
        head = reopened(head, None, "fold", history.now)
    assert stand(head) == stand(history.head)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(GRAPHS), st.lists(ACTS, min_size=3, max_size=25), st.integers(0, 24))
def test_the_fold_of_a_fold_is_the_same(
    definition: Definition, acts: list[tuple[int, str, int, float]], cut: int
) -> None:
    """The entries that folding writes, which a fork's pages hold, say as much as the originals."""
    history = History(definition)
    for act in acts:
        history.act(*act)
    once = [s.head for s in fold(history.first, definition, history.entries[:cut])]
    copied = [head.tail[-1] for head in once]
    twice = [s.head for s in fold(history.first, definition, copied)]
    assert [stand(head) for head in twice] == [stand(head) for head in once]


def test_entries_that_do_not_follow_from_one_another_are_refused() -> None:
    history = History(GRAPHS[0])
    for _ in range(4):
        history.act(0, "done", 1, 0.5)
    assert len(history.entries) == 4
    with pytest.raises(Corrupt, match="result 2 is of a token that was not pending"):
        list(fold(history.first, GRAPHS[0], [history.entries[0], history.entries[3]]))


def test_a_failed_entry_that_does_not_say_how_is_refused() -> None:
    history = History(GRAPHS[0])
    history.act(0, "permanent", 1, 0.5)
    broken = replace(history.entries[0], failure=None)
    with pytest.raises(Corrupt, match="does not say how it failed"):
        list(fold(history.first, GRAPHS[0], [broken]))
