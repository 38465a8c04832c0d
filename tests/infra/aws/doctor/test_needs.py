"""What the doctor looks for is what the template makes."""

from __future__ import annotations

from typing import Any

import pytest

from infra.aws.doctor.functions import FUNCTIONS, LOOPS
from infra.aws.doctor.roles import BLOBS, DEAD, NEEDS, QUEUE, TABLE, WAKE
from infra.aws.doctor.sources import READERS
from infra.aws.doctor.stacks import DESCRIBED_AS, OURS
from infra.aws.doctor.statuses import EXPECTED
from tests.functions.templates import functions_of, load_stack, statements_of

TARGETS = {
    "Table.Arn": TABLE,
    "${Table.Arn}/index/wake": WAKE,
    "StepQueue.Arn": QUEUE,
    "${Blobs.Arn}/*": BLOBS,
}
READING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
"""The Serverless Application Model adds these for the queue of an event."""


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load_stack()


@pytest.mark.parametrize("function", NEEDS)
def test_the_template_allows_all_that_a_role_is_asked_for(
    template: dict[str, Any], function: str
) -> None:
    allowed: set[tuple[str, str]] = set()
    for statement in statements_of(functions_of(template)[function]):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            allowed.add((TARGETS.get(statement["Resource"], ""), action))
    if function in READERS:
        read = {"StepQueue": QUEUE, "StepDeadLetters": DEAD}[READERS[function]]
        allowed |= {(read, action) for action in READING}
    for target, actions in NEEDS[function].items():
        assert {(target, action) for action in actions} <= allowed


def test_the_functions_are_those_of_the_template(template: dict[str, Any]) -> None:
    assert set(functions_of(template)) == set(FUNCTIONS)
    loops = {name for name, each in functions_of(template).items() if "RecursiveLoop" in each}
    assert loops == set(LOOPS)


def test_what_is_expected_is_in_the_outermost_template(template: dict[str, Any]) -> None:
    outermost = template["Parts"]["template"]
    made = set(outermost["Resources"])
    for name, function in functions_of(template).items():
        made |= {f"{name}{event}" for event in function.get("Events", {})}
    assert {*OURS, *EXPECTED} <= made
    assert outermost["Description"].startswith(DESCRIBED_AS)
