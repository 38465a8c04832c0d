"""The engine with one of its rules switched off, rule by rule.

Each mutant is a context manager that patches the engine while it is entered. None of them knows a
workload, and no workload knows them: `test_mutations` lets the random runs find them. The names on
the left are what the test reports; `rule` is DESIGN's, `breaks` the check that objects to it, and
`seed` the first seed, from 0 on, whose general random run does.

    python -m tests.engine.simulation.mutants        # finds those seeds anew

Rules that have no mutant: 18's actor that is gone from the code (every simulated process has all
actors), and 21 (no service runs yet). Of rule 10 only the idempotency key has one: that an actor is
cut off in time shows in the scripts that overrun. Of rule 20 only messages: no newer head is drawn.

Some mutants break the same rule in the same way, seen from outside, and are told apart by nothing
but their patch: `ALIKE` lists them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.engine.simulation import broken_commits as commits
from tests.engine.simulation import broken_messages as messages
from tests.engine.simulation import broken_signals as signals
from tests.engine.simulation import broken_steps as steps
from tests.engine.simulation.randomly import first_found

MutantMaker = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`seed` is the first whose run, under these faults, objects, by the check named `breaks`."""

    rule: str
    name: str
    make: MutantMaker
    seed: int = 0
    breaks: str = ""
    faults: str = "storm"


