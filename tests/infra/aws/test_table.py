"""The table's definition, and creating it on AWS and on stand-ins that know less."""

from __future__ import annotations

import asyncio

from infra.aws.client import ThreadedClients
from infra.aws.failures import Unsupported
from infra.aws.table import create_table, table_definition
from tests.infra.aws.stubs import Scripted


def test_the_table_is_on_demand_and_recoverable(
    runner: asyncio.Runner, clients: ThreadedClients
) -> None:
    client = clients.client("dynamodb")
    runner.run(create_table(client, "t-1"))
    table = runner.run(client.call("describe_table", TableName="t-1"))["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    projections = {
        each["IndexName"]: each["Projection"] for each in table["GlobalSecondaryIndexes"]
    }
    assert projections == {
        "wake": {"ProjectionType": "KEYS_ONLY"},
        "runs": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["t", "w"]},
    }
    ttl = runner.run(client.call("describe_time_to_live", TableName="t-1"))
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "x"
    backups = runner.run(client.call("describe_continuous_backups", TableName="t-1"))
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_creating_waits_until_the_table_is_active_and_forgives_a_stand_in(
    runner: asyncio.Runner,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    creating, active = ({"Table": {"TableStatus": status}} for status in ("CREATING", "ACTIVE"))
    client = Scripted({}, creating, creating, active, Unsupported("no TTL here"))
    runner.run(create_table(client, "t-1", sleep))
    assert len(slept) == 2


def test_every_index_key_is_declared_and_nothing_else() -> None:
    definition = table_definition("t-1")
    declared = {each["AttributeName"] for each in definition["AttributeDefinitions"]}
    schemas = [definition, *definition["GlobalSecondaryIndexes"]]
    used = {key["AttributeName"] for schema in schemas for key in schema["KeySchema"]}
    assert declared == used
