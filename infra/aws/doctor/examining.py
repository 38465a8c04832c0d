"""The whole examination: find the stack, read all of it side by side, judge what was read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from infra.aws.doctor import functions, queues, sources, statuses
from infra.aws.doctor.asking import Asker, Clients, Unseen
from infra.aws.doctor.bucket import judge_bucket
from infra.aws.doctor.clock import judge_clock
from infra.aws.doctor.facts import Facts, read_facts, roles_of
from infra.aws.doctor.findings import About, Finding, Level, ordered
from infra.aws.doctor.late import judge_late
from infra.aws.doctor.metrics import judge_metrics, oldest
from infra.aws.doctor.roles import judge_role
from infra.aws.doctor.schedule import RULE, judge_rule
from infra.aws.doctor.sources import READERS
from infra.aws.doctor.stacks import Now, find_stack
from infra.aws.doctor.table import judge_table


class Report(msgspec.Struct, frozen=True):
    """`at` is milliseconds since 1970; findings come with the worst first."""

    stack: str
    region: str
    account: str
    at: int
    findings: tuple[Finding, ...]

    def of(self, *levels: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level in levels]


async def examine(clients: Clients, name: str, now: Now) -> Report:
    """Look at the stack of this name (or ARN), and at what is in it.

    `now` gives milliseconds since 1970 by this machine's clock. Raises NoSuchStack for a name that
    is none, or none of ours; Misconfigured or StoreUnusable where AWS cannot be asked at all.
    """
    asker = Asker(clients)
    stack = await find_stack(asker, name, now)
    at = now()
    read = await asyncio.gather(*(read_facts(asker, each, at) for each in stack.deployments()))
    findings = [
        *judge_clock(stack.clock),
        *statuses.judge_stack(stack),
        *statuses.judge_parts(stack),
    ]
    for facts in read:
        path = facts.deployment.path[1:] if len(read) > 1 else ()
        findings += [_within(path, finding) for finding in judge(facts, at)]
    return Report(
        stack=stack.name,
        region=stack.region,
        account=stack.account,
        at=at,
        findings=tuple(ordered(_in_region(each, stack.region) for each in findings)),
    )


def judge(facts: Facts, now: int) -> list[Finding]:
    """What is to be said of one deployment; `now` is milliseconds since 1970."""
    resources, log = facts.deployment.resources, facts.deployment.log_command
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    roles = roles_of(facts.functions)
    found = statuses.judge_presence(facts.deployment)
    for function in facts.functions.values():
        found += functions.judge_function(function, today)
    for name, queue in READERS.items():
        if name in facts.functions:
            function, listed = facts.functions[name], facts.sources[name]
            found += sources.judge_sources(function.resource, listed, facts.queues[queue])
            found += sources.judge_reserved(function.resource, function.reserved, listed)
    found += sources.judge_quota(facts.limits, facts.functions, facts.sources)
    found += _judge_queues(facts)
    found += judge_table(resources["Table"], facts.table)
    if facts.bucket is not None:
        found += judge_bucket(resources["Blobs"], facts.bucket)
    if facts.rule is not None:
        found.append(judge_rule(resources[RULE], facts.rule))
    found += judge_metrics(facts.counts, resources, log)
    found += judge_late(resources["Table"], facts.late, log)
    found += [judge_role(resources[name], roles[name], seen) for name, seen in facts.roles.items()]
    return found


def _judge_queues(facts: Facts) -> list[Finding]:
    resources, log = facts.deployment.resources, facts.deployment.log_command
    found: list[Finding] = []
    for function, name in READERS.items():
        queue, resource = facts.queues[name], resources[name]
        if isinstance(queue, Unseen):
            found.append(About("queue", resource).unseen(queue))
            continue
        if function in facts.functions:
            found += queues.judge_visibility(resource, queue, facts.functions[function])
        if name == "StepQueue":
            found += queues.judge_redrive(resource, queue, facts.queues["StepDeadLetters"])
            age = oldest(facts.counts, name)
            found.append(queues.judge_backlog(resource, queue, age, log))
        else:
            found += queues.judge_retention(resource, queue, facts.queues["StepQueue"])
            found.append(queues.judge_dead_letters(resource, queue, log))
    return found


def _within(path: tuple[str, ...], finding: Finding) -> Finding:
    """Where a stack nests several of ours, it has to be said which one's a resource is."""
    resource = finding.resource
    return replace(finding, resource=replace(resource, logical="/".join((*path, resource.logical))))


def _in_region(finding: Finding, region: str) -> Finding:
    """A command as it works whatever region its shell is set to."""
    if not finding.command:
        return finding
    return replace(finding, command=f"{finding.command} --region {region}")
