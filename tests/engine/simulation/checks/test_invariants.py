"""Each invariant fires on a wrong save: a good history, told again with one head changed in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from engine.snapshot import (
    Failure,
    Head,
    Kind,
    State,
    Status,
)
from tests.engine.simulation.histories import Told, eventful, objection, saves

pytestmark = pytest.mark.thorough


@pytest.fixture
def history() -> tuple[int, Told]:
    return eventful()


# -- what may be wrong with a save ----------------------------------------------------------------

Where = Callable[[Head, Head], bool]
Wrong = Callable[[Head, Head], Head]


def recording(kind: Kind) -> Where:
    return lambda before, after: grows(before, after) and after.tail[-1].kind is kind


def grows(before: Head, after: Head) -> bool:
    return after.next_number > before.next_number


def goes_on(before: Head, after: Head) -> bool:
    return grows(before, after) and not after.status.terminal and len(after.tail) > 2


def pages(before: Head, after: Head) -> bool:
    return after.first > before.first


def has(name: str) -> Where:
    return lambda before, after: goes_on(before, after) and bool(getattr(after, name))


def sweeps(before: Head, after: Head) -> bool:
    return not grows(before, after) and not after.status.terminal and bool(after.frontier)


def entry(head: Head, place: int, **changes: Any) -> Head:
    tail = list(head.tail)
    tail[place] = replace(tail[place], **changes)
    return replace(head, tail=tuple(tail))


def newest(**changes: Any) -> Wrong:
    return lambda before, after: entry(after, -1, **changes)


def token(head: Head, place: int, **changes: Any) -> Head:
    frontier = list(head.frontier)
    frontier[place] = replace(frontier[place], **changes)
    return replace(head, frontier=tuple(frontier))


def field(**changes: Any) -> Wrong:
    return lambda before, after: replace(after, **changes)


def shorter_wait(before: Head, after: Head) -> Head:
    number = next(n for n, t in enumerate(after.frontier) if t.state is State.RETRYING)
    return token(after, number, due=after.frontier[number].due - 1)


def much_longer_wait(before: Head, after: Head) -> Head:
    number = next(n for n, t in enumerate(after.frontier) if t.state is State.RETRYING)
    wait = (1 << 44) - after.created_at - after.last_at
    return entry(token(after, number, due=1 << 44), -1, wait=wait)


def queues_without_one(before: Head, after: Head) -> Head:
    node, queues = next(iter(after.ports.items()))
    return replace(after, ports={**after.ports, node: tuple(() for _ in queues)})


def without_a_token(before: Head, after: Head) -> Head:
    return replace(after, frontier=after.frontier[1:])


def with_a_token_twice(before: Head, after: Head) -> Head:
    again = replace(after.frontier[0], visit=after.frontier[0].visit + 1)
    return replace(after, frontier=(*after.frontier, again))


def retry(before: Head, after: Head) -> bool:
    return recording(Kind.RETRIED)(before, after) and any(
        t.state is State.RETRYING for t in after.frontier
    )


SAVES: dict[str, tuple[Where, Wrong, str]] = {
    "the revision stays": (grows, lambda b, a: replace(a, rev=b.rev), "rev"),
    "the revision jumps": (grows, lambda b, a: replace(a, rev=b.rev + 2), "rev"),
    "the input changes": (grows, field(input=b'"other"'), "identity"),
    "the definition changes": (grows, field(definition=b"other"), "identity"),
    "the epoch falls": (grows, field(epoch=-1), "epoch"),
    "a result raises the epoch": (grows, field(epoch=1), "epoch"),
    "a sweep raises the epoch": (sweeps, field(epoch=1), "epoch"),
    "a recorded result changes": (goes_on, lambda b, a: entry(a, 0, took=77), "history"),
    "a recorded result is gone": (
        goes_on,
        lambda b, a: replace(a, tail=a.tail[1:], first=a.first + 1),
        "page",
    ),
    "two results at once": (
        goes_on,
        lambda b, a: replace(a, tail=(*a.tail, a.tail[-1])),
        "history",
    ),
    "a result is of another time": (goes_on, newest(after=-1), "history"),
    "a result is of another epoch": (goes_on, newest(epoch=3), "epoch"),
    "a result is of nobody's token": (goes_on, newest(visit=99), "dataflow"),
    "a result is of another attempt": (goes_on, newest(attempt=9), "dataflow"),
    "a result has other inputs": (
        lambda b, a: goes_on(b, a) and bool(a.tail[-1].inputs),
        lambda b, a: entry(a, -1, inputs=tuple(each + 1 for each in a.tail[-1].inputs)),
        "inputs",
    ),
    "a result has another owner": (goes_on, newest(owner="other"), "owner"),
    "a value is another": (recording(Kind.DONE), newest(value=b'{"tag":"x"}'), "result"),
    "a result goes out of another port": (recording(Kind.DONE), newest(port="x"), "dataflow"),
    "a failure nobody wrote": (
        recording(Kind.RETRIED),
        newest(failure=Failure("Surprise", "!")),
        "script",
    ),
    "a token is lost": (has("frontier"), without_a_token, "dataflow"),
    "a token is doubled": (has("frontier"), with_a_token_twice, "serial"),
    "a token has other inputs": (
        has("frontier"),
        lambda b, a: token(a, 0, inputs=(77,)),
        "token",
    ),
    "a token begins its attempts again": (
        retry,
        lambda b, a: token(a, -1, attempt=1),
        "token",
    ),
    "failures are not counted": (retry, lambda b, a: token(a, -1, failures=0), "token"),
    "a queued message is lost": (has("ports"), queues_without_one, "queued"),
    "the budget is not counted": (goes_on, field(steps=0), "budget"),
    "a run ends too early": (goes_on, field(status=Status.COMPLETED), "ended"),
    "a run fails for nothing": (goes_on, field(status=Status.FAILED), "ended"),
    "a run does not end": (
        lambda b, a: a.status is Status.COMPLETED and grows(b, a),
        field(status=Status.ACTIVE),
        "ended",
    ),
    "a run is cancelled by a result": (goes_on, field(status=Status.CANCELLED), "ended"),
    "the status is another": (goes_on, field(status=Status.CLOSING), "status"),
    "nobody looks": (goes_on, field(wake_at=0), "wake_at"),
    "somebody looks too late": (goes_on, lambda b, a: replace(a, wake_at=1 << 50), "wake_at"),
    "a busy sibling hides a token": (
        lambda b, a: goes_on(b, a) and a.frontier[0] in b.frontier,
        lambda b, a: token(a, 0, look_at=a.frontier[0].look_at + 1),
        "look_at",
    ),
    "a retry comes at another time": (retry, shorter_wait, "due"),
    "a retry comes too soon": (
        retry,
        lambda b, a: entry(
            token(a, -1, due=1 << 44), -1, wait=(1 << 44) - a.created_at - a.last_at
        ),
        "retry delay",
    ),
    "a save without a result forgets a state": (
        lambda b, a: sweeps(b, a) and bool(a.states),
        field(states={}),
        "history",
    ),
    "a wait that nobody has": (
        lambda b, a: has("waits")(b, a),
        lambda b, a: replace(a, waits=(replace(a.waits[0], visit=99),)),
        "bounds",
    ),
    "a signal is consumed in silence": (
        recording(Kind.SIGNALLED),
        lambda b, a: replace(a, consumed=b.consumed),
        "consume",
    ),
    "a signal has another payload": (
        recording(Kind.SIGNALLED),
        newest(value=b'{"tag":"other"}'),
        "consume",
    ),
}


@pytest.mark.parametrize("what", SAVES)
def test_a_save_is_refused_where(what: str, history: tuple[int, Told]) -> None:
    seed, told = history
    where, wrong, rule = SAVES[what]
    seen: list[str | None] = []
    for place, key, before, after in saves(told):
        if before is not None and where(before, after):
            changed = list(told)
            at = told[place][1][3]
            changed[place] = ("head_saved", (key, before, wrong(before, after), at))
            seen.append(objection(seed, changed))
            if rule in seen:
                return
            if len(seen) == 5:
                break
    raise AssertionError(f"expected '{rule}', and it was {seen or 'never the case'}")
