"""What an examination makes of metrics, roles and late runs, and its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.layout import run_key
from engine.snapshot import encode_head
from engine.starting import first_head
from infra.aws.doctor.findings import Level
from infra.aws.table import item_key
from tests.engine.graphs import graph
from tests.infra.aws.doctor.account import (
    ACTORS,
    NOW,
    OURS,
    ROOT,
    Account,
    refusal,
    summary,
)
from tests.infra.aws.doctor.breaking import PROBLEM, STEPS, WARNING, put


@pytest.fixture
def account() -> Account:
    return Account()


def counted(*names: str, values: tuple[float, ...]) -> Callable[..., dict[str, Any]]:
    """Answers GetMetricData with values for the series of these dimensions and name."""

    def answer(**parameters: Any) -> dict[str, Any]:
        def matches(query: dict[str, Any]) -> bool:
            metric = query["MetricStat"]["Metric"]
            dimensions = [each["Value"] for each in metric["Dimensions"]]
            return (*dimensions, metric["MetricName"]) == names

        found = [query["Id"] for query in parameters["MetricDataQueries"] if matches(query)]
        assert len(found) == 1
        results = [{"Id": found[0], "Values": list(values)}]
        return {"MetricDataResults": results}

    return answer


@pytest.mark.parametrize(
    ("names", "level", "resource", "seen"),
    [
        (("dispatcher", "Errors"), WARNING, "DispatcherFunction", "3 invocations failed"),
        (("start", "Throttles"), WARNING, "StartFunction", "3 invocations throttled"),
        (
            ("dead-letters", "RecursiveInvocationsDropped"),
            *(PROBLEM, "DeadLetterFunction", "3 invocations for a runaway loop"),
        ),
        (("table", "WriteThrottleEvents"), WARNING, "Table", "3 writes of it throttled"),
        (("table", "wake", "WriteThrottleEvents"), WARNING, "Table", "of its index 'wake'"),
    ],
)
def test_what_the_last_hour_has_counted_is_summed_up(
    account: Account, names: tuple[str, ...], level: Level, resource: str, seen: str
) -> None:
    account.answers["cloudwatch.get_metric_data"] = counted(*names, values=(1.0, 2.0))
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("last hour", level)
    assert finding.resource.logical == resource
    assert seen in finding.seen


def test_all_metrics_are_one_request_for_the_last_hour(account: Account) -> None:
    account.report()
    (asked,) = (each for name, each in account.asked if name == "cloudwatch.get_metric_data")
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() == 3600
    assert asked["EndTime"].timestamp() * 1000 == NOW
    assert len(asked["MetricDataQueries"]) <= 500


def test_the_age_of_the_oldest_message_is_the_newest_value(account: Account) -> None:
    put("Attributes", "ApproximateNumberOfMessages", "3")(account.answers[STEPS])
    account.answers["cloudwatch.get_metric_data"] = counted(
        "StepQueue", "ApproximateAgeOfOldestMessage", values=(7260.0, 5.0)
    )
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("backlog", PROBLEM)
    assert "the oldest is 2 h 1 min old" in finding.seen
    put("Attributes", "ApproximateNumberOfMessagesNotVisible", "100")(account.answers[STEPS])
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("backlog", WARNING)
    assert "raise MaximumConcurrency" in finding.mend


def test_what_a_role_may_not_do_is_named_with_what_it_is_about(account: Account) -> None:
    def denied(**parameters: Any) -> dict[str, Any]:
        def decision(action: str) -> str:
            ours = parameters["PolicySourceArn"].endswith("/DispatcherFunction")
            return "implicitDeny" if ours and action == "sqs:SendMessage" else "allowed"

        actions = parameters["ActionNames"]
        results = [{"EvalActionName": each, "EvalDecision": decision(each)} for each in actions]
        return {"EvaluationResults": results}

    account.answers["iam.simulate_principal_policy"] = denied
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("role", PROBLEM)
    assert "sqs:SendMessage on the step queue: no policy allows it" in finding.seen
    assert "--role-name DispatcherFunction" in finding.command


def test_a_run_that_nobody_looks_at_is_named_with_how_late_it_is(account: Account) -> None:
    late = late_run(account, "order-7", NOW - 3 * 3_600_000)
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("late runs", PROBLEM)
    assert "1 run not looked at for over 10 min: run order-7 (3 h 0 min)" in finding.seen
    put("Item", "d", "N", str(NOW + 60_000))(late)
    assert account.broken() == [], "the index was behind"
    late.clear()
    assert account.broken() == [], "it is gone"


def test_a_run_that_is_not_late_yet_is_left_out_of_the_query(account: Account) -> None:
    account.report()
    asked = [each for name, each in account.asked if name == "dynamodb.query"]
    shards = [each["ExpressionAttributeValues"] for each in asked]
    assert {each[":h"]["N"] for each in shards} == {str(shard) for shard in range(8)}
    assert {each[":d"]["N"] for each in shards} == {str(NOW - 600_000)}


@pytest.mark.parametrize(
    ("body", "level", "seen"),
    [
        (b"\x91\x63", WARNING, "which this version cannot read: run order-7"),
        (b"\xc1", PROBLEM, "and cannot be decoded: run order-7"),
    ],
    ids=["newer", "corrupt"],
)
def test_a_late_run_that_cannot_be_read_says_so(
    account: Account, body: bytes, level: Level, seen: str
) -> None:
    late_run(account, "order-7", NOW - 3 * 3_600_000, body)
    (finding,) = account.broken()
    assert (finding.check, finding.level) == ("late runs", level)
    assert seen in finding.seen


def late_run(account: Account, run: str, wake_at: int, body: bytes | None = None) -> dict[str, Any]:
    """One run is due at that time, by the index; gives what a strong read finds of it."""
    due = {"N": str(wake_at)}
    key = item_key(run_key(run).partition, "head")

    def query(**parameters: Any) -> dict[str, Any]:
        first = parameters["ExpressionAttributeValues"][":h"]["N"] == "0"
        return {"Items": [{**key, "d": due}] if first else []}

    head = first_head(graph("a -> b"), b"d" * 16, b"s" * 16, b"null", wake_at)
    found = {"Item": {**key, "d": dict(due), "b": {"B": body or encode_head(head)}}}
    account.answers["dynamodb.query"] = query
    account.answers["dynamodb.get_item"] = found
    return found


# -- the report ----------------------------------------------------------------------------------


def test_the_worst_comes_first(account: Account) -> None:
    account.answers["lambda.get_account_settings"] = refusal("AccessDenied", "Any")
    put("Attributes", "VisibilityTimeout", "359")(account.answers[STEPS])
    account.answers["events.describe_rule"]["State"] = "DISABLED"
    levels = [each.level for each in account.report().findings]
    assert levels[:4] == [PROBLEM, WARNING, Level.UNKNOWN, Level.OK]
    assert set(levels[3:]) == {Level.OK}


def test_a_command_names_the_region_of_the_stack(account: Account) -> None:
    account.answers["events.describe_rule"]["State"] = "DISABLED"
    report = account.report()
    assert (report.stack, report.region, report.account) == ("shop", "eu-west-1", "123456789012")
    (finding,) = report.of(PROBLEM)
    assert finding.command == "aws events enable-rule --name every-minute --region eu-west-1"


def test_of_two_deployments_each_resource_is_called_by_its_path(account: Account) -> None:
    listing = "cloudformation.list_stack_resources"
    other = OURS.replace("shop-Tidestep/1", "shop-Second/9")
    account.answers[f"{listing} {ROOT}"]["StackResourceSummaries"].append(
        summary("Second", other, "AWS::CloudFormation::Stack")
    )
    ours = account.answers[f"{listing} {OURS}"]["StackResourceSummaries"]
    account.answers[f"{listing} {other}"] = {"StackResourceSummaries": ours}
    account.answers["events.describe_rule"]["State"] = "DISABLED"
    assert [each.resource.logical for each in account.broken()] == [
        "Tidestep/SweeperFunctionEveryMinute",
        "Second/SweeperFunctionEveryMinute",
    ]


def test_actors_that_are_not_served_are_not_missed(account: Account) -> None:
    listing = f"cloudformation.list_stack_resources {OURS}"
    account.answers[listing]["StackResourceSummaries"].pop()
    assert account.broken() == []
    assert not any(ACTORS in str(parameters) for _, parameters in account.asked)
