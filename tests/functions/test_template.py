"""What the template must say for the engine's guarantee to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.ports import Limits
from engine.timing import LOOK_AFTER_MS
from engine.values import ITEM_BYTES
from infra.aws.table import TTL_ATTRIBUTE, table_definition
from tests.functions.conftest import properties
from tests.functions.templates import PARTS, functions_of, load_template, statements_of


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
    for name in ("template", "actors"):
        told = template["Parts"][name]["Globals"]["Function"]["Environment"]["Variables"]
        assert {"TIDESTEP_TABLE", "TIDESTEP_QUEUE_URL", "TIDESTEP_BUCKET"} <= set(told)


def test_whoever_imports_the_application_is_given_all_of_it(template: dict[str, Any]) -> None:
    functions = functions_of(template)
    layers = functions["DispatcherFunction"]["Layers"]
    assert layers[-1] == "AppLayer"
    for name in ("DispatcherFunction", "DeadLetterFunction", "StartFunction"):
        assert functions[name]["Layers"] == layers
        told = functions[name]["Environment"]["Variables"]
        assert {"TIDESTEP_ACTORS", "TIDESTEP_APP_ENVIRONMENT", "TIDESTEP_EXPOSE_ENV"} <= set(told)


def test_no_role_may_do_everything_to_anything(template: dict[str, Any]) -> None:
    for function in functions_of(template).values():
        for statement in statements_of(function):
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert "*" not in action
            assert statement["Resource"] != "*"


def test_handlers_exist(template: dict[str, Any]) -> None:
    for function in functions_of(template).values():
        module, _, name = function["Handler"].rpartition(".")
        source = Path(*module.split(".")).with_suffix(".py").read_text()
        assert f"def {name}(event" in source


def test_nested_templates_are_given_all_that_they_ask_for(template: dict[str, Any]) -> None:
    nested = {
        each["Properties"]["Location"].removesuffix(".yaml"): each["Properties"]["Parameters"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Serverless::Application"
    }
    assert set(nested) == set(PARTS) - {"template"}
    for name, given in nested.items():
        assert set(given) == set(template["Parts"][name]["Parameters"]), name


def test_every_function_is_told_the_limits(template: dict[str, Any]) -> None:
    for each in (template, template["Parts"]["actors"]):
        told = each["Globals"]["Function"]["Environment"]["Variables"]
        assert told["TIDESTEP_LIMITS"] == "Limits"


def test_the_examples_are_deployed_with_parameters_that_the_stack_has(
    template: dict[str, Any],
) -> None:
    root = load_template(Path("template.yaml"))
    given = root["Resources"]["Tidestep"]["Properties"]["Parameters"]
    assert set(given) <= set(template["Parameters"])
    for name in set(root["Parameters"]) - {"App", "Actors", "Workflows"}:
        assert root["Parameters"][name]["Default"] == template["Parameters"][name]["Default"], name


def test_no_value_is_deleted_because_it_is_old(template: dict[str, Any]) -> None:
    """A run that sleeps for a year may still refer to it."""
    for rule in properties(template, "Blobs")["LifecycleConfiguration"]["Rules"]:
        assert not any(name.startswith(("Expiration", "Noncurrent")) for name in rule)


def test_no_signal_is_so_large_that_it_lies_in_the_bucket() -> None:
    """Callbacks and the sweeper store and forward signals, and have no business there."""
    assert Limits().signal_bytes < ITEM_BYTES


def test_state_outlives_the_stack(template: dict[str, Any]) -> None:
    for name in ("Table", "Blobs"):
        resource = template["Resources"][name]
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_every_function_writes_into_the_one_log_that_is_not_kept_for_ever(
    template: dict[str, Any],
) -> None:
    for name in ("template", "actors"):
        logging = template["Parts"][name]["Globals"]["Function"]["LoggingConfig"]
        assert logging == {"LogFormat": "JSON", "LogGroup": "Logs"}
    assert properties(template, "Logs")["RetentionInDays"] == "LogRetention"
