"""What the statuses of the stacks say, and whether what should be in them is there."""

from __future__ import annotations

from infra.aws.doctor.findings import About, Finding, Resource
from infra.aws.doctor.stacks import Deployment, Part, Stack

EXPECTED = (
    "Table",
    "Blobs",
    "StepQueue",
    "StepDeadLetters",
    "DispatcherFunction",
    "DeadLetterFunction",
    "SweeperFunction",
    "SweeperFunctionEveryMinute",
)
"""What no deployed system works without."""
SHOWN = 3

_CHANGED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
_TAKEN_BACK = {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
_NEVER_MADE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}


def judge_stack(stack: Stack) -> list[Finding]:
    """The status of the stack that was named."""
    about = About("stack", Resource(stack.name, stack.id))
    status = stack.status.status
    seen = f"{status}: {stack.status.reason}" if stack.status.reason else status
    events = f"aws cloudformation describe-stack-events --stack-name {stack.name}"
    if status in _CHANGED:
        return [about.ok(seen)]
    if status in _TAKEN_BACK:
        mend = "The last deployment failed and was taken back; its events say why."
        return [about.warning(seen, mend, events)]
    if status == "UPDATE_ROLLBACK_FAILED":
        return [
            about.problem(
                seen,
                "It can be changed again once what keeps it from going back is out of the way.",
                f"aws cloudformation continue-update-rollback --stack-name {stack.name}",
            )
        ]
    if status in _NEVER_MADE:
        mend = "It was never made: see its events, delete it, and deploy it anew."
        return [about.problem(seen, mend, events)]
    if status.startswith("DELETE_"):
        return [about.problem(seen, "It is being deleted, or could not be: see why.", events)]
    if status.endswith("_IN_PROGRESS"):
        mend = "It is being changed: ask again when that has ended."
        return [about.warning(seen, mend, events)]
    return [about.problem(seen, "Its events say what has failed.", events)]


def judge_parts(stack: Stack) -> list[Finding]:
    """The stacks in it that could not be listed, and the resources that CloudFormation failed to
    make, change or delete."""
    return [finding for part in stack.parts for finding in _judge_part(part)]


def _judge_part(part: Part) -> list[Finding]:
    about = About("resources", Resource("/".join(part.path), part.id))
    if part.unseen is not None:
        return [about.unseen(part.unseen)]
    failed = [
        f"{name} {status.status} ({status.reason or 'no reason given'})"
        for name, status in part.statuses.items()
        if status.status.endswith("_FAILED")
    ]
    if not failed:
        return [about.ok(f"none of {len(part.resources)} has failed")]
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return [
        about.problem(
            f"{'; '.join(failed[:SHOWN])}{more}",
            "Mend what the reasons name, and deploy the stack again.",
            f"aws cloudformation describe-stack-events --stack-name {part.id}",
        )
    ]


def judge_presence(deployment: Deployment) -> list[Finding]:
    """What should be in our stack, and is not."""
    about = About("resources", Resource("/".join(deployment.path), deployment.id))
    missing = [name for name in EXPECTED if not _there(deployment, name)]
    if not missing:
        return []
    return [
        about.problem(
            f"not there: {', '.join(missing)}",
            "Deploy the stack from the template as it comes with Tidestep.",
        )
    ]


def _there(deployment: Deployment, name: str) -> bool:
    return name in deployment.resources and bool(deployment.resources[name].physical)
