"""Batches: what one record does to the others, and what a death of the process does to all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.ports import Limits
from tests.functions.conftest import Stack, sample
from tests.functions.shop import BOMB, PRICED

VISIBILITY_MS = 360_000


class Died(BaseException):
    """The process ends here, with everything that it was doing."""


@pytest.fixture(autouse=True)
def mortal(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Once the bomb was priced, nothing that its process asks for is done any more."""
    from functions.application import platform

    journal = platform().journal
    for name in ("commit", "put", "swap", "remove", "send"):
        method = getattr(journal, name)

        async def mortal(*arguments: Any, method: Any = method) -> Any:
            if BOMB in PRICED:
                raise Died
            return await method(*arguments)

        monkeypatch.setattr(journal, name, mortal)
    PRICED.clear()
    yield
    PRICED.clear()


def order(stack: Stack, run: str, sku: str = "cup") -> None:
    stack.start(body=json.dumps({"id": run, "input": {"sku": sku, "quantity": 1}}))


def again(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same messages as SQS delivers them after their visibility time-out."""
    for record in records:
        attributes = record["attributes"]
        receives = int(attributes["ApproximateReceiveCount"]) + 1
        record["attributes"] = {**attributes, "ApproximateReceiveCount": str(receives)}
    return records


def die(stack: Stack, records: list[dict[str, Any]]) -> None:
    """Invoke the dispatcher in a process that does not survive it."""
    with pytest.raises(Died):
        stack.dispatch(records)
    PRICED.remove(BOMB)  # the next process begins


def test_a_death_of_the_process_does_not_run_again_what_was_committed(stack: Stack) -> None:
    for run in ("a", "b", "c"):
        order(stack, run)
    records = stack.receive()
    first, rest = records[:1], records[1:]
    stack.dispatch(first)
    order(stack, "bomb", BOMB)
    bomb = next(r for r in stack.receive() if json.loads(r["body"])["run"] == "bomb")
    die(stack, [*rest, bomb])
    PRICED.clear()
    stack.dispatch(again([*first, *rest]))
    assert len(PRICED) <= len(rest), "what was committed before the death is not run again"
    stack.work()
    for run in ("a", "b", "c"):
        assert stack.read(run)[1]["status"] == "completed"


def test_a_step_that_kills_its_process_fails_after_three_visibility_time_outs_and_alone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.application import platform

    clock = type(platform().clock)
    began = platform().clock.now()
    elapsed = 0
    monkeypatch.setattr(clock, "now", lambda self: began + elapsed)
    for number in range(3):
        order(stack, f"innocent-{number}")
    order(stack, "bomb", BOMB)
    records = stack.receive()
    deaths = 0
    for receipt in range(10):
        elapsed = receipt * VISIBILITY_MS
        try:
            stack.dispatch(records)
            break
        except Died:
            PRICED.remove(BOMB)
            deaths += 1
            records = again(records)
    assert deaths == 1 + Limits().deaths
    assert elapsed == (1 + Limits().deaths) * VISIBILITY_MS
    view = stack.read("bomb")[1]
    assert (view["status"], view["error"]["type"]) == ("failed", "StepCrashed")
    stack.work()
    for number in range(3):
        assert stack.read(f"innocent-{number}")[1]["status"] == "completed"


def test_a_dead_letter_is_sent_again_and_in_the_end_fails_its_attempt(stack: Stack) -> None:
    from functions.dead_letters import handler

    order(stack, "order-7")
    (record,) = stack.receive()
    assert handler({"Records": [record]}, stack.context) == {"batchItemFailures": []}
    assert stack.delayed() == 1
    message = {**json.loads(record["body"]), "injected": Limits().injections}
    handler({"Records": [{**record, "body": json.dumps(message)}]}, stack.context)
    view = stack.read("order-7")[1]
    assert (view["status"], view["error"]["type"]) == ("failed", "Undeliverable")
    assert PRICED == []


def test_the_sample_dead_letter_of_an_unknown_run_is_acknowledged(stack: Stack) -> None:
    from functions.dead_letters import handler

    assert handler(sample("dead_letters"), stack.context) == {"batchItemFailures": []}
