"""What is read of AWS, as moto imitates it: the same findings as of values."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from moto.core.config import DefaultConfig

from engine.layout import run_key
from infra.aws.client import ThreadedClients
from infra.aws.doctor.examining import Report, examine
from infra.aws.doctor.findings import Level
from infra.aws.table import item_key
from infra.system import SystemClock
from tests.infra.aws.account import CREDENTIALS
from tests.infra.aws.doctor.deployed import STACK, deploy

SIMPLE: DefaultConfig = {"lambda": {"use_docker": False}}
LACKING = {"recursion", "quota", "role"}
"""The checks that need what moto has not."""


@pytest.fixture
def names(credentials: None) -> Iterator[dict[str, str]]:
    with (
        patch.dict(os.environ, {**CREDENTIALS, "AWS_DEFAULT_REGION": "eu-west-1"}),
        mock_aws(config=SIMPLE),
    ):
        yield deploy()


def examined() -> Report:
    clients = ThreadedClients(connections=1)  # moto answers wrongly where several ask at once
    try:
        return asyncio.run(examine(clients, STACK, SystemClock().now))
    finally:
        clients.close()


def broken() -> set[tuple[str, str, Level]]:
    return {
        (each.check, each.resource.logical, each.level)
        for each in examined().findings
        if each.level is not Level.OK and each.check not in LACKING
    }


def test_of_a_stack_as_the_template_has_it_all_is_well(names: dict[str, str]) -> None:
    report = examined()
    assert (report.stack, report.region) == (STACK, "eu-west-1")
    assert {(each.check, each.level) for each in report.findings if each.level is not Level.OK} == {
        (check, Level.UNKNOWN) for check in LACKING
    }
    assert {each.check for each in report.of(Level.OK)} >= {
        *("stack", "resources", "function", "runtime", "source", "visibility", "redrive"),
        *("backlog", "retention", "dead letters", "table", "indexes", "ttl", "recovery", "stream"),
        *("capacity", "public access", "lifecycle", "schedule", "last hour", "late runs"),
    }


def test_queues_functions_and_what_feeds_them_are_read(names: dict[str, str]) -> None:
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    functions.put_function_concurrency(
        FunctionName=names["DispatcherFunction"], ReservedConcurrentExecutions=0
    )
    functions.update_event_source_mapping(UUID=names["DeadLetterFunctionSource"], Enabled=False)
    sqs.set_queue_attributes(QueueUrl=names["StepQueue"], Attributes={"VisibilityTimeout": "10"})
    sqs.send_message(QueueUrl=names["StepDeadLetters"], MessageBody="x")
    assert broken() == {
        ("concurrency", "DispatcherFunction", Level.PROBLEM),
        ("source", "DeadLetterFunction", Level.PROBLEM),
        ("visibility", "StepQueue", Level.PROBLEM),
        ("dead letters", "StepDeadLetters", Level.PROBLEM),
    }


def test_the_table_the_bucket_and_the_rule_are_read(names: dict[str, str]) -> None:
    boto3.client("dynamodb").update_time_to_live(
        TableName=names["Table"], TimeToLiveSpecification={"Enabled": False, "AttributeName": "x"}
    )
    boto3.client("s3").delete_public_access_block(Bucket=names["Blobs"])
    boto3.client("s3").delete_bucket_lifecycle(Bucket=names["Blobs"])
    boto3.client("events").disable_rule(Name=names["SweeperFunctionEveryMinute"])
    assert broken() == {
        ("ttl", "Table", Level.PROBLEM),
        ("public access", "Blobs", Level.PROBLEM),
        ("lifecycle", "Blobs", Level.WARNING),
        ("schedule", "SweeperFunctionEveryMinute", Level.PROBLEM),
    }


def test_what_somebody_has_deleted_is_missed(names: dict[str, str]) -> None:
    boto3.client("dynamodb").delete_table(TableName=names["Table"])
    boto3.client("sqs").delete_queue(QueueUrl=names["StepQueue"])
    boto3.client("s3").delete_bucket(Bucket=names["Blobs"])
    boto3.client("events").delete_rule(Name=names["SweeperFunctionEveryMinute"])
    boto3.client("lambda").delete_function(FunctionName=names["SweeperFunction"])
    gone = {
        each.resource.logical for each in examined().of(Level.PROBLEM) if "deleted" in each.seen
    }
    assert gone == {
        *("Table", "StepQueue", "Blobs", "SweeperFunctionEveryMinute", "SweeperFunction")
    } | {"DispatcherFunction"}


def test_metrics_and_late_runs_are_read(names: dict[str, str]) -> None:
    dimensions = [{"Name": "FunctionName", "Value": names["SweeperFunction"]}]
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "Errors",
                "Dimensions": dimensions,
                "Value": 2.0,
                "Timestamp": datetime.now(UTC) - timedelta(minutes=10),
            }
        ],
    )
    wake_at = SystemClock().now() - 700_000
    head = {**item_key(run_key("order-7").partition, "head"), "b": {"B": b"\xc1"}}
    indexed = {"h": {"N": "3"}, "d": {"N": str(wake_at)}}
    boto3.client("dynamodb").put_item(TableName=names["Table"], Item={**head, **indexed})
    assert broken() == {
        ("last hour", "SweeperFunction", Level.WARNING),
        ("late runs", "Table", Level.PROBLEM),
    }
