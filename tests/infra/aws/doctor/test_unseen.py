"""What cannot be read is unknown, hides nothing else, and says what it would take."""

from __future__ import annotations

from typing import Any

import pytest

from infra.aws.doctor.findings import Level
from tests.infra.aws.doctor.account import Account, healthy, refusal
from tests.infra.aws.doctor.breaking import PROBLEM, STEPS, WARNING


@pytest.fixture
def account() -> Account:
    return Account()


RESTS_ON = {
    "lambda.get_function_configuration": {"function", "runtime", "visibility", "role"},
    "lambda.get_function_concurrency": set(),
    "lambda.get_function_recursion_config": {"recursion"},
    "lambda.list_event_source_mappings": {"source"},
    "lambda.get_account_settings": {"quota"},
    "sqs.get_queue_attributes": {
        *("visibility", "redrive", "backlog", "retention", "dead letters", "source")
    },
    "dynamodb.describe_table": {"table", "indexes", "stream", "capacity"},
    "dynamodb.describe_time_to_live": {"ttl"},
    "dynamodb.describe_continuous_backups": {"recovery"},
    "dynamodb.query": {"late runs"},
    "s3.get_public_access_block": {"public access"},
    "s3.get_bucket_lifecycle_configuration": {"lifecycle"},
    "events.describe_rule": {"schedule"},
    "cloudwatch.get_metric_data": {"last hour"},
    "iam.simulate_principal_policy": {"role"},
}
"""Request -> the checks that need it."""
ACTIONS = {
    "s3.get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "s3.get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
}


def test_every_request_may_be_refused() -> None:
    asked = {name.split()[0] for name in healthy()}
    assert {name for name in asked if not name.startswith("cloudformation.")} == set(RESTS_ON)


@pytest.mark.parametrize("request_", RESTS_ON)
def test_a_request_that_is_not_allowed_hides_no_other_check_and_its_action_is_named(
    account: Account, request_: str
) -> None:
    service, operation = request_.split(".")
    name = "".join(word.title() for word in operation.split("_"))
    for answer in account.answers:
        if answer.split()[0] == request_:
            account.answers[answer] = refusal("AccessDenied", name)
    findings = account.report().findings
    assert {each.level for each in findings} == {Level.OK, Level.UNKNOWN}
    unknown = [each for each in findings if each.level is Level.UNKNOWN]
    action = ACTIONS.get(request_, f"{service}:{name}")
    assert {each.mend for each in unknown} == {f"Allow yourself the action {action}."}
    well = {each.check for each in findings if each.level is Level.OK}
    assert {each.check for each in Account().report().findings} - well == RESTS_ON[request_]


def test_what_is_gone_is_a_problem(account: Account) -> None:
    for answer, code in (
        ("dynamodb.describe_table", "ResourceNotFoundException"),
        (STEPS, "AWS.SimpleQueueService.NonExistentQueue"),
        ("s3.get_bucket_lifecycle_configuration", "NoSuchBucket"),
        ("lambda.get_function_configuration start", "ResourceNotFoundException"),
    ):
        account.answers[answer] = refusal(code, "Any")
    found = {(each.check, each.resource.logical) for each in account.broken()}
    assert found >= {
        ("table", "Table"),
        ("queue", "StepQueue"),
        ("bucket", "Blobs"),
        ("function", "StartFunction"),
    }
    assert all(
        "somebody has deleted it" in each.seen
        for each in account.broken()
        if each.level is PROBLEM and each.check in ("table", "queue", "bucket", "function")
    )


def test_a_bucket_that_has_neither_setting_is_told_from_one_that_cannot_be_seen(
    account: Account,
) -> None:
    none = refusal("NoSuchPublicAccessBlockConfiguration", "GetPublicAccessBlock")
    account.answers["s3.get_public_access_block"] = none
    none = refusal("NoSuchLifecycleConfiguration", "GetBucketLifecycleConfiguration")
    account.answers["s3.get_bucket_lifecycle_configuration"] = none
    assert [each.level for each in account.broken()] == [PROBLEM, WARNING]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (refusal("UnknownOperationException", "Any"), "this endpoint does not know it"),
        (refusal("ThrottlingException", "Any", "slow down"), "slow down"),
        (RuntimeError("no XML\nat all"), "RuntimeError: no XML"),
        ({"odd": 1}, "not as AWS's documentation has it"),
    ],
    ids=["unsupported", "throttled", "foreign", "odd"],
)
def test_whatever_becomes_of_a_request_the_others_are_judged(
    account: Account, answer: Any, seen: str
) -> None:
    account.answers["lambda.get_account_settings"] = answer
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("quota", Level.UNKNOWN)
    assert seen in finding.seen
    assert finding.mend == ""
