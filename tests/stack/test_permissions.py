"""What each function asks of AWS is what its role allows, and no less: both ways, as deployed.

The stand-in enforces the policies and notes each request that it has judged. The runs of
`tests/stack/test_deployed.py` are what is asked for.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest

from infra.aws.doctor.functions import FUNCTIONS
from tests.stack import test_deployed
from tests.stack.conftest import Built
from tests.stack.deployment import Deployment, eventually

MANAGED = {
    "AWSLambdaBasicExecutionRole": "Lambda writes the log with it",
    "AWSLambdaSQSQueueExecutionRole": "Lambda polls the queue with it",
}
"""What the transform of SAM adds to roles: nothing of it is asked for by our code."""
MISSING = "never called: without it, S3 answers 'denied' for an object that is not there"
SEVERAL = "items that are written or deleted together, here never more than one at a time"
CLEARED = "left-overs of an answer before it, which the dispatcher has cleared away first here"
SETTLES = "it settles whatever a delivery could (DESIGN §4 rule 13), short of running the actor"
NOT_ASKED = {
    ("DispatcherFunction", "s3:ListBucket"): MISSING,
    ("StartFunction", "s3:ListBucket"): MISSING,
    ("DeadLetterFunction", "s3:ListBucket"): MISSING,
    ("SweeperFunction", "dynamodb:BatchWriteItem"): SEVERAL,
    ("GatewayFunction", "dynamodb:BatchWriteItem"): SEVERAL,
    ("RunnersFunction", "dynamodb:BatchWriteItem"): SEVERAL,
    ("CallbackFunction", "dynamodb:BatchWriteItem"): SEVERAL,
    ("CallbackFunction", "dynamodb:DeleteItem"): CLEARED,
    ("DeadLetterFunction", "dynamodb:BatchGetItem"): SETTLES,
    ("DeadLetterFunction", "dynamodb:BatchWriteItem"): SETTLES,
    ("DeadLetterFunction", "dynamodb:DeleteItem"): SETTLES,
    ("DeadLetterFunction", "dynamodb:Query"): SETTLES,
    ("DeadLetterFunction", "s3:GetObject"): SETTLES,
    ("DeadLetterFunction", "execute-api:ManageConnections"): SETTLES,
    ("DeadLetterFunction", "lambda:InvokeFunction"): SETTLES,
}
"""Allowed and not asked for in these runs: (function, action) -> why it is allowed. What the tests
of `tests/functions` make a function ask for is not taken for granted here."""


@pytest.fixture(scope="module", autouse=True)
def worked(deployment: Deployment, built: Built, runner: None, made_runners: None) -> None:
    """All that the functions do has been done."""
    test_deployed.begin(deployment)
    for run in ("count", "flaky", "nap", "large", "text", "crash", "lost"):
        deployment.end(run, 200)
    test_deployed.settle_waits(deployment, built)
    for actor in ("counter/main", "tally/a"):
        test_deployed.ask(deployment, actor)
    pool = deployment.resources["PoolFunctionRole"]
    eventually(60, partial(sent, deployment, pool), "the report of a pool's request that ended")


def sent(deployment: Deployment, role: str) -> bool | None:
    text = (deployment.server.directory / "requests.jsonl").read_text()
    return any(role in line and "sqs:SendMessage" in line for line in text.splitlines()) or None


def requests(deployment: Deployment) -> dict[str, set[tuple[str, str, bool]]]:
    """Function -> what it has asked for: action, resource, and whether it was allowed."""
    asked: defaultdict[str, set[tuple[str, str, bool]]] = defaultdict(set)
    lines = (deployment.server.directory / "requests.jsonl").read_text().splitlines()
    for note in map(json.loads, lines):
        role = note["principal"].split("/")[1]
        for name in FUNCTIONS:
            if role == deployment.resources[f"{name}Role"]:
                asked[name].add((note["action"], note["resource"], note["allowed"]))
    return asked


def statements(deployment: Deployment, function: str) -> list[tuple[str, str]]:
    """Action and pattern of resources, of all that the role allows beside the managed policies."""
    iam, role = deployment.client("iam"), deployment.resources[f"{function}Role"]
    found: list[tuple[str, str]] = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        document: Any = json.loads(policy) if isinstance(policy, str) else policy
        for statement in document["Statement"]:
            actions = statement["Action"]
            found += [
                (action, statement["Resource"])
                for action in ([actions] if isinstance(actions, str) else actions)
            ]
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_asked_for_that_the_role_does_not_allow(
    deployment: Deployment, function: str
) -> None:
    asked = requests(deployment)[function]
    assert asked
    assert [each for each in asked if not each[2]] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_allowed_that_is_not_asked_for(deployment: Deployment, function: str) -> None:
    asked = requests(deployment)[function]
    unused = {
        action
        for action, pattern in statements(deployment, function)
        if not any(each[0] == action and fnmatchcase(each[1], pattern) for each in asked)
    }
    explained = {action: why for (name, action), why in NOT_ASKED.items() if name == function}
    assert unused <= set(explained)
    never = {action for action, why in explained.items() if why not in (SEVERAL, CLEARED)}
    assert never <= unused, "who is quicker decides about the others"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_of_managed_policies_only_lambdas_own_are_attached(
    deployment: Deployment, function: str
) -> None:
    iam, role = deployment.client("iam"), deployment.resources[f"{function}Role"]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert {re.sub(".*/", "", each["PolicyArn"]) for each in attached} <= set(MANAGED)
