"""What feeds the functions from the queues (event source mappings), and how much at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource
from infra.aws.doctor.functions import Function
from infra.aws.doctor.queues import Queue
from infra.aws.doctor.stacks import Deployment

READERS: Mapping[str, str] = {
    "DispatcherFunction": "StepQueue",
    "DeadLetterFunction": "StepDeadLetters",
}
"""Function -> the queue that it reads."""
BATCH_SIZE = 10
"""The template's; larger ones have to wait until they are full."""
CONCURRENCY_QUOTA = "L-B99A9384"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One event source mapping."""

    id: str
    queue_arn: str
    state: str = "Enabled"
    batch_size: int = BATCH_SIZE
    window_s: int = 0
    reports_failures: bool = True
    """Whether single records of a batch can fail."""
    filters: bool = False
    concurrency: int | None = None
    """MaximumConcurrency, None for no bound."""
    last_result: str = ""


class AccountLimits(msgspec.Struct, frozen=True):
    """How many executions may go on at once, in all functions of the region."""

    concurrent: int
    unreserved: int
    """What of it no function has for itself."""


async def read_sources(asker: Asker, deployment: Deployment) -> dict[str, Seen[list[Source]]]:
    """Function's logical name -> what it reads from."""

    async def read(name: str) -> Seen[list[Source]]:
        function = deployment.resources[name].physical
        answer = await asker.ask("lambda", "list_event_source_mappings", FunctionName=function)
        return made(answer, lambda told: [_source(each) for each in told["EventSourceMappings"]])

    there = [name for name in READERS if name in deployment.resources]
    found = await asyncio.gather(*(read(name) for name in there))
    return dict(zip(there, found, strict=True))


async def read_limits(asker: Asker) -> Seen[AccountLimits]:
    return made(await asker.ask("lambda", "get_account_settings"), _limits)


def _limits(answer: Answer) -> AccountLimits:
    limits = answer["AccountLimit"]
    return AccountLimits(limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"])


def _source(mapping: Answer) -> Source:
    return Source(
        id=mapping["UUID"],
        queue_arn=mapping.get("EventSourceArn", ""),
        state=mapping.get("State", ""),
        batch_size=mapping.get("BatchSize", BATCH_SIZE),
        window_s=mapping.get("MaximumBatchingWindowInSeconds") or 0,
        reports_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
        filters=bool((mapping.get("FilterCriteria") or {}).get("Filters")),
        concurrency=(mapping.get("ScalingConfig") or {}).get("MaximumConcurrency"),
        last_result=mapping.get("LastProcessingResult") or "",
    )


# -- judging --------------------------------------------------------------------------------------


def judge_sources(
    resource: Resource, sources: Seen[Sequence[Source]], queue: Seen[Queue]
) -> list[Finding]:
    """Of a function: whether it reads its queue, and how."""
    about = About("source", resource)
    if isinstance(sources, Unseen):
        return [about.unseen(sources)]
    if isinstance(queue, Unseen):
        return [about.unseen(queue)]
    ours = [source for source in sources if source.queue_arn == queue.arn]
    if not ours:
        seen = f"no event source mapping has it read {queue.arn}: the messages there stay unread"
        return [about.problem(seen, AS_THE_TEMPLATE)]
    return [finding for source in ours for finding in judge_source(resource, source)]


def judge_source(resource: Resource, source: Source) -> list[Finding]:
    about = About("source", resource)
    bound = "no bound" if source.concurrency is None else f"up to {source.concurrency} at a time"
    seen = f"it reads batches of {source.batch_size}, {bound}"
    found = [_judge_state(about, source)]
    if not source.reports_failures:
        seen_ = "ReportBatchItemFailures is off: one record that fails brings its whole batch again"
        found.append(about.problem(seen_, AS_THE_TEMPLATE))
    if source.filters:
        seen_ = "it has filters: SQS deletes the messages that they leave out"
        found.append(about.problem(seen_, "Take FilterCriteria out of the event source mapping."))
    if source.batch_size > BATCH_SIZE or source.window_s:
        seen_ = f"it waits up to {source.window_s} s for {source.batch_size} messages: so do steps"
        found.append(about.warning(seen_, AS_THE_TEMPLATE))
    if source.concurrency is None:
        seen_ = "MaximumConcurrency is not set: it may take all of the account's, and be throttled"
        found.append(about.warning(seen_, "Set the parameter MaximumConcurrency, and deploy."))
    if source.last_result.startswith("PROBLEM"):
        seen_ = f"its last result is {source.last_result}"
        found.append(about.problem(seen_, "See the log of the function, and its role."))
    return [each for each in found if each is not None] or [about.ok(seen)]


def _judge_state(about: About, source: Source) -> Finding | None:
    enable = f"aws lambda update-event-source-mapping --enabled --uuid {source.id}"
    if source.state in ("Disabled", "Disabling"):
        seen = f"its event source mapping is {source.state}: nobody reads the queue"
        return about.problem(seen, "Somebody has stopped it; let it go on.", enable)
    if source.state != "Enabled":
        seen = f"its event source mapping is {source.state or 'in no state'}"
        return about.warning(seen, "Ask again in a minute.")
    return None


def judge_reserved(
    resource: Resource, reserved: Seen[int | None], sources: Seen[Sequence[Source]]
) -> list[Finding]:
    """Whether a function may run as often at once as its mapping wants it to."""
    about = About("concurrency", resource)
    if isinstance(reserved, Unseen) or isinstance(sources, Unseen) or not reserved:
        return []  # told elsewhere, or nothing is reserved
    wanted = sum(source.concurrency or 0 for source in sources)
    seen = f"{reserved} executions are reserved for it, and its mapping may want {wanted}"
    if reserved < wanted:
        mend = (
            f"Set the parameter MaximumConcurrency to {reserved} or less, or reserve more: "
            "throttled messages count as received, and are given up in the end."
        )
        return [about.problem(seen, mend)]
    return [about.ok(seen)]


def judge_quota(
    limits: Seen[AccountLimits],
    functions: Mapping[str, Function],
    sources: Mapping[str, Seen[Sequence[Source]]],
) -> list[Finding]:
    """Whether the account lets the mappings have what they may want."""
    about = About("quota", Resource("Lambda, concurrent executions"))
    if isinstance(limits, Unseen):
        return [about.unseen(limits)]
    wanted = 0
    for name, listed in sources.items():
        reserved = functions[name].reserved if name in functions else None
        if not isinstance(listed, Unseen) and not (isinstance(reserved, int) and reserved):
            wanted += sum(source.concurrency or 0 for source in listed)
    seen = (
        f"the account has {limits.concurrent}, {limits.unreserved} of them for all; "
        f"our mappings may want {wanted}"
    )
    if wanted <= limits.unreserved:
        return [about.ok(seen)]
    new = " New accounts have 10." if limits.concurrent <= 10 else ""
    return [
        about.problem(
            f"{seen}: under load messages are throttled, and given up in the end",
            f"Ask AWS for more, or set the parameter MaximumConcurrency so that all fits.{new}",
            "aws service-quotas request-service-quota-increase --service-code lambda "
            f"--quota-code {CONCURRENCY_QUOTA} --desired-value {max(1000, 2 * wanted)}",
        )
    ]
