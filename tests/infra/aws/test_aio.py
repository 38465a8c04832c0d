"""The asynchronous client, once through everything, against moto as a server."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import Misconfigured, StoreUnusable
from engine.ports import RevisionConflict, Send
from infra.aws.aio import AsyncClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.s3 import S3Blobs
from infra.aws.sqs import SqsQueue
from infra.aws.table import create_table
from tests.infra.aws.names import BUCKET, TABLE
from tests.infra.records import HEAD, PARTITION, collect, item


def test_store_queue_and_blobs_work_on_one_event_loop(
    runner: asyncio.Runner, endpoint: str
) -> None:
    async def once_through() -> None:
        async with AsyncClients(connections=16) as clients:
            dynamodb, sqs = await clients.client("dynamodb"), await clients.client("sqs")
            await create_table(dynamodb, TABLE)
            created = await sqs.call("create_queue", QueueName="steps")
            s3 = await clients.client("s3")
            location = {"LocationConstraint": "eu-west-1"}
            await s3.call("create_bucket", Bucket=BUCKET, CreateBucketConfiguration=location)

            await store(DynamoStore(dynamodb, TABLE))
            await queue(SqsQueue(sqs, created["QueueUrl"]))
            await blobs(S3Blobs(lambda: clients.client("s3"), BUCKET))
            assert await clients.client("s3") is s3
            with pytest.raises(Misconfigured, match="TIDESTEP_TABLE"):
                await DynamoStore(dynamodb, "absent").head(HEAD.key)

    async def store(store: DynamoStore) -> None:
        await store.put_head(HEAD, None)
        with pytest.raises(RevisionConflict) as conflict:
            await store.put_head(HEAD, None)
        assert conflict.value.current == await store.head(HEAD.key) == b"first"
        names = [f"page/{number:03d}" for number in range(30)]
        await store.put_items([item(name) for name in names])
        assert [name for name, _ in await collect(store.scan(PARTITION, "page/"))] == names
        (row,) = await store.runs("default", limit=5)
        assert row.key == HEAD.key

    async def queue(queue: SqsQueue) -> None:
        await queue.send([Send(str(number), "flow") for number in range(12)])
        deliveries = list(await queue.receive(20, 1))
        while len(deliveries) < 12:  # a request for more that was slow has its messages later
            deliveries += await queue.receive(20, 1)
        assert sorted(int(delivery.body) for delivery in deliveries) == list(range(12))
        await asyncio.gather(*(queue.acknowledge(delivery) for delivery in deliveries))
        assert await queue.receive(20, 0) == []

    async def blobs(blobs: S3Blobs) -> None:
        await blobs.put("default/large", b"x" * 200_000)
        assert await blobs.get("default/large") == b"x" * 200_000
        assert await blobs.get("default/absent") is None

    runner.run(once_through())


def test_an_endpoint_that_nobody_listens_on_is_a_platform_error(
    runner: asyncio.Runner, credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.aws.client.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    async def ask() -> None:
        async with AsyncClients(1) as clients:
            await (await clients.client("dynamodb")).call("list_tables")

    with pytest.raises(StoreUnusable, match="AWS_ENDPOINT_URL"):
        runner.run(ask())
