"""The functions on a stand-in of AWS, with the order example deployed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from infra.aws.table import table_definition
from tests.functions.templates import load_stack

EVENTS = Path("functions/events")


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


class LambdaContext(SimpleNamespace):
    """What the handlers read of it; a minute is left."""

    function_name = "tidestep"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:tidestep"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"
    remaining_ms = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


class Stack:
    """The deployed system, seen from outside: HTTP in, messages through SQS."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        self.dynamodb = boto3.client("dynamodb")
        self.dynamodb.create_table(**table_definition("table"))
        self.queue_url = self.sqs.create_queue(QueueName="steps")["QueueUrl"]
        boto3.client("s3").create_bucket(Bucket="blobs")
        self.context = LambdaContext()

    def empty(self) -> None:
        self.dynamodb.delete_table(TableName="table")
        self.dynamodb.create_table(**table_definition("table"))
        self.sqs.delete_queue(QueueUrl=self.queue_url)
        self.sqs.create_queue(QueueName="steps")
        self.context = LambdaContext()

    def start(self, **changes: Any) -> tuple[int, Any]:
        from functions.start import handler

        event = sample("start")
        workflow = changes.pop("workflow", "order")
        event["rawPath"] = event["requestContext"]["http"]["path"] = f"/workflows/{workflow}/runs"
        event.update(changes)
        response = handler(event, self.context)
        return response["statusCode"], json.loads(response["body"])

    def read(self, run: str) -> tuple[int, Any]:
        from functions.start import handler

        event = sample("read")
        event["rawPath"] = event["requestContext"]["http"]["path"] = f"/runs/{run}"
        response = handler(event, self.context)
        return response["statusCode"], json.loads(response["body"])

    def receive(self) -> list[dict[str, Any]]:
        """Records as Lambda's poller makes them of messages."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )
        template = sample("dispatcher")["Records"][0]
        records = []
        for message in messages.get("Messages", []):
            record = deepcopy(template)
            record["messageId"] = message["MessageId"]
            record["receiptHandle"] = message["ReceiptHandle"]
            record["body"] = message["Body"]
            record["attributes"] = message["Attributes"]
            records.append(record)
        return records

    def delayed(self) -> int:
        """How many messages wait for their delay to be over."""
        name = "ApproximateNumberOfMessagesDelayed"
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def dispatch(self, records: list[dict[str, Any]]) -> list[str]:
        """Invoke the dispatcher; what it reports as failed stays, the rest is deleted."""
        from functions.dispatcher import handler

        answer = handler({"Records": records}, self.context)
        failed = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        for record in records:
            if record["messageId"] not in failed:
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"]
                )
        return failed

    def work(self) -> None:
        while records := self.receive():
            assert self.dispatch(records) == []


@pytest.fixture(scope="module")
def deployed() -> Iterator[Stack]:
    """One process of each function for all tests: opening clients takes longer than most tests."""
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "tidestep",
        "POWERTOOLS_METRICS_NAMESPACE": "Tidestep",
        "TIDESTEP_TABLE": "table",
        "TIDESTEP_BUCKET": "blobs",
        "TIDESTEP_ACTORS": "tests.functions.shop",
        "TIDESTEP_WORKFLOWS": "tests/functions/shop.yaml",
    }
    with patch.dict(os.environ, settings), mock_aws():
        stack = Stack()
        os.environ["TIDESTEP_QUEUE_URL"] = stack.queue_url
        yield stack


@pytest.fixture
def stack(deployed: Stack) -> Stack:
    """The deployed system, empty."""
    from functions.start import starter

    deployed.empty()
    starter.cache_clear()  # it remembers which definitions the table has
    return deployed


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load_stack()


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found
