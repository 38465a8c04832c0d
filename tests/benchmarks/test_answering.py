"""The dictionaries that the benchmarks ask instead of AWS answer as moto does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from moto import mock_aws

from benchmarks.answering import AnsweringQueue, AnsweringTable
from benchmarks.aws_run import AwsRun, Cost
from benchmarks.shapes import Shape, chain, join, loop, naming, text_of, value_of
from benchmarks.walking import Walk
from engine.snapshot import decode_head, encode_head
from infra.aws.client import ThreadedClients
from infra.aws.failures import ConditionFailed
from infra.aws.table import create_table

NAME = "steps"
STEPS = 40


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "TIDESTEP_LOCALSTACK"):
        monkeypatch.delenv(name, raising=False)


Items = dict[tuple[str, str], dict[str, Any]]
Make = Callable[[], Shape]
"""Making one takes a while: not while tests are collected."""


def join_across_pages() -> Shape:
    return join(lead=3)


async def run(driven: AwsRun, shape: Shape, size: int) -> list[Cost]:
    started = await driven.start(shape.definition, value_of(size))
    return [started, *[await driven.step() for _ in range(STEPS)]]


def on_dictionaries(shape: Shape, size: int) -> tuple[list[Cost], Items]:
    table, queue = AnsweringTable(), AnsweringQueue()
    costs = asyncio.run(run(AwsRun(table, NAME, queue, "url", queue.poll), shape, size))
    return costs, table.items


def on_moto(shape: Shape, size: int) -> tuple[list[Cost], Items]:
    async def measured(clients: ThreadedClients) -> tuple[list[Cost], Items]:
        dynamodb, sqs = clients.client("dynamodb"), clients.client("sqs")
        await create_table(dynamodb, NAME)
        url = (await sqs.call("create_queue", QueueName=NAME))["QueueUrl"]

        async def poll() -> Sequence[str]:
            answer = await sqs.call("receive_message", QueueUrl=url, MaxNumberOfMessages=10)
            for message in answer["Messages"]:
                receipt = message["ReceiptHandle"]
                await sqs.call("delete_message", QueueUrl=url, ReceiptHandle=receipt)
            return [message["Body"] for message in answer["Messages"]]

        costs = await run(AwsRun(dynamodb, NAME, sqs, url, poll), shape, size)
        items = (await dynamodb.call("scan", TableName=NAME))["Items"]
        return costs, {(item["p"]["S"], item["s"]["S"]): item for item in items}

    with mock_aws():
        clients = ThreadedClients(connections=2)
        try:
            return asyncio.run(measured(clients))
        finally:
            clients.close()


@pytest.mark.parametrize(
    ("make", "size"), [(loop, 64), (loop, 200), (join, 64), (join, 200), (join_across_pages, 64)]
)
def test_a_short_run_asks_and_leaves_the_same_as_on_moto(make: Make, size: int) -> None:
    shape = make()
    costs, items = on_dictionaries(shape, size)
    costs_on_moto, items_on_moto = on_moto(shape, size)

    assert costs == costs_on_moto
    assert items == items_on_moto


def test_a_refused_save_brings_the_item_that_stands() -> None:
    async def refused() -> None:
        table = AnsweringTable()
        item = {"p": {"S": "p"}, "s": {"S": "head"}, "r": {"N": "2"}}
        await table.call("put_item", TableName=NAME, Item=item)
        with pytest.raises(ConditionFailed) as failed:
            await table.call(
                "put_item",
                TableName=NAME,
                Item={**item, "r": {"N": "3"}},
                ConditionExpression="r = :expected",
                ExpressionAttributeValues={":expected": {"N": "1"}},
            )
        assert failed.value.item == item
        assert list(table.items.values()) == [item]

    asyncio.run(refused())


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("query", {}),
        ("put_item", {"Item": {"p": {"S": ""}, "s": {"S": ""}}, "ConditionExpression": "x = :y"}),
    ],
)
def test_what_is_not_known_is_refused(operation: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        asyncio.run(AnsweringTable().call(operation, **parameters))


@pytest.mark.parametrize("make", [chain, loop, join, naming])
def test_a_walk_leaves_heads_as_long_as_those_of_the_dispatcher(make: Make) -> None:
    shape = make()
    walk = Walk(shape, text_of(64))
    walk.go(STEPS)
    _, items = on_dictionaries(shape, 64)

    (body,) = (item["b"]["B"] for (_, name), item in items.items() if name == "head")
    pages = {name: item["b"]["B"] for (_, name), item in items.items() if name.startswith("page/")}
    assert decode_head(body).steps == STEPS
    assert len(body) == len(encode_head(walk.head))
    assert {page.name: len(page.body) for page in walk.pages} == {
        name: len(page) for name, page in pages.items()
    }
