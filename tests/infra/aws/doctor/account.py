"""An account in which all is well: what AWS answers about a deployed stack, for tests to break.

The stack `shop` nests ours as `Tidestep`, which nests `ActorStack`. An answer is found by service
and operation, and by what it is asked about, like "lambda.get_function_configuration dispatcher".
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from email.utils import formatdate
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.client import AwsClient
from infra.aws.doctor.bucket import BLOCKS
from infra.aws.doctor.examining import Report, examine
from infra.aws.doctor.findings import Finding, Level
from infra.aws.failures import translated
from infra.aws.table import table_definition

NOW = 1_795_000_000_000
"""18 November 2026."""
ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/0"
OURS = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-Tidestep/1"
ACTORS = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-Tidestep-Actors/2"
SQS = "https://sqs.eu-west-1.amazonaws.com/123456789012"
QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012"
TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/table"

FUNCTIONS = {
    "DispatcherFunction": ("dispatcher", 60),
    "DeadLetterFunction": ("dead-letters", 60),
    "SweeperFunction": ("sweeper", 50),
    "StartFunction": ("start", 15),
    "CallbackFunction": ("callbacks", 15),
    "GatewayFunction": ("gateway", 29),
    "RunnersFunction": ("runners", 29),
    "PoolFunction": ("pool", 900),
}
"""Logical name -> physical name and timeout."""
_OF_ACTORS = ("GatewayFunction", "RunnersFunction", "PoolFunction")
_TARGETS = ("FunctionName", "QueueUrl", "TableName", "Bucket", "PolicySourceArn", "StackName")

Answers = dict[str, Any]


def summary(logical: str, physical: str, kind: str, status: str = "CREATE_COMPLETE") -> Answers:
    return {
        "LogicalResourceId": logical,
        "PhysicalResourceId": physical,
        "ResourceType": kind,
        "ResourceStatus": status,
    }


def refusal(code: str, operation: str, message: str = "said", **rest: Any) -> ClientError:
    """`operation` in CamelCase."""
    return ClientError({"Error": {"Code": code, "Message": message}, **rest}, operation)


class Account:
    """Implements `Clients`. An exception among the answers is raised, as the seam raises it."""

    def __init__(self) -> None:
        self.answers = healthy()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.environment: dict[str, str] = {}
        """What whoever opened it was told."""
        self.closed = False

    def close(self) -> None:
        self.closed = True

    async def later(self, service: str) -> AwsClient:
        return _Client(self, service)

    def report(self) -> Report:
        return asyncio.run(examine(self, "shop", lambda: NOW))

    def broken(self) -> list[Finding]:
        """All that is not well."""
        return [each for each in self.report().findings if each.level is not Level.OK]


class _Client:
    def __init__(self, account: Account, service: str) -> None:
        self._account = account
        self._service = service

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        account, name = self._account, f"{self._service}.{operation}"
        account.asked.append((name, parameters))
        target = next((parameters[each] for each in _TARGETS if each in parameters), "")
        found = account.answers.get(f"{name} {target}", account.answers.get(name))
        with translated(self._service, operation, parameters):
            if isinstance(found, Exception):
                raise found
            assert found is not None, f"{name} {target}"
            answer: dict[str, Any] = deepcopy(found(**parameters) if callable(found) else found)
            return answer


def healthy() -> Answers:
    return {**_stacks(), **_functions(), **_storage(), **_queues(), **_others()}


def _stacks() -> Answers:
    kinds = {"StepQueue": "SQS::Queue", "StepDeadLetters": "SQS::Queue"}
    queues = [summary(name, f"{SQS}/{name}", f"AWS::{kind}") for name, kind in kinds.items()]
    functions = {
        name: summary(name, physical, "AWS::Lambda::Function")
        for name, (physical, _) in FUNCTIONS.items()
    }
    nested = "AWS::CloudFormation::Stack"
    ours = [
        summary("Table", "table", "AWS::DynamoDB::Table"),
        summary("Blobs", "blobs", "AWS::S3::Bucket"),
        summary("Logs", "/tidestep/shop", "AWS::Logs::LogGroup"),
        summary("SweeperFunctionEveryMinute", "every-minute", "AWS::Events::Rule"),
        *queues,
        *(each for name, each in functions.items() if name not in _OF_ACTORS),
        summary("ActorStack", ACTORS, nested),
    ]
    root = [summary("Tidestep", OURS, nested), summary("Orders", "orders", "AWS::SQS::Queue")]
    actors = [functions[name] for name in _OF_ACTORS]
    described = {
        "Stacks": [{"StackName": "shop", "StackId": ROOT, "StackStatus": "UPDATE_COMPLETE"}],
        "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(NOW / 1000, usegmt=True)}},
    }
    all_stacks = [
        {"StackName": "shop", "StackId": ROOT, "Description": "Sells."},
        {
            "StackName": "shop-Tidestep",
            "StackId": OURS,
            "RootId": ROOT,
            "Description": "Tidestep: state",
        },
        {"StackName": "other", "StackId": "arn:aws:cloudformation:x:y:stack/other/3"},
    ]
    listing = "cloudformation.list_stack_resources"
    return {
        "cloudformation.describe_stacks shop": described,
        "cloudformation.describe_stacks ": {"Stacks": all_stacks},
        f"{listing} {ROOT}": {"StackResourceSummaries": root},
        f"{listing} {OURS}": {"StackResourceSummaries": ours},
        f"{listing} {ACTORS}": {"StackResourceSummaries": actors},
    }


def _functions() -> Answers:
    answers: Answers = {}
    for name, (physical, timeout_s) in FUNCTIONS.items():
        answers[f"lambda.get_function_configuration {physical}"] = {
            "FunctionName": physical,
            "Timeout": timeout_s,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Runtime": "python3.13",
            "Role": f"arn:aws:iam::123456789012:role/{name}",
        }
        answers[f"lambda.get_function_concurrency {physical}"] = {}
        answers[f"lambda.get_function_recursion_config {physical}"] = {"RecursiveLoop": "Allow"}
    for physical, queue, most in (
        ("dispatcher", "StepQueue", 100),
        ("dead-letters", "StepDeadLetters", 2),
    ):
        mapping = {
            "UUID": f"{physical}-source",
            "EventSourceArn": f"{QUEUE_ARN}:{queue}",
            "State": "Enabled",
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": most},
        }
        answers[f"lambda.list_event_source_mappings {physical}"] = {
            "EventSourceMappings": [mapping]
        }
    limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900}
    return {**answers, "lambda.get_account_settings": {"AccountLimit": limits}}


def _storage() -> Answers:
    definition = table_definition("table")
    described = {
        **{key: definition[key] for key in ("AttributeDefinitions", "KeySchema")},
        "TableStatus": "ACTIVE",
        "TableArn": TABLE_ARN,
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "StreamSpecification": {"StreamEnabled": True},
        "GlobalSecondaryIndexes": [
            {**index, "IndexStatus": "ACTIVE"} for index in definition["GlobalSecondaryIndexes"]
        ],
    }
    ttl = {"TimeToLiveStatus": "ENABLED", "AttributeName": "x"}
    recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    rule = {"ID": "uploads", "Status": "Enabled", "AbortIncompleteMultipartUpload": {}}
    return {
        "dynamodb.describe_table": {"Table": described},
        "dynamodb.describe_time_to_live": {"TimeToLiveDescription": ttl},
        "dynamodb.describe_continuous_backups": {"ContinuousBackupsDescription": recovery},
        "dynamodb.query": {"Items": []},
        "s3.get_public_access_block": {
            "PublicAccessBlockConfiguration": dict.fromkeys(BLOCKS, True)
        },
        "s3.get_bucket_lifecycle_configuration": {"Rules": [rule]},
    }


def _queues() -> Answers:
    redrive = f'{{"deadLetterTargetArn": "{QUEUE_ARN}:StepDeadLetters", "maxReceiveCount": 10}}'
    answers: Answers = {}
    for name, policy in (("StepQueue", redrive), ("StepDeadLetters", "")):
        attributes = {
            "QueueArn": f"{QUEUE_ARN}:{name}",
            "VisibilityTimeout": "360",
            "MessageRetentionPeriod": "1209600",
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "RedrivePolicy": policy,
        }
        answers[f"sqs.get_queue_attributes {SQS}/{name}"] = {"Attributes": attributes}
    return answers


def _others() -> Answers:
    def allowed(**parameters: Any) -> dict[str, Any]:
        actions = parameters["ActionNames"]
        results = [{"EvalActionName": each, "EvalDecision": "allowed"} for each in actions]
        return {"EvaluationResults": results}

    return {
        "events.describe_rule": {"State": "ENABLED", "ScheduleExpression": "rate(1 minute)"},
        "cloudwatch.get_metric_data": {"MetricDataResults": []},
        "iam.simulate_principal_policy": allowed,
    }
