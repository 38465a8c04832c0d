"""The rule that has the sweeper run every minute: timers and lost messages wait for it."""

from __future__ import annotations

import msgspec

from infra.aws.doctor.asking import Answer, Asker, Seen, Unseen, made
from infra.aws.doctor.findings import AS_THE_TEMPLATE, About, Finding, Resource

RULE = "SweeperFunctionEveryMinute"
EVERY = "rate(1 minute)"


class Rule(msgspec.Struct, frozen=True):
    state: str
    schedule: str


async def read_rule(asker: Asker, resource: Resource) -> Seen[Rule]:
    return made(await asker.ask("events", "describe_rule", Name=resource.physical), _rule)


def _rule(answer: Answer) -> Rule:
    return Rule(answer["State"], answer.get("ScheduleExpression", ""))


def judge_rule(resource: Resource, rule: Seen[Rule]) -> Finding:
    about = About("schedule", resource)
    if isinstance(rule, Unseen):
        return about.unseen(rule)
    if not rule.state.startswith("ENABLED"):
        return about.problem(
            f"it is {rule.state}: nothing wakes runs that sleep, or brings back lost messages",
            "Somebody has stopped the sweeper; let it go on.",
            f"aws events enable-rule --name {resource.physical}",
        )
    if rule.schedule != EVERY:
        seen = f"the sweeper runs at {rule.schedule}, and not at {EVERY}"
        return about.warning(seen, AS_THE_TEMPLATE)
    return about.ok(f"the sweeper runs at {rule.schedule}")
