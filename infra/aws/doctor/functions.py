"""The functions: whether they can run, for how long, and whether their loops are allowed."""

from __future__ import annotations

import asyncio
from datetime import date
from math import ceil

import msgspec

from infra.aws.allocation import SETTINGS
from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource
from infra.aws.doctor.runtimes import judge_runtime
from infra.aws.doctor.stacks import Deployment
from infra.aws.holders import RESERVE_S

FUNCTIONS = (
    "DispatcherFunction",
    "DeadLetterFunction",
    "SweeperFunction",
    "StartFunction",
    "CallbackFunction",
    "GatewayFunction",
    "RunnersFunction",
    "PoolFunction",
)
LOOPS = ("DispatcherFunction", "DeadLetterFunction", "PoolFunction")
"""Those that cause themselves to be invoked again, on purpose."""
BEHIND_API = ("StartFunction", "CallbackFunction", "GatewayFunction", "RunnersFunction")
API_GATEWAY_S = 29
SWEEP_EVERY_S = 60


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What Lambda says of a function."""

    timeout_s: int
    state: str = "Active"
    state_reason: str = ""
    update: str = "Successful"
    update_reason: str = ""
    runtime: str = ""
    """Empty for a container image."""
    role: str = ""
    """ARN."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    resource: Resource
    configuration: Seen[Configuration]
    reserved: Seen[int | None]
    """Reserved concurrency, None for none."""
    recursion: Seen[str] | None = None
    """"Allow" or "Terminate"; None where nobody has asked."""


async def read_functions(asker: Asker, deployment: Deployment) -> dict[str, Function]:
    """Logical name -> function, for those that are there."""
    there = [deployment.resources[name] for name in FUNCTIONS if name in deployment.resources]
    read = await asyncio.gather(*(_read(asker, resource) for resource in there))
    return {function.resource.logical: function for function in read}


async def _read(asker: Asker, resource: Resource) -> Function:
    name = resource.physical
    configuration, concurrency = await asyncio.gather(
        asker.ask("lambda", "get_function_configuration", FunctionName=name),
        asker.ask("lambda", "get_function_concurrency", FunctionName=name),
    )
    recursion: Seen[str] | None = None
    if resource.logical in LOOPS:
        answer = await asker.ask("lambda", "get_function_recursion_config", FunctionName=name)
        recursion = made(answer, lambda told: str(told["RecursiveLoop"]))
    return Function(
        resource=resource,
        configuration=made(configuration, _configuration),
        reserved=made(concurrency, lambda told: told.get("ReservedConcurrentExecutions")),
        recursion=recursion,
    )


def _configuration(answer: Answer) -> Configuration:
    return Configuration(
        timeout_s=answer["Timeout"],
        state=answer.get("State", "Active"),
        state_reason=answer.get("StateReason", ""),
        update=answer.get("LastUpdateStatus", "Successful"),
        update_reason=answer.get("LastUpdateStatusReason", ""),
        runtime=answer.get("Runtime", ""),
        role=answer.get("Role", ""),
    )


# -- judging --------------------------------------------------------------------------------------


def judge_function(function: Function, today: date) -> list[Finding]:
    """All that a function shows by itself."""
    found = []
    if isinstance(function.configuration, Unseen):
        found.append(About("function", function.resource).unseen(function.configuration))
    else:
        found.append(judge_state(function.resource, function.configuration))
        found.append(judge_runtime(function.resource, function.configuration.runtime, today))
        found += judge_timeout(function.resource, function.configuration.timeout_s)
    if function.recursion is not None:
        found.append(judge_recursion(function.resource, function.recursion))
    found += judge_stopped(function.resource, function.reserved)
    return found


def judge_state(resource: Resource, seen: Configuration) -> Finding:
    about = About("function", resource)
    if seen.state == "Failed":
        mend = "Mend what the reason names, and deploy the stack again."
        return about.problem(f"its state is Failed: {seen.state_reason}", mend)
    if seen.update == "Failed":
        mend = "It runs as it was before: mend what the reason names, and deploy again."
        return about.problem(f"its last update has failed: {seen.update_reason}", mend)
    if seen.state != "Active" or seen.update != "Successful":
        mend = "It is being changed, or made ready: ask again in a minute."
        return about.warning(f"its state is {seen.state}, its last update {seen.update}", mend)
    return about.ok(f"Active, {seen.timeout_s} s")


def judge_recursion(resource: Resource, recursion: Seen[str]) -> Finding:
    about = About("recursion", resource)
    if isinstance(recursion, Unseen):
        return about.unseen(recursion)
    if recursion == "Allow":
        return about.ok("its loop is allowed")
    return about.problem(
        f"RecursiveLoop is {recursion}: Lambda drops what it sends itself after about 16 rounds",
        "Set it to Allow, as the template does (RecursiveLoop).",
        "aws lambda put-function-recursion-config --recursive-loop Allow "
        f"--function-name {resource.physical}",
    )


def judge_stopped(resource: Resource, reserved: Seen[int | None]) -> list[Finding]:
    """Whether somebody has pulled the plug; what else reserved concurrency means: `sources`."""
    about = About("concurrency", resource)
    if isinstance(reserved, Unseen):
        return [about.unseen(reserved)]
    if reserved != 0:
        return []
    return [
        about.problem(
            "its reserved concurrency is 0: it never runs",
            "Somebody has stopped it; let it go on once the reason is gone.",
            f"aws lambda delete-function-concurrency --function-name {resource.physical}",
        )
    ]


def judge_timeout(resource: Resource, timeout_s: int) -> list[Finding]:
    """Timeouts that something outside of the function sets a bound to."""
    about = About("timeout", resource)
    longest = dict.fromkeys(BEHIND_API, API_GATEWAY_S) | {"SweeperFunction": SWEEP_EVERY_S}
    shortest = {"PoolFunction": ceil(SETTINGS.lifespan_most_ms / 1000 + RESERVE_S)}
    most, least = longest.get(resource.logical), shortest.get(resource.logical)
    if most is not None and timeout_s > most:
        waits = "is begun anew every minute" if most == SWEEP_EVERY_S else "API Gateway gives up"
        seen = f"its timeout is {timeout_s} s, and after {most} s {waits}"
        return [about.warning(seen, AS_THE_TEMPLATE)]
    if least is not None and timeout_s < least:
        seen = f"its timeout is {timeout_s} s; a runner's request may be held for {least} s"
        return [about.problem(seen, AS_THE_TEMPLATE)]
    return []
