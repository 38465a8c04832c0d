"""The two queues: how they redeliver, how long they keep, and what lies in them."""

from __future__ import annotations

import asyncio
import json

import msgspec

from engine.ports import Limits
from engine.timing import LOOK_AFTER_MS
from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource, many, span
from infra.aws.doctor.functions import Function
from infra.aws.doctor.stacks import Deployment

QUEUES = ("StepQueue", "StepDeadLetters")
TIMES_TIMEOUT = 6
"""AWS's advice, so that throttled retries of a poller do not look like deaths."""
RECEIPTS = 1 + Limits().deaths + 1
"""With the last of these an attempt fails whose process dies each time (DESIGN §4 rule 11)."""
RETENTION_S = 14 * 86_400
"""The longest that SQS has."""
OLD_S = 1800
"""Twice the longest delay of a message; the alarm on the queue has the same."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What SQS says of a queue. Its counts are approximate."""

    arn: str = ""
    visibility_s: int
    retention_s: int
    dead_letter_arn: str = ""
    """Empty where nothing is given up."""
    max_receives: int = 0
    visible: int = 0
    in_flight: int = 0
    delayed: int = 0


async def read_queues(asker: Asker, deployment: Deployment) -> dict[str, Seen[Queue]]:
    """Logical name -> queue."""

    async def read(name: str) -> Seen[Queue]:
        url = deployment.resources[name].physical
        answer = await asker.ask(
            "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"]
        )
        return made(answer, _queue)

    read_all = await asyncio.gather(*(read(name) for name in QUEUES))
    return dict(zip(QUEUES, read_all, strict=True))


def _queue(answer: Answer) -> Queue:
    attributes = answer["Attributes"]
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    return Queue(
        arn=attributes["QueueArn"],
        visibility_s=int(attributes["VisibilityTimeout"]),
        retention_s=int(attributes["MessageRetentionPeriod"]),
        dead_letter_arn=redrive.get("deadLetterTargetArn", ""),
        max_receives=int(redrive.get("maxReceiveCount", 0)),
        visible=int(attributes.get("ApproximateNumberOfMessages", 0)),
        in_flight=int(attributes.get("ApproximateNumberOfMessagesNotVisible", 0)),
        delayed=int(attributes.get("ApproximateNumberOfMessagesDelayed", 0)),
    )


# -- judging --------------------------------------------------------------------------------------


def judge_visibility(resource: Resource, queue: Queue, consumer: Function) -> list[Finding]:
    """Of a queue and the function that reads it."""
    about, configuration = About("visibility", resource), consumer.configuration
    if isinstance(configuration, Unseen):
        return [about.unseen(configuration)]
    seconds, timeout_s = queue.visibility_s, configuration.timeout_s
    wanted = TIMES_TIMEOUT * timeout_s
    seen = f"a message is invisible for {seconds} s, its function takes {timeout_s} s at most"
    mend = (
        f"Set the parameter VisibilityTimeout to {wanted} or more, or StepTimeout to "
        f"{seconds // TIMES_TIMEOUT} or less, and deploy."
        if resource.logical == "StepQueue"
        else f"Set its VisibilityTimeout to {wanted} or more in the template, and deploy."
    )
    if seconds < timeout_s:
        return [about.problem(f"{seen}: messages come again while they are worked on", mend)]
    if seconds < wanted:
        return [about.warning(f"{seen}: it should be {TIMES_TIMEOUT} times as long", mend)]
    if resource.logical == "StepQueue" and seconds * 1000 >= LOOK_AFTER_MS:
        return [
            about.warning(
                f"a message is invisible for {seconds} s, and after {LOOK_AFTER_MS // 1000} s the "
                "sweeper takes it for lost, and sends another",
                f"Set VisibilityTimeout below {LOOK_AFTER_MS // 1000}, and StepTimeout to a sixth "
                "of it, if actors are that fast; otherwise some messages come twice, to no harm.",
            )
        ]
    return [about.ok(seen)]


