"""Find our stack: by its name, or in the stacks that a stack of that name nests, at any depth.

Ours is the one whose template has the resources of `OURS`, whatever it is called: a user's stack
nests it as what it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.errors import CallerError, Misconfigured, PlatformError
from infra.aws.doctor.asking import Answer, Asker, Unseen, code_of
from infra.aws.doctor.clock import PROBLEM_MS, ClockReading, reading, told
from infra.aws.doctor.findings import Resource

OURS = ("Table", "StepQueue", "StepDeadLetters", "DispatcherFunction")
NESTED = "AWS::CloudFormation::Stack"
DESCRIBED_AS = "Tidestep"
"""How the descriptions of our templates begin."""

Now = Callable[[], int]
"""Milliseconds since 1970, by this machine's clock."""


class NoSuchStack(CallerError):
    """There is no stack of this name, or none in it is ours."""

    exit_code = 4
    http_status = 404


class Status(msgspec.Struct, frozen=True):
    """CloudFormation's status of a stack or resource, and why, where it says so."""

    status: str
    reason: str = ""


class Part(msgspec.Struct, frozen=True):
    """One stack. `path` names those around it and itself: the first as it is called, the nested
    ones by their logical names."""

    id: str
    path: tuple[str, ...]
    resources: Mapping[str, Resource] = {}
    """By logical name; without those that are not there any more."""
    statuses: Mapping[str, Status] = {}
    unseen: Unseen | None = None
    """Why its resources could not be listed."""

    def is_ours(self) -> bool:
        return all(name in self.resources for name in OURS)


class Deployment(msgspec.Struct, frozen=True):
    """One stack of ours, with what the stacks in it hold."""

    path: tuple[str, ...]
    id: str
    resources: Mapping[str, Resource]
    partition: str = "aws"
    """Of ARNs: another one in China."""

    @property
    def log_command(self) -> str:
        """Shows the newest of the one log that all functions write."""
        group = self.resources["Logs"].physical if "Logs" in self.resources else ""
        return f"aws logs tail {group} --since 1h" if group else ""


class Stack(msgspec.Struct, frozen=True):
    """The stack of the name that was given."""

    name: str
    id: str
    status: Status
    parts: tuple[Part, ...]
    """Itself first, then the stacks in it."""
    clock: ClockReading | None = None

    @property
    def region(self) -> str:
        return self.id.split(":")[3]

    @property
    def account(self) -> str:
        return self.id.split(":")[4]

    def deployments(self) -> list[Deployment]:
        """Those of ours: one, as a rule."""
        partition = self.id.split(":")[1]
        ours = [part for part in self.parts if part.is_ours()]
        return [
            Deployment(part.path, part.id, _resources(part, self.parts), partition) for part in ours
        ]


async def find_stack(asker: Asker, name: str, now: Now) -> Stack:
    """Describe a stack by name or ARN, and list what it and the stacks in it hold.

    Raises NoSuchStack, Misconfigured or StoreUnusable, each with what can be done.
    """
    asked_at = now()
    try:
        answer = await asker.must("cloudformation", "describe_stacks", StackName=name)
    except PlatformError as error:
        if code_of(error) == "ValidationError" and "does not exist" in str(error):
            there = said_of(await look_alikes(asker))
            raise NoSuchStack(
                f"there is no stack '{name}' in this account and region: {there}"
            ) from error
        if (blamed := _blamed_on_the_clock(error, asked_at, now())) is not None:
            raise blamed from error
        raise
    clock = reading(asked_at, now(), answer)
    described = answer["Stacks"][0]
    stack = Stack(
        name=described["StackName"],
        id=described["StackId"],
        status=Status(described["StackStatus"], described.get("StackStatusReason", "")),
        parts=tuple(await _parts(asker, described["StackId"], (described["StackName"],))),
        clock=clock,
    )
    if not stack.deployments():
        raise _not_ours(stack, await look_alikes(asker))
    return stack


async def look_alikes(asker: Asker) -> list[str] | Unseen:
    """The names of the outermost stacks that are ours by their descriptions, or hold one."""
    stacks = await asker.pages("cloudformation", "describe_stacks", "Stacks")
    if isinstance(stacks, Unseen):
        return stacks
    found = {
        str(stack.get("RootId") or stack["StackId"]).split("/")[1]
        for stack in stacks
        if stack.get("Description", "").startswith(DESCRIBED_AS)
    }
    return sorted(found)


def said_of(look_alikes: list[str] | Unseen) -> str:
    if isinstance(look_alikes, Unseen):
        why = f"it takes {look_alikes.action}" if look_alikes.action else look_alikes.reason
        return f"which ones there are cannot be seen ({why})"
    if not look_alikes:
        return "no stack there looks like one of Tidestep's; check the region and AWS_PROFILE"
    return f"what looks like Tidestep's there is {', '.join(look_alikes)}"


async def _parts(asker: Asker, id: str, path: tuple[str, ...]) -> list[Part]:
    """This stack and those in it."""
    listed = await asker.pages(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=id
    )
    if isinstance(listed, Unseen):
        return [Part(id=id, path=path, unseen=listed)]
    there = [each for each in listed if each["ResourceStatus"] != "DELETE_COMPLETE"]
    part = Part(
        id=id,
        path=path,
        resources={each["LogicalResourceId"]: _resource(each) for each in there},
        statuses={
            each["LogicalResourceId"]: Status(
                each["ResourceStatus"], each.get("ResourceStatusReason", "")
            )
            for each in there
        },
    )
    nested = [
        _parts(asker, each["PhysicalResourceId"], (*path, each["LogicalResourceId"]))
        for each in there
        if each["ResourceType"] == NESTED and each.get("PhysicalResourceId")
    ]
    return [part, *(each for below in await asyncio.gather(*nested) for each in below)]


def _resource(summary: Answer) -> Resource:
    return Resource(summary["LogicalResourceId"], summary.get("PhysicalResourceId", ""))


def _not_ours(stack: Stack, there: list[str] | Unseen) -> Exception:
    unseen = [part.unseen for part in stack.parts if part.unseen is not None]
    if unseen:
        why = f"allow yourself {unseen[0].action}" if unseen[0].action else unseen[0].reason
        return Misconfigured(f"what is in stack '{stack.name}' cannot be listed: {why}")
    return NoSuchStack(
        f"stack '{stack.name}' ({stack.status.status}) is not Tidestep's, and nests none that is: "
        f"{', '.join(OURS)} are not in one of them; {said_of(there)}"
    )


def _resources(part: Part, parts: Sequence[Part]) -> dict[str, Resource]:
    """What a stack in ours has is ours too; where both have a name, the outer one counts."""
    resources: dict[str, Resource] = {}
    for each in parts:
        if each.path[: len(part.path)] == part.path:
            resources = {**each.resources, **resources}
    return resources


def _blamed_on_the_clock(
    error: PlatformError, asked_at: int, answered_at: int
) -> Misconfigured | None:
    """AWS refuses requests whose time is far from its own, as if the credentials were wrong."""
    response = getattr(error.__cause__, "response", None) or {}
    clock = reading(asked_at, answered_at, response)
    if clock is None or abs(clock.ahead_ms) <= PROBLEM_MS:
        return None
    return Misconfigured(
        f"the clock of this machine is {told(clock)} AWS's, which may be why AWS refuses its "
        f"requests; set it right: {error}"
    )
