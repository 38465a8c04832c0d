"""What CloudWatch has counted in the last hour: one request for all of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import About, Finding, Resource, many
from infra.aws.doctor.functions import FUNCTIONS, LOOPS
from infra.aws.doctor.queues import QUEUES
from infra.aws.doctor.stacks import Deployment
from infra.aws.table import RUNS_INDEX, WAKE_INDEX

HOUR_S = 3600
PERIOD_S = 300
OLDEST = "ApproximateAgeOfOldestMessage"
THROTTLED = ("ReadThrottleEvents", "WriteThrottleEvents")


class Metric(msgspec.Struct, frozen=True):
    """A series: of a resource by its logical name, for a table with its index."""

    resource: str
    name: str
    index: str = ""


Counts = Mapping[Metric, float]
"""The sum over the hour; of ages the newest value. What CloudWatch has no value for is left out."""


def metrics_of(deployment: Deployment) -> list[Metric]:
    there = [name for name in FUNCTIONS if name in deployment.resources]
    return [
        *(Metric(name, counted) for name in there for counted in ("Errors", "Throttles")),
        *(Metric(name, "RecursiveInvocationsDropped") for name in there if name in LOOPS),
        *(Metric(name, OLDEST) for name in QUEUES),
        *(
            Metric("Table", counted, index)
            for counted in THROTTLED
            for index in ("", WAKE_INDEX, RUNS_INDEX)
        ),
    ]


async def read_metrics(asker: Asker, deployment: Deployment, now: int) -> Seen[Counts]:
    """`now` is milliseconds since 1970."""
    metrics = metrics_of(deployment)
    end = datetime.fromtimestamp(now / 1000, UTC)
    answer = await asker.ask(
        "cloudwatch",
        "get_metric_data",
        StartTime=end - timedelta(seconds=HOUR_S),
        EndTime=end,
        ScanBy="TimestampDescending",
        MetricDataQueries=[
            {"Id": f"m{place}", "MetricStat": _stat(metric, deployment)}
            for place, metric in enumerate(metrics)
        ],
    )
    return made(answer, lambda told: counts_of(metrics, told["MetricDataResults"]))


def counts_of(metrics: list[Metric], results: list[Answer]) -> Counts:
    """Values come with the newest first."""
    counts: dict[Metric, float] = {}
    for result in results:
        metric, values = metrics[int(result["Id"][1:])], result.get("Values", ())
        if values:
            counts[metric] = float(values[0] if metric.name == OLDEST else sum(values))
    return counts


def _stat(metric: Metric, deployment: Deployment) -> dict[str, Any]:
    physical = deployment.resources[metric.resource].physical
    if metric.resource in QUEUES:
        namespace, dimensions = "AWS/SQS", {"QueueName": physical.rsplit("/", 1)[-1]}
    elif metric.resource == "Table":
        namespace, dimensions = "AWS/DynamoDB", {"TableName": physical}
    else:
        namespace, dimensions = "AWS/Lambda", {"FunctionName": physical}
    if metric.index:
        dimensions["GlobalSecondaryIndexName"] = metric.index
    return {
        "Metric": {
            "Namespace": namespace,
            "MetricName": metric.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        },
        "Period": PERIOD_S,
        "Stat": "Maximum" if metric.name == OLDEST else "Sum",
    }


# -- judging --------------------------------------------------------------------------------------


def oldest(counts: Seen[Counts], queue: str) -> Seen[float | None]:
    """How old the oldest message of a queue is, in seconds."""
    return counts if isinstance(counts, Unseen) else counts.get(Metric(queue, OLDEST))


def judge_metrics(
    counts: Seen[Counts], resources: Mapping[str, Resource], log: str
) -> list[Finding]:
    """`log` is the command that shows the functions' log."""
    about = About("last hour", Resource("CloudWatch"))
    if isinstance(counts, Unseen):
        return [about.unseen(counts)]
    found = [
        finding
        for metric, count in counts.items()
        if count and metric.resource in resources
        for finding in _judge(resources[metric.resource], metric, round(count), log)
    ]
    return found or [about.ok("no function has failed or was throttled, nor was the table")]


def _judge(resource: Resource, metric: Metric, count: int, log: str) -> list[Finding]:
    about = About("last hour", resource)
    if metric.name == "Errors":
        seen = f"{many(count, 'invocation')} failed as a whole in the last hour"
        return [about.warning(seen, "Its log says why; messages come again by themselves.", log)]
    if metric.name == "Throttles":
        mend = "See what is said here of its concurrency and of the account's quota."
        return [about.warning(f"{many(count, 'invocation')} throttled in the last hour", mend)]
    if metric.name == "RecursiveInvocationsDropped":
        mend = "Set RecursiveLoop to Allow; what was dropped goes on from the dead-letter queue."
        seen = f"Lambda has taken {many(count, 'invocation')} for a runaway loop in the last hour"
        command = (
            "aws lambda put-function-recursion-config --recursive-loop Allow "
            f"--function-name {resource.physical}"
        )
        return [about.problem(seen, mend, command)]
    if metric.name in THROTTLED:
        what = f"its index '{metric.index}'" if metric.index else "it"
        did = "read" if metric.name.startswith("Read") else "write"
        mend = "A table on demand grows with what is asked of it: ask again later; start less fast."
        return [about.warning(f"{many(count, did)} of {what} throttled in the last hour", mend)]
    return []
