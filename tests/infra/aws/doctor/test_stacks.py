"""Finding our stack by a name: nested at any depth, or not there, and then what is."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

import pytest

from engine.errors import CallerError, Misconfigured
from infra.aws.doctor.asking import Asker
from infra.aws.doctor.stacks import NoSuchStack, Stack, find_stack
from tests.infra.aws.doctor.account import ACTORS, NOW, OURS, ROOT, Account, refusal, summary

LISTING = "cloudformation.list_stack_resources"
DESCRIBED = "cloudformation.describe_stacks"


@pytest.fixture
def account() -> Account:
    return Account()


def found(account: Account, name: str = "shop") -> Stack:
    return asyncio.run(find_stack(Asker(account), name, lambda: NOW))


def test_ours_is_found_in_the_stack_that_nests_it_with_what_it_nests(account: Account) -> None:
    stack = found(account)
    assert [(part.id, part.path) for part in stack.parts] == [
        (ROOT, ("shop",)),
        (OURS, ("shop", "Tidestep")),
        (ACTORS, ("shop", "Tidestep", "ActorStack")),
    ]
    (deployment,) = stack.deployments()
    assert deployment.path == ("shop", "Tidestep")
    assert deployment.resources["Table"].physical == "table"
    assert deployment.resources["PoolFunction"].physical == "pool"
    assert "Orders" not in deployment.resources, "it is the user's"


def test_ours_is_found_under_its_own_name(account: Account) -> None:
    described = {"StackName": "ours", "StackId": OURS, "StackStatus": "CREATE_COMPLETE"}
    account.answers[f"{DESCRIBED} ours"] = {"Stacks": [described]}
    stack = found(account, "ours")
    assert [deployment.path for deployment in stack.deployments()] == [("ours",)]
    assert stack.clock is None


def test_all_pages_of_a_listing_are_read(account: Account) -> None:
    whole = account.answers[f"{LISTING} {OURS}"]["StackResourceSummaries"]

    def page(**parameters: Any) -> dict[str, Any]:
        first = int(parameters.get("NextToken", 0))
        rest = {"NextToken": str(first + 5)} if first + 5 < len(whole) else {}
        return {"StackResourceSummaries": whole[first : first + 5], **rest}

    account.answers[f"{LISTING} {OURS}"] = page
    (deployment,) = found(account).deployments()
    assert len(deployment.resources) == len(whole) + 3


def test_what_is_deleted_is_not_there(account: Account) -> None:
    resources = account.answers[f"{LISTING} {OURS}"]["StackResourceSummaries"]
    resources.append(summary("Old", "old", "AWS::CloudFormation::Stack", "DELETE_COMPLETE"))
    (deployment,) = found(account).deployments()
    assert "Old" not in deployment.resources


def test_of_a_name_that_is_none_the_stacks_are_told_that_look_like_ours(account: Account) -> None:
    missing = refusal("ValidationError", "DescribeStacks", "Stack with id shpo does not exist")
    account.answers[f"{DESCRIBED} shpo"] = missing
    with pytest.raises(NoSuchStack) as raised:
        found(account, "shpo")
    assert str(raised.value) == (
        "there is no stack 'shpo' in this account and region: what looks like Tidestep's there "
        "is shop"
    )
    assert isinstance(raised.value, CallerError)
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"Stacks": []}, "no stack there looks like one of Tidestep's"),
        (refusal("AccessDenied", "DescribeStacks"), "it takes cloudformation:DescribeStacks"),
    ],
)
def test_where_none_looks_like_ours_or_none_can_be_seen_it_says_so(
    account: Account, answer: Any, said: str
) -> None:
    missing = refusal("ValidationError", "DescribeStacks", "Stack with id x does not exist")
    account.answers.update({f"{DESCRIBED} x": missing, f"{DESCRIBED} ": answer})
    with pytest.raises(NoSuchStack, match=said):
        found(account, "x")


def test_a_stack_that_has_none_of_ours_is_told_from_one_that_is_not_there(
    account: Account,
) -> None:
    account.answers[f"{LISTING} {OURS}"]["StackResourceSummaries"].pop(0)
    with pytest.raises(NoSuchStack) as raised:
        found(account)
    assert "stack 'shop' (UPDATE_COMPLETE) is not Tidestep's, and nests none" in str(raised.value)


def test_a_stack_that_may_not_be_listed_is_the_operators(account: Account) -> None:
    denied = refusal("AccessDenied", "ListStackResources")
    account.answers[f"{LISTING} {ROOT}"] = denied
    with pytest.raises(Misconfigured, match="allow yourself cloudformation:ListStackResources"):
        found(account)


def test_another_stack_in_it_that_may_not_be_listed_is_one_finding(account: Account) -> None:
    account.answers[f"{LISTING} {ACTORS}"] = refusal("AccessDenied", "ListStackResources")
    report = account.report()
    (finding,) = (each for each in report.findings if each.level == "unknown")
    assert finding.resource.logical == "shop/Tidestep/ActorStack"


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "ExpiredToken"])
def test_a_clock_that_is_far_off_is_named_where_aws_refuses_requests_for_it(
    account: Account, code: str
) -> None:
    headers = {"date": formatdate((NOW - 3_600_000) / 1000, usegmt=True)}
    late = refusal(code, "DescribeStacks", ResponseMetadata={"HTTPHeaders": headers})
    account.answers[f"{DESCRIBED} shop"] = late
    with pytest.raises(Misconfigured, match="the clock of this machine is 59 min ahead of AWS's"):
        found(account)
    account.answers[f"{DESCRIBED} shop"] = refusal(code, "DescribeStacks")
    with pytest.raises(Misconfigured, match="check the credentials"):
        found(account)