RULES: Sequence[Mutant] = (
    Mutant("1", "skips the condition on the revision", commits.skips_the_revision, 0, "rev"),
    Mutant(
        "2",
        "runs the actor again after a conflict",
        steps.runs_the_actor_again_after_a_conflict,
        2,
        "run",
    ),
    Mutant("3", "attempts keep their number", steps.keeps_the_attempt_number, 0, "token"),
    Mutant(
        "3",
        "settles what an earlier epoch began",
        messages.settles_what_an_earlier_epoch_began,
        455,
        "run after the result",
    ),
    Mutant(
        "4", "defers under a new name", messages.defers_under_a_new_name, 2, "relay what is owned"
    ),
    Mutant("5", "sends before the commit", commits.sends_before_the_commit, 0, "start before send"),
    Mutant(
        "5",
        "acknowledges what it could not send",
        commits.acknowledges_before_sending,
        5,
        "send before acknowledge",
    ),
    Mutant("5", "writes items after the head", commits.writes_items_after_the_head, 0, "page"),
    Mutant(
        "6",
        "drops stale messages instead of relaying",
        messages.drops_stale_messages,
        1,
        "lost signal",
    ),
    Mutant("6", "relays nothing", messages.relays_nothing, 1, "lost signal"),
    Mutant(
        "6",
        "relays everything that is pending",
        messages.relays_everything,
        0,
        "relay what is owned",
    ),
    Mutant("6", "successors keep the old owner", steps.keeps_the_old_owner, 0, "owner"),
    Mutant("7", "forgets debts", signals.forgets_debts, 4, "debt"),
    Mutant("7", "owes under new names", signals.owes_under_new_names, 4, "debt's name"),
    Mutant("7", "acknowledges before it pays", signals.acknowledges_before_it_pays, 2, "debt"),
    Mutant("8", "runs early deliveries", messages.runs_early_deliveries, 12, "due"),
    Mutant("8", "drops early deliveries", messages.drops_early_deliveries, 4, "lost message"),
    Mutant(
        "9",
        "a sweep is written after it is sent",
        commits.sweeps_after_sending,
        3,
        "relay what is owned",
    ),
    Mutant("9", "forgets wake_at", steps.forgets_to_wake, 0, "wake_at"),
    Mutant("9", "pushes looks with every save", steps.pushes_looks_with_every_save, 0, "look_at"),
    Mutant("9", "sweeps while the queue is behind", steps.sweeps_during_a_backlog, 24, "backlog"),
    Mutant("9", "looks without doubling", steps.looks_without_doubling, 59, "doubling"),
    Mutant(
        "10", "a retry has another idempotency key", steps.names_attempts_in_the_key, 0, "result"
    ),
    Mutant("11", "claims nothing", signals.claims_nothing, 0, "claim"),
    Mutant(
        "11",
        "takes what others have claimed",
        signals.takes_what_others_have_claimed,
        2,
        "live claim",
    ),
    Mutant(
        "12",
        "at most once, without a claim",
        signals.claims_nothing_that_must_not_run_twice,
        2,
        "claim for once",
    ),
    Mutant("13", "drops dead letters", signals.drops_dead_letters, 20, "dead letter"),
    Mutant("14", "runs what waits", messages.runs_what_waits, 0, "run while waiting"),
    Mutant("14", "waits without looking", messages.waits_without_looking, 1, "lost signal"),
    Mutant("14", "a signal wakes nobody", signals.wakes_nobody, 108, "liveness"),
    Mutant(
        "14",
        "a signal is answered before it is stored",
        signals.answers_before_storing,
        2,
        "accepted",
    ),
    Mutant(
        "14",
        "another signal of the same id is the same",
        signals.takes_any_signal_for_the_same,
        2,
        "same signal",
    ),
    Mutant("14", "forgets what was consumed", steps.forgets_what_was_consumed, 0, "consume"),
    Mutant(
        "15",
        "a start is written after it is sent",
        commits.starts_after_sending,
        0,
        "start before send",
    ),
    Mutant(
        "15",
        "another start of the same id is the same",
        commits.takes_any_start_for_the_same,
        5,
        "same start",
    ),
    Mutant("16", "runs what has ended", messages.runs_what_has_ended, 1, "run after the end"),
    Mutant("16", "settles what has ended", messages.settles_what_has_ended, 8, "ended"),
    Mutant(
        "16", "begins new work while closing", messages.runs_while_closing, 67, "run while closing"
    ),
    Mutant("17", "no step budget", steps.has_no_step_budget, 99, "StepBudgetExhausted"),
    Mutant(
        "17",
        "stops at the 17th hop",
        messages.stops_at_the_seventeenth_hop,
        54,
        "promptness",
        faults="none",
    ),
    Mutant("18", "mixes up definitions", steps.mixes_up_definitions, 5, "script"),
    Mutant("19", "no limit on the frontier", steps.has_no_frontier_limit, 30, "FrontierFull"),
    Mutant("20", "drops newer formats", messages.drops_newer_formats, 18, "newer format"),
    Mutant(
        "§5",
        "racing executions share an output's name",
        commits.shares_output_names,
        13,
        "immutable",
    ),
    Mutant("§5", "outputs expire", commits.lets_outputs_expire, 0, "deleted"),
    Mutant("§5", "the head keeps its whole history", steps.keeps_its_whole_history, 0, "bounds"),
    Mutant(
        "§5",
        "a fork shares what lies elsewhere",
        steps.forks_share_what_lies_elsewhere,
        14,
        "dangling",
    ),
    Mutant("§6", "joins fire on any message", steps.joins_fire_on_any_message, 1, "dataflow"),
    Mutant("§6", "nodes are not serial", steps.nodes_are_not_serial, 36, "serial"),
    Mutant("§6", "ports are not queues", steps.ports_are_not_queues, 65, "queued"),
    Mutant("§6", "retries without end", steps.retries_without_end, 1, "retry"),
    Mutant("§6", "retries at once", steps.retries_at_once, 0, "retry delay"),
    Mutant("16", "forgets the deadline", steps.forgets_the_deadline, 1, "deadline"),
    Mutant(
        "16",
        "begins new work after the deadline",
        messages.overlooks_deadlines,
        637,
        "run after the deadline",
    ),
)

ALIKE = {
    "debt": "one is forgotten, and one is left to a sweep: either way it was not paid",
    "lost signal": "what a stale delivery should send again, or look for itself, is overlooked",
    "relay what is owned": "whoever sends a token once too often, the copy says not why",
    "start before send": "the order of the first commit is wrong for every commit or for this one",
}
"""Checks that find several mutants, and why nothing seen from outside tells these apart."""


def main() -> None:
    for mutant in RULES:
        if len(sys.argv) > 1 and not any(word in mutant.name for word in sys.argv[1:]):
            continue
        with mutant.make():
            found = first_found(range(3000), mutant.faults)
        if found is None:
            print(f"{mutant.name}: NOT FOUND", flush=True)
        else:
            print(f"{mutant.name}: {found.seed} {found.rule!r}: {found.text[:90]}", flush=True)


if __name__ == "__main__":
    main()
