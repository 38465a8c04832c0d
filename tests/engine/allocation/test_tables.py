"""The tables are complete and do not lie: every decision is held against its declaration."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from engine.allocation import (
    actor_state,
    actor_table,
    frames,
    pool_state,
    pool_table,
    runner_state,
    runner_table,
    signals,
)
from engine.allocation.actor_state import ActorState
from engine.allocation.rules import Ignored, Reads, Rule, cell, complete, reads
from tests.engine.allocation.cases import ACTOR_PHASES, CASES, Case, reports
from tests.engine.allocation.scenes import (
    a_scene,
    an_actor,
    as_read,
    is_ignored,
    kinds,
)

PARTIES = sorted(CASES)
STATES = {"actor": actor_state, "runner": runner_state, "pool": pool_state}
SIGNALS = {
    "actor": signals.ActorSignal,
    "runner": signals.RunnerSignal,
    "pool": signals.PoolSignal,
}


def name_of(case: Case) -> str:
    return f"{type(case.state.phase).__name__} x {case.signal}"


@pytest.mark.parametrize("party", PARTIES)
def test_every_phase_has_a_row_and_every_signal_a_column(party: str) -> None:
    table = CASES[party][0]
    phases = set(get_args(STATES[party].Phase))
    columns = set(get_args(SIGNALS[party]))
    if signals.Reported in columns:  # looked up by what is reported
        columns = columns - {signals.Reported} | set(get_args(frames.Report))
    assert set(table.TABLE) == phases == set(STATES[party].PHASES)
    assert all(set(row) == columns for row in table.TABLE.values())


def test_a_gap_in_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing is said about Wake in Running"):
        complete([actor_state.Running], [signals.Wake], {}, {})
    with pytest.raises(LookupError, match="no rule for Bump in Running"):
        cell(actor_table.TABLE, actor_state.Running, signals.Bump)


@pytest.mark.parametrize("party", PARTIES)
def test_every_pair_is_tried(party: str) -> None:
    table, cases = CASES[party]
    tried = {(type(case.state.phase), case.column) for case in cases}
    assert tried == {(phase, column) for phase, row in table.TABLE.items() for column in row}


@pytest.mark.parametrize("party", PARTIES)
def test_what_is_ignored_changes_nothing_and_says_why(party: str) -> None:
    table, cases = CASES[party]
    for case in cases:
        step = table.decide(case.state, case.signal, case.scene)
        found = table.TABLE[type(case.state.phase)][case.column]
        assert step.said, name_of(case)
        if isinstance(found, Ignored):
            assert is_ignored(step), name_of(case)
        if is_ignored(step):
            assert (step.state, step.effects, step.swaps) == (case.state, (), ()), name_of(case)
            assert len(step.said[0]) > len("ignored: "), name_of(case)


@pytest.mark.parametrize("party", PARTIES)
def test_a_decision_leads_where_its_rule_says_and_sends_what_it_says(party: str) -> None:
    table, cases = CASES[party]
    for case in cases:
        step = table.decide(case.state, case.signal, case.scene)
        if is_ignored(step):
            continue
        rule = table.TABLE[type(case.state.phase)][case.column]
        assert type(step.state.phase) in rule.to, name_of(case)
        assert set(kinds(step.effects)) <= set(rule.sends), name_of(case)


@pytest.mark.parametrize("party", PARTIES)
def test_nothing_is_declared_that_no_case_leads_to(party: str) -> None:
    table, cases = CASES[party]
    reached: defaultdict[tuple[type, type], set[type]] = defaultdict(set)
    sent: defaultdict[tuple[type, type], set[type]] = defaultdict(set)
    for case in cases:
        step = table.decide(case.state, case.signal, case.scene)
        if not is_ignored(step):
            pair = (type(case.state.phase), case.column)
            reached[pair].add(type(step.state.phase))
            sent[pair].update(kinds(step.effects))
    problems = []
    for phase, row in table.TABLE.items():
        for column, rule in row.items():
            if isinstance(rule, Rule):
                pair = (phase, column)
                unused = set(rule.to) - reached[pair] | set(rule.sends) - sent[pair]
                problems += [f"{phase.__name__} x {column.__name__}: {u.__name__}" for u in unused]
    assert problems == []


@pytest.mark.parametrize("party", PARTIES)
def test_a_decision_needs_no_more_of_the_board_than_its_rule_says(party: str) -> None:
    table, cases = CASES[party]
    for case in cases:
        wanted = reads(table.TABLE, type(case.state.phase), case.column)
        seen = replace(case.scene, board=as_read(case.scene.board, wanted))
        full = table.decide(case.state, case.signal, case.scene)
        assert table.decide(case.state, case.signal, seen) == full, name_of(case)


@pytest.mark.parametrize("party", PARTIES)
def test_no_more_of_the_board_is_read_than_a_decision_needs(party: str) -> None:
    table, cases = CASES[party]
    needed: defaultdict[tuple[type, type], Reads] = defaultdict(lambda: Reads.NOTHING)
    for case in cases:
        pair = (type(case.state.phase), case.column)
        wanted = reads(table.TABLE, *pair)
        for part in wanted & ~needed[pair]:
            seen = replace(case.scene, board=as_read(case.scene.board, wanted & ~part))
            if _decided(table, case, seen) != _decided(table, case, case.scene):
                needed[pair] |= part
    for phase, row in table.TABLE.items():
        for column in row:
            assert needed[phase, column] == reads(table.TABLE, phase, column), (phase, column)


def _decided(table: Any, case: Case, scene: Any) -> Any:
    return table.decide(case.state, case.signal, scene)


@pytest.mark.parametrize("party", PARTIES)
def test_a_timer_never_leaves_behind_what_is_due_already_and_changes_nothing(party: str) -> None:
    table, cases = CASES[party]
    for case in cases:
        if case.column is signals.Timer and 0 < case.state.due <= case.scene.now:
            step = table.decide(case.state, case.signal, case.scene)
            due = step.state.due
            assert not 0 < due <= case.scene.now or step.state.phase != case.state.phase, name_of(
                case
            )


@pytest.mark.parametrize("phase", ACTOR_PHASES, ids=str)
@pytest.mark.parametrize(("generation", "runner"), [(1, "n1"), (3, "n1"), (2, "n2")])
def test_what_is_said_of_another_generation_or_runner_is_ignored(
    phase: Any, generation: int, runner: str
) -> None:
    state = an_actor(phase)
    assert isinstance(state, ActorState)
    for signal in reports(generation, runner):
        step = actor_table.decide(state, signal, a_scene())
        assert step.said == ("ignored: stale, of another generation or runner",)
        assert step.state == state


def test_the_tables_columns_are_in_the_order_in_which_they_are_shown() -> None:
    for table in (actor_table, runner_table, pool_table):
        assert all(tuple(row) == table.SIGNALS for row in table.TABLE.values())
