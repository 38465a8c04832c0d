"""Everything that can be wrong, one thing at a time: what is changed, and what is to be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.ports import Limits
from engine.timing import LOOK_AFTER_MS
from infra.aws.doctor.findings import Level
from tests.infra.aws.doctor.account import OURS, QUEUE_ARN, SQS, summary

PROBLEM, WARNING = Level.PROBLEM, Level.WARNING
CONFIGURATION = "lambda.get_function_configuration"
DISPATCHER = f"{CONFIGURATION} dispatcher"
READS_STEPS = "lambda.list_event_source_mappings dispatcher"
STEPS = f"sqs.get_queue_attributes {SQS}/StepQueue"
DEAD = f"sqs.get_queue_attributes {SQS}/StepDeadLetters"
TABLE = "dynamodb.describe_table"
BLOCK = "s3.get_public_access_block"
LIFECYCLE = "s3.get_bucket_lifecycle_configuration"
RULE = "events.describe_rule"

Change = Callable[[Any], Any]


def put(*path: Any) -> Change:
    """A change that sets what lies at a path; the last of it is the value."""

    def change(answer: Any) -> None:
        *way, name, value = path
        for step in way:
            answer = answer[step]
        answer[name] = value

    return change


def source(name: str, value: Any) -> Change:
    return put("EventSourceMappings", 0, name, value)


BROKEN: list[tuple[str, Change, str, Level, str, str]] = [
    (
        "cloudformation.describe_stacks shop",
        put("Stacks", 0, "StackStatus", "UPDATE_ROLLBACK_FAILED"),
        *("stack", PROBLEM, "shop", "UPDATE_ROLLBACK_FAILED"),
    ),
    (
        f"cloudformation.list_stack_resources {OURS}",
        lambda answer: answer["StackResourceSummaries"].append(
            {**summary("X", "x", "T", "UPDATE_FAILED"), "ResourceStatusReason": "too large"}
        ),
        *("resources", PROBLEM, "shop/Tidestep", "X UPDATE_FAILED (too large)"),
    ),
    (
        f"cloudformation.list_stack_resources {OURS}",
        lambda answer: answer["StackResourceSummaries"].pop(3),
        *("resources", PROBLEM, "shop/Tidestep", "not there: SweeperFunctionEveryMinute"),
    ),
    (DISPATCHER, put("State", "Failed"), "function", PROBLEM, "DispatcherFunction", "Failed"),
    (
        DISPATCHER,
        put("LastUpdateStatus", "Failed"),
        *("function", PROBLEM, "DispatcherFunction", "last update has failed"),
    ),
    (
        f"{CONFIGURATION} start",
        put("LastUpdateStatus", "InProgress"),
        *("function", WARNING, "StartFunction", "InProgress"),
    ),
    (
        DISPATCHER,
        put("Runtime", "python3.10"),
        *("runtime", PROBLEM, "DispatcherFunction", "deprecated since 2026-10-31"),
    ),
    (
        f"{CONFIGURATION} gateway",
        put("Timeout", 30),
        *("timeout", WARNING, "GatewayFunction", "API Gateway gives up"),
    ),
    (
        f"{CONFIGURATION} pool",
        put("Timeout", 800),
        *("timeout", PROBLEM, "PoolFunction", "held for 860 s"),
    ),
    *(
        (
            f"lambda.get_function_recursion_config {physical}",
            put("RecursiveLoop", "Terminate"),
            *("recursion", PROBLEM, logical, "RecursiveLoop is Terminate"),
        )
        for physical, logical in (
            ("dispatcher", "DispatcherFunction"),
            ("dead-letters", "DeadLetterFunction"),
            ("pool", "PoolFunction"),
        )
    ),
    (
        "lambda.get_function_concurrency sweeper",
        put("ReservedConcurrentExecutions", 0),
        *("concurrency", PROBLEM, "SweeperFunction", "it never runs"),
    ),
    (
        "lambda.get_function_concurrency dispatcher",
        put("ReservedConcurrentExecutions", 99),
        *("concurrency", PROBLEM, "DispatcherFunction", "99 executions are reserved"),
    ),
    (
        "lambda.get_account_settings",
        put("AccountLimit", "UnreservedConcurrentExecutions", 10),
        *("quota", PROBLEM, "Lambda, concurrent executions", "may want 102"),
    ),
    (
        READS_STEPS,
        put("EventSourceMappings", []),
        *("source", PROBLEM, "DispatcherFunction", "no event source mapping"),
    ),
    (
        READS_STEPS,
        source("EventSourceArn", f"{QUEUE_ARN}:Orders"),
        *("source", PROBLEM, "DispatcherFunction", "no event source mapping"),
    ),
    (
        READS_STEPS,
        source("State", "Disabled"),
        *("source", PROBLEM, "DispatcherFunction", "is Disabled"),
    ),
    (READS_STEPS, source("State", "Updating"), "source", WARNING, "DispatcherFunction", "Updating"),
    (
        READS_STEPS,
        source("FunctionResponseTypes", []),
        *("source", PROBLEM, "DispatcherFunction", "ReportBatchItemFailures is off"),
    ),
    (
        READS_STEPS,
        source("FilterCriteria", {"Filters": [{}]}),
        *("source", PROBLEM, "DispatcherFunction", "it has filters"),
    ),
    (
        READS_STEPS,
        source("BatchSize", 100),
        *("source", WARNING, "DispatcherFunction", "for 100 messages"),
    ),
    (
        READS_STEPS,
        source("MaximumBatchingWindowInSeconds", 5),
        *("source", WARNING, "DispatcherFunction", "waits up to 5 s"),
    ),
    (
        READS_STEPS,
        source("ScalingConfig", {}),
        *("source", WARNING, "DispatcherFunction", "MaximumConcurrency is not set"),
    ),
    (
        READS_STEPS,
        source("LastProcessingResult", "PROBLEM: Function call failed"),
        *("source", PROBLEM, "DispatcherFunction", "PROBLEM: Function call failed"),
    ),
    (
        STEPS,
        put("Attributes", "VisibilityTimeout", "359"),
        *("visibility", WARNING, "StepQueue", "6 times as long"),
    ),
    (
        DEAD,
        put("Attributes", "VisibilityTimeout", "59"),
        *("visibility", PROBLEM, "StepDeadLetters", "messages come again"),
    ),
    (
        STEPS,
        put("Attributes", "VisibilityTimeout", str(LOOK_AFTER_MS // 1000)),
        *("visibility", WARNING, "StepQueue", "sweeper takes it for lost"),
    ),
    (
        STEPS,
        put("Attributes", "RedrivePolicy", ""),
        *("redrive", PROBLEM, "StepQueue", "it has no dead-letter queue"),
    ),
    (
        STEPS,
        put("Attributes", "RedrivePolicy", '{"deadLetterTargetArn":"x","maxReceiveCount":10}'),
        *("redrive", PROBLEM, "StepQueue", "go to x"),
    ),
    (
        STEPS,
        put(
            "Attributes",
            "RedrivePolicy",
            f'{{"deadLetterTargetArn":"{QUEUE_ARN}:StepDeadLetters","maxReceiveCount":"4"}}',
        ),
        *("redrive", PROBLEM, "StepQueue", f"needs {Limits().deaths + 2} to fail"),
    ),
    (
        DEAD,
        put("Attributes", "MessageRetentionPeriod", "345600"),
        *("retention", PROBLEM, "StepDeadLetters", "4 d 0 h"),
    ),
    (
        DEAD,
        put("Attributes", "ApproximateNumberOfMessages", "2"),
        *("dead letters", PROBLEM, "StepDeadLetters", "2 messages in it"),
    ),
    (
        DEAD,
        put("Attributes", "ApproximateNumberOfMessagesNotVisible", "1"),
        *("dead letters", WARNING, "StepDeadLetters", "1 message being worked on"),
    ),
    (
        STEPS,
        put("Attributes", "ApproximateNumberOfMessages", "3"),
        *("backlog", WARNING, "StepQueue", "3 waiting, 0 in flight"),
    ),
    (TABLE, put("Table", "TableStatus", "UPDATING"), "table", WARNING, "Table", "UPDATING"),
    (
        TABLE,
        lambda answer: answer["Table"]["KeySchema"].pop(),
        *("table", PROBLEM, "Table", "its key is p:S"),
    ),
    (
        TABLE,
        put("Table", "GlobalSecondaryIndexes", 0, "Backfilling", True),
        *("indexes", WARNING, "Table", "index 'wake' is ACTIVE, filling"),
    ),
    (
        TABLE,
        lambda answer: answer["Table"]["GlobalSecondaryIndexes"].pop(),
        *("indexes", PROBLEM, "Table", "there is no index 'runs'"),
    ),
    (
        TABLE,
        put("Table", "GlobalSecondaryIndexes", 1, "Projection", {"ProjectionType": "ALL"}),
        *("indexes", PROBLEM, "Table", "index 'runs' has l:S c:N ALL"),
    ),
    (
        TABLE,
        put("Table", "StreamSpecification", {}),
        *("stream", WARNING, "Table", "its stream is off"),
    ),
    (
        TABLE,
        put("Table", "BillingModeSummary", {"BillingMode": "PROVISIONED"}),
        *("capacity", WARNING, "Table", "provisioned"),
    ),
    (
        TABLE,
        put("Table", "OnDemandThroughput", {"MaxWriteRequestUnits": 10}),
        *("capacity", WARNING, "Table", "bounded"),
    ),
    (
        "dynamodb.describe_time_to_live",
        put("TimeToLiveDescription", {"TimeToLiveStatus": "DISABLED"}),
        *("ttl", PROBLEM, "Table", "time to live is DISABLED"),
    ),
    (
        "dynamodb.describe_time_to_live",
        put("TimeToLiveDescription", "AttributeName", "ttl"),
        *("ttl", PROBLEM, "Table", "ENABLED on 'ttl', and not on 'x'"),
    ),
    (
        "dynamodb.describe_continuous_backups",
        put("ContinuousBackupsDescription", {}),
        *("recovery", WARNING, "Table", "DISABLED"),
    ),
    (
        BLOCK,
        put("PublicAccessBlockConfiguration", "BlockPublicPolicy", False),
        *("public access", PROBLEM, "Blobs", "off: BlockPublicPolicy"),
    ),
    (LIFECYCLE, put("Rules", 0, "Status", "Disabled"), "lifecycle", WARNING, "Blobs", "uploads"),
    (
        LIFECYCLE,
        put("Rules", 0, "Expiration", {"Days": 30}),
        *("lifecycle", PROBLEM, "Blobs", "rule 'uploads' deletes by age"),
    ),
    (
        RULE,
        put("State", "DISABLED"),
        *("schedule", PROBLEM, "SweeperFunctionEveryMinute", "DISABLED"),
    ),
    (
        RULE,
        put("ScheduleExpression", "rate(1 hour)"),
        *("schedule", WARNING, "SweeperFunctionEveryMinute", "rate(1 hour)"),
    ),
]
"""The answer and its change; the check, level, resource and words of the one finding."""
