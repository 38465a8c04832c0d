"""The long-running process: which queues it has, and who acknowledges what comes from them."""

from __future__ import annotations

import asyncio
import os

from engine.ports import Send
from infra.aws.aio import AsyncClients
from infra.aws.sqs import SqsQueue
from infra.aws.worker import STEP_TIMEOUT_S, VISIBILITY_S, aws_backend
from tests.infra.aws.names import BUCKET, TABLE


async def queues(*names: str) -> list[str]:
    """Their addresses. Messages come again at once where the receiver asks for no more."""
    async with AsyncClients(1) as clients:
        sqs = await clients.client("sqs")
        at_once = {"VisibilityTimeout": "0"}
        created = [
            await sqs.call("create_queue", QueueName=name, Attributes=at_once) for name in names
        ]
        return [answer["QueueUrl"] for answer in created]


def environment(queue_url: str, dead_letter_url: str = "") -> dict[str, str]:
    return {
        **os.environ,
        "TIDESTEP_TABLE": TABLE,
        "TIDESTEP_BUCKET": BUCKET,
        "TIDESTEP_QUEUE_URL": queue_url,
        "TIDESTEP_DEAD_LETTER_URL": dead_letter_url,
    }


def test_deliveries_of_both_queues_are_the_workers_until_the_journal_acknowledges_them(
    runner: asyncio.Runner, endpoint: str
) -> None:
    async def once_through() -> None:
        steps, dead = await queues("steps", "dead")
        async with AsyncClients(2) as clients, aws_backend(environment(steps, dead)) as backend:
            assert backend.dead_letters is not None
            await SqsQueue(await clients.client("sqs"), dead).send([Send("dead", "flow")])
            await backend.platform.journal.send([Send("alive", "flow")])
            for source, body in ((backend.source, "alive"), (backend.dead_letters, "dead")):
                (delivery,) = await source.receive(10, 1)
                assert delivery.body == body
                assert await source.receive(10, 0) == []
                await source.release(delivery, 0)
                (again,) = await source.receive(10, 1)
                await backend.platform.journal.send([], acknowledgement=again)
                await source.release(again, 0)
                assert await source.receive(10, 0) == []

    runner.run(once_through())


def test_a_queue_of_dead_letters_that_is_not_named_is_not_looked_after(
    runner: asyncio.Runner, endpoint: str
) -> None:
    async def without() -> None:
        (steps,) = await queues("steps")
        async with aws_backend(environment(steps)) as backend:
            assert backend.dead_letters is None

    runner.run(without())


def test_a_step_leaves_time_for_receiving_and_committing() -> None:
    assert STEP_TIMEOUT_S + 60 <= VISIBILITY_S


def test_a_worker_reaches_runners_where_it_is_told_how(
    runner: asyncio.Runner, endpoint: str
) -> None:
    async def settings(**more: str) -> int | None:
        (queue_url,) = await queues("steps")
        async with aws_backend({**environment(queue_url), **more}) as backend:
            allocation = backend.platform.allocation
            return None if allocation is None else allocation.settings.ping_ms

    assert runner.run(settings()) is None
    assert runner.run(settings(TIDESTEP_WEBSOCKET_URL="wss://id.example/live")) == 15_000
