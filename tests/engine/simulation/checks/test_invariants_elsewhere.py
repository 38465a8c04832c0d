"""Each invariant fires on what is wrong beside the saves: items, messages, executions, signals, the
end. As it was, nobody objects to the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from engine.layout import INBOX_PREFIX, OUTPUT_PREFIX, PAGE_PREFIX
from engine.messages import decode_message, encode_message
from engine.ports import Item
from engine.simulation.checks.results import ScriptedResults
from engine.simulation.workloads.generated import generate
from engine.snapshot import (
    Payload,
    State,
    Status,
    Token,
    decode_page,
    encode_page,
)
from tests.engine.simulation.histories import Told, eventful, objection, saves
from tests.engine.simulation.randomly import Recorder

pytestmark = pytest.mark.thorough


@pytest.fixture
def history() -> tuple[int, Told]:
    return eventful()


# -- what may be wrong beside the saves -----------------------------------------------------------


def first(told: Told, name: str, suits: Callable[..., bool] = lambda *facts: True) -> int:
    return next(n for n, (what, facts) in enumerate(told) if what == name and suits(*facts))


def called(prefix: str) -> Callable[[Item, int], bool]:
    return lambda item, at: item.name.startswith(prefix)


def drop(told: Told, place: int) -> Told:
    return told[:place] + told[place + 1 :]


def insert(told: Told, place: int, name: str, *facts: Any) -> Told:
    return [*told[:place], (name, facts), *told[place:]]


def no_page(told: Told) -> Told:
    return drop(told, first(told, "item_written", called(PAGE_PREFIX)))


def another_page(told: Told) -> Told:
    place = first(told, "item_written", called(PAGE_PREFIX))
    item, at = told[place][1]
    page = decode_page(item.body)
    body = encode_page(replace(page, entries=page.entries[::-1]))
    return [*told[:place], ("item_written", (replace(item, body=body), at)), *told[place + 1 :]]


def no_output(told: Told) -> Told:
    used = {
        (key.partition, entry.value.ref)
        for _, key, _, after in saves(told)
        for entry in after.tail
        if isinstance(entry.value, Payload)
    }

    def is_used(item: Item, at: int) -> bool:
        return (item.partition, item.name) in used and item.name.startswith(OUTPUT_PREFIX)

    item, _ = told[first(told, "item_written", is_used)][1]
    return [(name, facts) for name, facts in told if name != "item_written" or facts[0] != item]


def output_overwritten(told: Told) -> Told:
    place = first(told, "item_written", called(OUTPUT_PREFIX))
    item, at = told[place][1]
    return insert(told, place + 1, "item_written", replace(item, body=b"other"), at)


def output_deleted(told: Told) -> Told:
    item, at = told[first(told, "item_written", called(OUTPUT_PREFIX))][1]
    return insert(told, len(told) - 1, "item_deleted", item.partition, item.name, at)


def sent_before_saved(told: Told) -> Told:
    place = first(told, "sent", lambda body, *rest: decode_message(body).token[3] > 1)
    save = max(n for n, (name, _) in enumerate(told[:place]) if name == "head_saved")
    return insert(drop(told, place), save, *flat(told[place]))


def sent_twice(told: Told) -> Told:
    """Every second attempt is."""
    again: Told = []
    for name, facts in told:
        again.append((name, facts))
        if name == "sent" and (message := decode_message(facts[0])).token[3] > 1:
            fresh = encode_message(replace(message, sid=f"{message.sid}x"))
            again.append((name, (fresh, *facts[1:])))
    return again


def not_sent(told: Told) -> Told:
    """No second attempt is."""
    return [
        (name, facts)
        for name, facts in told
        if name != "sent" or decode_message(facts[0]).token[3] == 1
    ]


def run_twice(told: Told) -> Told:
    place = first(told, "actor_began")
    return insert(told, place, *flat(told[place]))


def run_without_a_message(told: Told) -> Told:
    return drop(told, first(told, "delivered"))


def run_after_the_end(told: Told) -> Told:
    key = next(key for _, key, _, after in saves(told) if after.status is Status.COMPLETED)
    place = first(told, "actor_began", lambda where, *rest: where == key)
    delivery = max(
        n
        for n, (name, facts) in enumerate(told[:place])
        if name == "delivered" and decode_message(facts[0]).token == told[place][1][1]
    )
    late = told[-1][1][-1] + 1
    (_, given), (_, begun) = told[delivery], told[place]
    again = insert(told, len(told) - 1, "delivered", *given[:-1], late)
    return insert(again, len(again) - 1, "actor_began", *begun[:-1], late)


def run_before_it_is_due(told: Told) -> Told:
    place = first(told, "actor_began", lambda key, token, *rest: token[3] > 1)
    key, name, worker, at = told[place][1]
    due = [
        token.due
        for _, where, _, after in saves(told[:place])
        for token in after.frontier
        if where == key and (token.node, token.visit, token.attempt) == name[1:]
    ]
    early = ("actor_began", (key, name, worker, min(at, max(due) - 60_000)))
    return [*told[:place], early, *told[place + 1 :]]


def signal_stored_twice(told: Told) -> Told:
    place = first(told, "item_written", called(INBOX_PREFIX))
    item, at = told[place][1]
    return insert(told, place, "item_written", replace(item, name=f"{item.name}x"), at)


def debt_forgotten(told: Told) -> Told:
    """The signal of another run is not stored in the inbox, and nobody has consumed it."""
    consumed = {name for _, _, _, after in saves(told) for name in after.consumed}

    def is_from_another(item: Item, at: int) -> bool:
        is_stored = item.name.startswith(INBOX_PREFIX) and "from:" in item.name
        return is_stored and item.name not in consumed

    return drop(told, first(told, "item_written", is_from_another))


def signal_removed(told: Told) -> Told:
    place = first(told, "item_written", called(INBOX_PREFIX))
    item, at = told[place][1]
    return insert(told, place + 1, "item_deleted", item.partition, item.name, at)


def signal_not_stored(told: Told) -> Told:
    place = first(told, "granted", lambda call, *rest: call == "signal")
    return insert(told, first(told, "granted"), *flat(told[place]))


def another_start_granted(told: Told) -> Told:
    place = first(told, "granted", lambda call, *rest: call == "start")
    call, key, (definition, _), *rest = told[place][1]
    return insert(told, place + 1, "granted", call, key, (definition, {"tag": "other"}), *rest)


def another_signal_granted(told: Told) -> Told:
    place = first(told, "granted", lambda call, *rest: call == "signal")
    call, key, (name, _), *rest = told[place][1]
    return insert(told, place + 1, "granted", call, key, (name, {"tag": "other"}), *rest)


def run_not_stored(told: Told) -> Told:
    place = first(told, "granted", lambda call, *rest: call == "start")
    call, key, *rest = told[place][1]
    return insert(told, 0, "granted", call, replace(key, run="other"), *rest)


def run_lost(told: Told) -> Told:
    heads, quiet, at = told[-1][1]
    return [*told[:-1], ("came_to_rest", (dict(list(heads.items())[1:]), quiet, at))]


def run_stuck(told: Told) -> Told:
    heads, quiet, at = told[-1][1]
    stuck = {
        key: replace(head, status=Status.ACTIVE, frontier=(PENDING,)) for key, head in heads.items()
    }
    return [*told[:-1], ("came_to_rest", (stuck, quiet, at))]


def debt_left(told: Told) -> Told:
    heads, quiet, at = told[-1][1]
    owed = next(after.owed for _, _, _, after in saves(told) if after.owed)
    left = {key: replace(head, owed=owed) for key, head in heads.items()}
    return [*told[:-1], ("came_to_rest", (left, quiet, at))]


def flat(event: tuple[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return (event[0], *event[1])


PENDING = Token(0, 1, 1, State.READY, "somebody", 1)
OTHERS: dict[str, tuple[Callable[[Told], Told], str]] = {
    "a page is not written": (no_page, "page"),
    "a page holds other results": (another_page, "page"),
    "an output is not written": (no_output, "dangling"),
    "an output is overwritten": (output_overwritten, "immutable"),
    "an output is deleted": (output_deleted, "deleted"),
    "a message is sent before its token is saved": (sent_before_saved, "commit before send"),
    "a message is sent twice": (sent_twice, "relay what is owned"),
    "a message is not sent": (not_sent, "send before acknowledge"),
    "an actor runs twice on one delivery": (run_twice, "run"),
    "an actor runs on no delivery": (run_without_a_message, "run"),
    "an actor runs after the end": (run_after_the_end, "run after the end"),
    "an actor runs before it is due": (run_before_it_is_due, "due"),
    "a signal is stored twice": (signal_stored_twice, "one signal"),
    "a signal is removed unread": (signal_removed, "lost signal"),
    "a run is accepted and not stored": (run_not_stored, "accepted"),
    "another start is granted": (another_start_granted, "same start"),
    "another signal is granted": (another_signal_granted, "same signal"),
    "a run is lost": (run_lost, "accepted"),
    "a run is stuck": (run_stuck, "liveness"),
    "a debt is forgotten": (debt_forgotten, "debt"),
    "a debt is left": (debt_left, "liveness"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_it_is_seen_that(what: str, history: tuple[int, Told]) -> None:
    seed, told = history
    change, rule = OTHERS[what]
    assert objection(seed, change(told)) == rule


def test_nobody_objects_to_the_history_as_it_was(history: tuple[int, Told]) -> None:
    seed, told = history
    assert objection(seed, told) is None


def test_a_result_of_a_run_that_has_ended_is_refused(history: tuple[int, Told]) -> None:
    seed, told = history
    place, key, _, ended = next(each for each in saves(told) if each[3].status.terminal)
    late = replace(ended, rev=ended.rev + 1, steps=ended.steps + 1)
    assert objection(seed, insert(told, place + 1, "head_saved", key, ended, late, 0)) == "ended"


def test_costs_are_counted(history: tuple[int, Told]) -> None:
    seed, told = history
    (observer,) = generate(seed).observers()
    assert isinstance(observer, ScriptedResults)
    Recorder(told).retell(observer)
    costs = observer.costs
    results = sum(
        before is not None and after.next_number > before.next_number
        for _, _, before, after in saves(told)
    )
    assert costs.steps == results
    assert costs.messages == sum(name == "sent" for name, _ in told)
    assert costs.executions == sum(name == "actor_began" for name, _ in told)
    assert costs.messages_per_step == costs.messages / costs.steps
    assert costs.executions_per_step == costs.executions / costs.steps
