"""Whatever happens to an index, in whatever order: the seats add up, and nobody is forgotten.

The subject is the real functions with the real reader over the journal in memory; the model is two
dictionaries. A decision made from an old reading either conflicts or is as good as a fresh one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from engine.allocation import board as boards
from engine.allocation.board import Board, Entry, Pending, board_partition, encode_ping, ping_item
from engine.allocation.board_reading import read_board
from engine.allocation.rules import Reads
from engine.layout import RunKey
from engine.memory import MemoryJournal
from engine.ports import Commit, HeadRecord, Item, ItemConflict
from engine.snapshot import Status
from tests.clock import ManualClock

PARTITION = board_partition("default", "p")
KEY = RunKey("default", "someone", "actor")
ELIGIBLE_MS = 10_000
RUNNERS = ("n1", "n2", "n3")
ACTORS = tuple(f"a{number}" for number in range(6))


class BoardMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock = ManualClock()
        self.journal = MemoryJournal(self.clock)
        self.rev = 0
        self.seated: dict[str, tuple[str, int]] = {}
        """Actor -> runner and generation."""
        self.waits: dict[str, Pending] = {}
        self.generations = dict.fromkeys(ACTORS, 0)
        self.old: Board | None = None
        self.seated_since_old: set[str] = set()

    def teardown(self) -> None:
        self.loop.close()

    # -- the journal ------------------------------------------------------------------------------

    def read(self, runner: str = "") -> Board:
        reads = Reads.INDEX | Reads.SEATS
        found = self.loop.run(read_board(self.journal, "default", "p", reads, runner, None))
        return found

    def swap(self, swaps: Any) -> bool:
        """Whether it went through."""
        head = HeadRecord(KEY, self.rev + 1, Status.ACTIVE, "w", 0, 0, b"")
        commit = Commit(head, self.rev or None, swaps=list(swaps))
        try:
            self.loop.run(self.journal.commit(commit))
        except ItemConflict:
            return False
        self.rev += 1
        return True

    def ping(self, runner: str) -> None:
        body = encode_ping(self.clock.now())
        self.loop.run(self.journal.put([Item(PARTITION, ping_item(runner), body)]))

    def seen(self, *, old: bool) -> Board:
        """A fresh reading, or the one that was put aside."""
        return self.old if old and self.old is not None else self.read()

    # -- what happens -----------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.join("n1", 2, 0)

    @rule(runner=st.sampled_from(RUNNERS), total=st.integers(1, 3), version=st.integers(0, 1))
    def join(self, runner: str, total: int, version: int) -> None:
        self.ping(runner)
        board = self.read()
        if runner not in board.entries and not any(r == runner for r, _ in self.seated.values()):
            assert self.swap([boards.entry_swap(board, runner, Entry(total, 0, version, True, 1))])

    @rule()
    def read_and_put_aside(self) -> None:
        self.old = self.read()
        self.seated_since_old = set()

    @rule(actor=st.sampled_from(ACTORS), old=st.booleans())
    def allocate(self, actor: str, old: bool) -> None:
        if actor in self.seated or actor in self.waits:
            return
        board, generation = self.seen(old=old), self.generations[actor] + 1
        best = boards.candidates(board, self.clock.now(), ELIGIBLE_MS)
        if best and not board.pending:
            if self.swap(boards.take(board, best[0], actor, generation)):
                self.sit(best[0], actor, generation)
        else:
            self.clock.advance(0.001)
            pending = Pending(actor, generation, self.clock.now())
            assert self.swap([boards.wait(board, pending)])
            self.waits[actor] = pending

    @precondition(lambda self: self.waits)
    @rule(data=st.data(), old=st.booleans())
    def give_up(self, data: Any, old: bool) -> None:
        actor = data.draw(st.sampled_from(sorted(self.waits)))
        assert self.swap([boards.leave(self.seen(old=old), self.waits.pop(actor))])

    @precondition(lambda self: self.seated)
    @rule(data=st.data(), old=st.booleans())
    def stop(self, data: Any, old: bool) -> None:
        actor = data.draw(st.sampled_from(sorted(self.seated)))
        runner, generation = self.seated[actor]
        old = old and actor not in self.seated_since_old  # its head is read before the index
        first = min(self.waits.values(), key=lambda each: (each.since, each.actor), default=None)
        released = boards.release(
            self.seen(old=old), runner, actor, generation, self.clock.now(), ELIGIBLE_MS
        )
        if self.swap(released.swaps):
            del self.seated[actor]
            if released.next is not None:
                assert released.next == first or old
                self.give(runner, released.next)

    @rule(runner=st.sampled_from(RUNNERS), old=st.booleans(), most=st.integers(1, 3))
    def check_queue(self, runner: str, old: bool, most: int) -> None:
        board = self.seen(old=old)
        if runner not in board.entries:
            return
        queue = sorted(self.waits.values(), key=lambda each: (each.since, each.actor))
        handed = boards.hand_out(board, runner, self.clock.now(), ELIGIBLE_MS, most)
        assert len(handed.heirs) <= most
        if handed.heirs and self.swap(handed.swaps):
            assert list(handed.heirs) == queue[: len(handed.heirs)] or old
            for heir in handed.heirs:
                self.give(runner, heir)

    @rule(runner=st.sampled_from(RUNNERS), opened=st.booleans())
    def open_or_close(self, runner: str, opened: bool) -> None:
        board = self.read()
        entry = board.entries.get(runner)
        if entry is not None and entry.open != opened:
            after = replace(entry, open=opened, rev=entry.rev + 1)
            assert self.swap([boards.entry_swap(board, runner, after)])

    @rule(runner=st.sampled_from(RUNNERS), ahead=st.booleans())
    def end(self, runner: str, ahead: bool) -> None:
        """What the runner's step has read of its seats is all of them, or it conflicts."""
        board = self.read(runner)
        if runner not in board.entries:
            return
        if ahead:  # somebody is quicker
            self.allocate("a0", False)
        seats = {a: g for a, (r, g) in self.seated.items() if r == runner}
        if self.swap([boards.entry_swap(board, runner, None)]):
            assert board.seats == seats

    @rule(seconds=st.sampled_from([1, 11]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def give(self, runner: str, heir: Pending) -> None:
        assert self.waits.pop(heir.actor) == heir
        self.sit(runner, heir.actor, heir.generation)

    def sit(self, runner: str, actor: str, generation: int) -> None:
        self.seated[actor] = (runner, generation)
        self.generations[actor] = generation
        self.seated_since_old.add(actor)

    # -- what must be true ------------------------------------------------------------------------

    @invariant()
    def the_seats_add_up(self) -> None:
        for runner in RUNNERS:
            board = self.read(runner)
            seats = {a: g for a, (r, g) in self.seated.items() if r == runner}
            assert board.seats == seats
            entry = board.entries.get(runner)
            if entry is not None:
                assert entry.taken == len(seats) <= entry.total

    @invariant()
    def who_waits_is_in_the_queue_in_order(self) -> None:
        queue = [pending for _, pending in self.read().pending]
        assert queue == sorted(self.waits.values(), key=lambda each: (each.since, each.actor))


BoardMachine.TestCase.settings = profile(max_examples=60, stateful_step_count=40, deadline=None)
TestBoard = BoardMachine.TestCase
