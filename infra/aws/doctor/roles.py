"""Whether the roles of the functions allow what the functions do, as IAM itself works it out.

What is asked about is what no function does without, and not all that the template allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import About, Finding, Resource

TABLE, WAKE, QUEUE, DEAD, BLOBS = "table", "wake index", "step queue", "dead letters", "blobs"
"""What a function needs something of."""

_STARTS = ("dynamodb:GetItem", "dynamodb:PutItem")
_STEPS = (*_STARTS, "dynamodb:Query")
_VALUES = ("s3:GetObject", "s3:PutObject")
_SENDS = ("sqs:SendMessage",)
_READS_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""Its poller does; the Serverless Application Model allows it."""

NEEDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "DispatcherFunction": {TABLE: _STEPS, QUEUE: (*_SENDS, *_READS_QUEUE), BLOBS: _VALUES},
    "DeadLetterFunction": {TABLE: _STEPS, QUEUE: _SENDS, DEAD: _READS_QUEUE, BLOBS: _VALUES},
    "SweeperFunction": {
        TABLE: _STARTS,
        WAKE: ("dynamodb:Query",),
        QUEUE: (*_SENDS, "sqs:GetQueueAttributes"),
    },
    "StartFunction": {TABLE: _STARTS, QUEUE: _SENDS, BLOBS: _VALUES},
    "CallbackFunction": {TABLE: _STARTS, QUEUE: _SENDS},
}
AT_ONCE = 3
"""Requests on their way: IAM is one for the whole account, and throttles early."""


class Refusal(msgspec.Struct, frozen=True):
    """An action that a role may not do, to what, and IAM's word for it."""

    action: str
    target: str
    decision: str


async def read_role(
    asker: Asker, role: str, needs: Mapping[str, Sequence[str]], arns: Mapping[str, str]
) -> Seen[list[Refusal]]:
    """What the role (an ARN) lacks of its needs. `arns`: of the targets, those that are known."""
    lacks: list[Refusal] = []
    for target, actions in needs.items():
        if target not in arns:
            continue
        answer = await asker.ask(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=role,
            ActionNames=list(actions),
            ResourceArns=[arns[target]],
        )
        refused = made(answer, partial(_refused, target))
        if isinstance(refused, Unseen):
            return refused
        lacks += refused
    return lacks


def _refused(target: str, answer: Answer) -> list[Refusal]:
    return [
        Refusal(result["EvalActionName"], target, result["EvalDecision"])
        for result in answer["EvaluationResults"]
        if result["EvalDecision"] != "allowed"
    ]


async def read_roles(
    asker: Asker, roles: Mapping[str, str], arns: Mapping[str, str]
) -> dict[str, Seen[list[Refusal]]]:
    """`roles`: a function's logical name -> the ARN of its role."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(name: str) -> Seen[list[Refusal]]:
        async with gate:
            return await read_role(asker, roles[name], NEEDS[name], arns)

    names = [name for name in roles if name in NEEDS]
    return dict(zip(names, await asyncio.gather(*map(read, names)), strict=True))


def judge_role(resource: Resource, role: str, refused: Seen[Sequence[Refusal]]) -> Finding:
    about = About("role", resource)
    if isinstance(refused, Unseen):
        return about.unseen(refused)
    if not refused:
        return about.ok("its role allows all that it does")
    listed = ", ".join(f"{each.action} on the {each.target}" for each in refused)
    denied = any(each.decision == "explicitDeny" for each in refused)
    why = "some policy denies it" if denied else "no policy allows it"
    return about.problem(
        f"its role may not do {listed}: {why}",
        "Undo what was changed of the role, or see its permissions boundary and the policies of "
        "the organisation.",
        f"aws iam list-attached-role-policies --role-name {role.rsplit('/', 1)[-1]}",
    )
