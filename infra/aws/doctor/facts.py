"""All that is read of one deployment, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from infra.aws.doctor.asking import Asker, Seen, Unseen
from infra.aws.doctor.bucket import Bucket, read_bucket
from infra.aws.doctor.functions import Function, read_functions
from infra.aws.doctor.late import LateRuns, read_late
from infra.aws.doctor.metrics import Counts, read_metrics
from infra.aws.doctor.queues import Queue, read_queues
from infra.aws.doctor.roles import BLOBS, DEAD, QUEUE, TABLE, WAKE, Refusal, read_roles
from infra.aws.doctor.schedule import RULE, Rule, read_rule
from infra.aws.doctor.sources import AccountLimits, Source, read_limits, read_sources
from infra.aws.doctor.stacks import Deployment
from infra.aws.doctor.table import TableSeen, read_table
from infra.aws.table import WAKE_INDEX


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one deployment."""

    deployment: Deployment
    functions: Mapping[str, Function]
    queues: Mapping[str, Seen[Queue]]
    sources: Mapping[str, Seen[list[Source]]]
    limits: Seen[AccountLimits]
    table: TableSeen
    bucket: Bucket | None
    """None where the stack has none; so is the rule."""
    rule: Seen[Rule] | None
    counts: Seen[Counts]
    late: Seen[LateRuns]
    roles: Mapping[str, Seen[list[Refusal]]]


async def read_facts(asker: Asker, deployment: Deployment, now: int) -> Facts:
    """`now` is milliseconds since 1970."""
    there = deployment.resources
    async with asyncio.TaskGroup() as group:
        begun = group.create_task
        functions = begun(read_functions(asker, deployment))
        queues = begun(read_queues(asker, deployment))
        sources = begun(read_sources(asker, deployment))
        limits = begun(read_limits(asker))
        table = begun(read_table(asker, there["Table"]))
        bucket = begun(read_bucket(asker, there["Blobs"])) if "Blobs" in there else None
        rule = begun(read_rule(asker, there[RULE])) if RULE in there else None
        counts = begun(read_metrics(asker, deployment, now))
        late = begun(read_late(asker, there["Table"], now))
    roles = roles_of(functions.result())
    arns = _arns(deployment, queues.result(), table.result())
    return Facts(
        deployment=deployment,
        functions=functions.result(),
        queues=queues.result(),
        sources=sources.result(),
        limits=limits.result(),
        table=table.result(),
        bucket=bucket.result() if bucket else None,
        rule=rule.result() if rule else None,
        counts=counts.result(),
        late=late.result(),
        roles=await read_roles(asker, roles, arns),
    )


def roles_of(read: Mapping[str, Function]) -> dict[str, str]:
    """Function's logical name -> the ARN of its role, as far as they could be read."""
    return {
        name: function.configuration.role
        for name, function in read.items()
        if not isinstance(function.configuration, Unseen) and function.configuration.role
    }


def _arns(
    deployment: Deployment, queues_read: Mapping[str, Seen[Queue]], table: TableSeen
) -> dict[str, str]:
    """What roles are asked about, as far as it could be read."""
    arns = {}
    if not isinstance(table.table, Unseen):
        arns = {TABLE: table.table.arn, WAKE: f"{table.table.arn}/index/{WAKE_INDEX}"}
    for target, name in ((QUEUE, "StepQueue"), (DEAD, "StepDeadLetters")):
        queue = queues_read[name]
        if not isinstance(queue, Unseen):
            arns[target] = queue.arn
    if "Blobs" in deployment.resources:
        name = deployment.resources["Blobs"].physical
        arns[BLOBS] = f"arn:{deployment.partition}:s3:::{name}/any"
    return arns
