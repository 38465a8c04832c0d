"""What the template must say for the engine's guarantee to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.ports import Limits
from engine.timing import LOOK_AFTER_MS
from infra.aws.table import TTL_ATTRIBUTE, table_definition
from tests.functions.conftest import properties


def test_the_table_is_the_one_that_the_store_uses(template: dict[str, Any]) -> None:
    table = properties(template, "Table")
    expected = table_definition("any")
    for key in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"):
        assert table[key] == expected[key]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_a_message_stays_invisible_for_six_times_the_functions_time(
    template: dict[str, Any],
) -> None:
    """AWS's advice: throttled retries of the poller must not look like deaths."""
    parameters = template["Parameters"]
    assert parameters["VisibilityTimeout"]["Default"] >= 6 * parameters["StepTimeout"]["Default"]
    assert properties(template, "StepQueue")["VisibilityTimeout"] == "VisibilityTimeout"
    assert properties(template, "DispatcherFunction")["Timeout"] == "StepTimeout"


def test_redelivery_comes_before_the_sweeper_suspects_a_loss(template: dict[str, Any]) -> None:
    assert template["Parameters"]["VisibilityTimeout"]["Default"] * 1000 < LOOK_AFTER_MS


def test_the_dispatchers_loop_is_allowed(template: dict[str, Any]) -> None:
    """Lambda ends a chain SQS -> Lambda -> SQS after about 16 hops otherwise."""
    assert properties(template, "DispatcherFunction")["RecursiveLoop"] == "Allow"


def test_only_failed_records_of_a_batch_come_again(template: dict[str, Any]) -> None:
    event = properties(template, "DispatcherFunction")["Events"]["Steps"]["Properties"]
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_dead_letters_have_a_consumer_that_may_send_them_again(template: dict[str, Any]) -> None:
    consumer = properties(template, "DeadLetterFunction")
    event = consumer["Events"]["DeadLetters"]["Properties"]
    assert event["Queue"] == "StepDeadLetters.Arn"
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert consumer["RecursiveLoop"] == "Allow"
    assert properties(template, "StepDeadLetters")["VisibilityTimeout"] >= 6 * consumer["Timeout"]


def test_a_crashing_step_fails_before_the_queue_gives_it_up(template: dict[str, Any]) -> None:
    """The first receipt claims nothing, each death after it is found by the next receipt."""
    receipts = 1 + Limits().deaths + 1
    assert properties(template, "StepQueue")["RedrivePolicy"]["maxReceiveCount"] >= 2 * receipts


def test_dead_letters_are_kept_as_long_as_sqs_can(template: dict[str, Any]) -> None:
    assert properties(template, "StepDeadLetters")["MessageRetentionPeriod"] == 14 * 86_400
    assert properties(template, "StepQueue")["RedrivePolicy"]["maxReceiveCount"] >= 5


def test_every_function_is_told_where_everything_is(template: dict[str, Any]) -> None:
    told = template["Globals"]["Function"]["Environment"]["Variables"]
    assert {"TIDESTEP_TABLE", "TIDESTEP_QUEUE_URL", "TIDESTEP_BUCKET", "TIDESTEP_ACTORS"} <= set(
        told
    )


def test_no_role_may_do_everything_to_anything(template: dict[str, Any]) -> None:
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        for policy in properties(template, name)["Policies"]:
            for statement in policy["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert "*" not in action
                assert statement["Resource"] != "*"


def test_handlers_exist(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            module, _, function = resource["Properties"]["Handler"].rpartition(".")
            source = Path(*module.split(".")).with_suffix(".py").read_text()
            assert f"def {function}(event" in source
