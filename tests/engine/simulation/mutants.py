"""The engine with one of its rules switched off, rule by rule.

Each mutant is a context manager that patches the engine while it is entered. None of them knows a
workload, and no workload knows them: `test_mutations` lets the random runs find them. The names on
the left are what the test reports; `rule` is DESIGN's.

Still to come: sweeping during a backlog (9), outputs that expire (§5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.engine.simulation.broken_commits import (
    acknowledges_before_sending,
    sends_before_the_commit,
    shares_output_names,
    skips_the_revision,
    starts_after_sending,
    sweeps_after_sending,
    writes_items_after_the_head,
)
from tests.engine.simulation.broken_messages import (
    defers_under_a_new_name,
    drops_early_deliveries,
    drops_stale_messages,
    relays_everything,
    relays_nothing,
    runs_early_deliveries,
    runs_what_has_ended,
    runs_what_waits,
    settles_what_an_earlier_epoch_began,
    settles_what_has_ended,
)
from tests.engine.simulation.broken_signals import (
    answers_before_storing,
    claims_nothing,
    claims_nothing_that_must_not_run_twice,
    drops_dead_letters,
    forgets_debts,
    owes_under_new_names,
    wakes_nobody,
)
from tests.engine.simulation.broken_steps import (
    forgets_to_wake,
    forgets_what_was_consumed,
    has_no_frontier_limit,
    has_no_step_budget,
    joins_fire_on_any_message,
    keeps_the_attempt_number,
    keeps_the_old_owner,
    nodes_are_not_serial,
    ports_are_not_queues,
    pushes_looks_with_every_save,
    retries_at_once,
    retries_without_end,
    runs_the_actor_again_after_a_conflict,
)

MutantMaker = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`within` is how many seeds of a storm may pass before one finds it."""

    name: str
    rule: str
    make: MutantMaker
    within: int


RULES: Sequence[Mutant] = (
    Mutant("drops stale messages instead of relaying", "6", drops_stale_messages, 100),
    Mutant("relays everything that is pending", "6", relays_everything, 50),
    Mutant("relays nothing", "6", relays_nothing, 100),
    Mutant("successors keep the old owner", "6", keeps_the_old_owner, 50),
    Mutant("skips the condition on the revision", "1", skips_the_revision, 50),
    Mutant("runs the actor again after a conflict", "2", runs_the_actor_again_after_a_conflict, 50),
    Mutant("attempts keep their number", "3", keeps_the_attempt_number, 20),
    Mutant("runs early deliveries", "8", runs_early_deliveries, 100),
    Mutant("drops early deliveries", "8", drops_early_deliveries, 50),
    Mutant("defers under a new name", "4", defers_under_a_new_name, 100),
    Mutant("sends before the commit", "5", sends_before_the_commit, 20),
    Mutant("acknowledges what it could not send", "5", acknowledges_before_sending, 100),
    Mutant("writes items after the head", "5", writes_items_after_the_head, 20),
    Mutant("a start is written after it is sent", "15", starts_after_sending, 20),
    Mutant("a sweep is written after it is sent", "9", sweeps_after_sending, 300),
    Mutant("forgets wake_at", "9", forgets_to_wake, 20),
    Mutant("pushes looks with every save", "9", pushes_looks_with_every_save, 50),
    Mutant("runs what has ended", "16", runs_what_has_ended, 100),
    Mutant("settles what has ended", "16", settles_what_has_ended, 300),
    Mutant("settles what an earlier epoch began", "3", settles_what_an_earlier_epoch_began, 500),
    Mutant("claims nothing", "11", claims_nothing, 50),
    Mutant("at most once, without a claim", "12", claims_nothing_that_must_not_run_twice, 100),
    Mutant("drops dead letters", "13", drops_dead_letters, 200),
    Mutant("runs what waits", "14", runs_what_waits, 50),
    Mutant("a signal wakes nobody", "14", wakes_nobody, 300),
    Mutant("a signal is answered before it is stored", "14", answers_before_storing, 300),
    Mutant("forgets what was consumed", "14", forgets_what_was_consumed, 50),
    Mutant("forgets debts", "7", forgets_debts, 300),
    Mutant("owes under new names", "7", owes_under_new_names, 500),
    Mutant("racing executions share an output's name", "§5", shares_output_names, 200),
    Mutant("no limit on the frontier", "19", has_no_frontier_limit, 1500),
    Mutant("no step budget", "17", has_no_step_budget, 300),
    Mutant("joins fire on any message", "§6", joins_fire_on_any_message, 20),
    Mutant("nodes are not serial", "§6", nodes_are_not_serial, 300),
    Mutant("ports are not queues", "§6", ports_are_not_queues, 100),
    Mutant("retries without end", "§6", retries_without_end, 50),
    Mutant("retries at once", "§6", retries_at_once, 50),
)