def judge_redrive(resource: Resource, queue: Queue, dead_letters: Seen[Queue]) -> list[Finding]:
    """Of the step queue: what cannot be delivered has to get into the other one, not too early."""
    about = About("redrive", resource)
    if not queue.dead_letter_arn:
        seen = "it has no dead-letter queue: what cannot be delivered is tried for ever"
        return [about.problem(seen, AS_THE_TEMPLATE)]
    if not isinstance(dead_letters, Unseen) and queue.dead_letter_arn != dead_letters.arn:
        seen = f"its dead letters go to {queue.dead_letter_arn}, where nobody of ours reads them"
        return [about.problem(seen, AS_THE_TEMPLATE)]
    seen = f"a message is given up after {queue.max_receives} receipts"
    if queue.max_receives <= RECEIPTS:
        why = f"an attempt whose process dies each time needs {RECEIPTS} to fail by itself"
        return [about.problem(f"{seen}: {why}", AS_THE_TEMPLATE)]
    if queue.max_receives < 2 * RECEIPTS:
        why = "throttled pollers count as receipts too, and need room"
        return [about.warning(f"{seen}: {why}", AS_THE_TEMPLATE)]
    return [about.ok(seen)]


def judge_retention(resource: Resource, queue: Queue, steps: Seen[Queue]) -> list[Finding]:
    """Of the dead-letter queue. A message keeps its age when it gets there."""
    about = About("retention", resource)
    seen = f"it keeps messages for {span(queue.retention_s)}"
    mend = "Set its MessageRetentionPeriod to 1209600 (14 days) in the template, and deploy."
    if not isinstance(steps, Unseen) and queue.retention_s < steps.retention_s:
        return [
            about.problem(
                f"{seen}, the step queue for {span(steps.retention_s)}: a message may be too old "
                "when it gets there, and is lost",
                mend,
            )
        ]
    if queue.retention_s < RETENTION_S:
        return [about.warning(f"{seen}: what nobody looks at in time is lost", mend)]
    return [about.ok(seen)]


def judge_dead_letters(resource: Resource, queue: Queue, log: str) -> Finding:
    """`log` is the command that shows the functions' log."""
    about = About("dead letters", resource)
    if queue.visible:
        return about.problem(
            f"{many(queue.visible, 'message')} in it, which DeadLetterFunction brings to no end",
            "See its log for why; until it reads them, the attempts that they stand for hang.",
            log,
        )
    if queue.in_flight:
        mend = "See the log of DeadLetterFunction, and ask again in some minutes."
        seen = f"{many(queue.in_flight, 'message')} being worked on, or failed and coming again"
        return about.warning(seen, mend, log)
    return about.ok("it is empty")


def judge_backlog(
    resource: Resource, queue: Queue, oldest_s: Seen[float | None], log: str
) -> Finding:
    """`oldest_s` is the age of the oldest message; None where CloudWatch has no number."""
    about = About("backlog", resource)
    if isinstance(oldest_s, Unseen):
        oldest_s = None
    counts = (
        f"messages: {queue.visible} waiting, {queue.in_flight} in flight, {queue.delayed} delayed"
    )
    age = "how old is not known" if oldest_s is None else f"the oldest is {span(oldest_s)} old"
    old = oldest_s is not None and oldest_s > OLD_S
    if queue.visible and not queue.in_flight:
        seen = f"{counts} ({age}): it looks as if nobody reads them"
        mend = (
            "See what is said here of DispatcherFunction and of what it reads from, then its log; "
            "a moment after a start it means nothing: ask again."
        )
        return about.problem(seen, mend, log) if old else about.warning(seen, mend, log)
    if queue.visible and old:
        mend = "More comes in than is worked off: raise MaximumConcurrency, or start less."
        return about.warning(f"{counts} ({age})", mend)
    return about.ok(counts)
