"""The seam: threads, configuration, and what foreign errors become."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
from botocore import exceptions as boto

from engine.errors import Misconfigured, PlatformError, StoreUnusable, TooLarge
from infra.aws.client import ThreadedClients, client_options, config_options
from infra.aws.failures import ConditionFailed, Contended, Gone, Unsupported
from tests.infra.aws.answers import answer, convert

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/absent"


# -- threads ------------------------------------------------------------------------------------


def test_requests_leave_the_event_loop_free(
    runner: asyncio.Runner, clients: ThreadedClients
) -> None:
    threads: list[str] = []

    def note(**_: object) -> None:
        threads.append(threading.current_thread().name)

    client = clients.client("dynamodb")
    client._client.meta.events.register("before-call.dynamodb.*", note)
    runner.run(client.call("list_tables"))
    assert len(threads) == 1
    assert threads[0].startswith("aws")


def test_a_client_is_opened_once_whoever_asks_first(
    runner: asyncio.Runner, clients: ThreadedClients
) -> None:
    async def ask() -> list[object]:
        return list(await asyncio.gather(*(clients.later("s3") for _ in range(8))))

    assert len(set(map(id, [*runner.run(ask()), clients.client("s3")]))) == 1


def test_importing_the_adapters_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "import infra.aws.dynamodb, infra.aws.sqs, infra.aws.s3, infra.aws.settings\n"
        "heavy = {'boto3', 'botocore', 'aiobotocore', 'aiohttp', 'pydantic', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


# -- configuration ------------------------------------------------------------------------------


def test_there_is_a_connection_for_each_thread(clients: ThreadedClients) -> None:
    config = clients.client("dynamodb")._client.meta.config
    assert config.max_pool_connections == 8
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}
    assert config.tcp_keepalive is True


def test_a_long_poll_is_not_cut_off_by_the_read_timeout() -> None:
    assert config_options("sqs", 1, {})["read_timeout"] > 20
    assert config_options("dynamodb", 1, {})["read_timeout"] <= 10


def test_localstack_is_used_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_options("sqs", {}) == {}
    assert client_options("sqs", {"TIDESTEP_LOCALSTACK": "0"}) == {}
    asked = client_options("sqs", {"TIDESTEP_LOCALSTACK": "1"})
    assert (asked["endpoint_url"], asked["region_name"]) == ("http://localhost:4566", "us-east-1")
    named = client_options("s3", {"LOCALSTACK_HOST": "stand-in:4000", "AWS_REGION": "eu-west-1"})
    assert (named["endpoint_url"], named["region_name"]) == ("http://stand-in:4000", "eu-west-1")


STAGE = "wss://def456.execute-api.eu-west-1.amazonaws.com/live"


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, "https://def456.execute-api.eu-west-1.amazonaws.com/live"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"},
            "http://127.0.0.1:4566/_aws/execute-api/def456/live",
        ),
    ],
)
def test_connections_are_managed_at_their_stage_wherever_that_is(
    environment: dict[str, str], endpoint: str
) -> None:
    told = {"TIDESTEP_WEBSOCKET_URL": STAGE, **environment}
    assert client_options("apigatewaymanagementapi", told)["endpoint_url"] == endpoint


def test_a_stage_at_an_address_of_its_own_is_taken_as_it_is() -> None:
    told = {"TIDESTEP_WEBSOCKET_URL": "ws://127.0.0.1:1/live", "AWS_ENDPOINT_URL": "http://x"}
    assert client_options("apigatewaymanagementapi", told)["endpoint_url"] == (
        "http://127.0.0.1:1/live"
    )


def test_stand_ins_get_buckets_in_the_path() -> None:
    path = {"addressing_style": "path"}
    assert config_options("s3", 1, {"AWS_ENDPOINT_URL": "http://localhost:1"})["s3"] == path
    assert config_options("s3", 1, {"TIDESTEP_LOCALSTACK": "1"})["s3"] == path
    assert "s3" not in config_options("s3", 1, {})


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4000")
    clients = ThreadedClients(1)
    assert clients.client("dynamodb")._client.meta.endpoint_url == "http://127.0.0.1:4000"
    clients.close()


def test_a_missing_region_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    clients = ThreadedClients(1)
    with pytest.raises(Misconfigured, match="AWS_REGION"):
        clients.client("dynamodb")
    clients.close()


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "advice"),
    [
        ("dynamodb", "get_item", {"TableName": "absent", "Key": {"p": {"S": "a"}}}, "_TABLE"),
        ("sqs", "send_message", {"QueueUrl": URL, "MessageBody": "a"}, "_QUEUE_URL"),
        ("s3", "get_object", {"Bucket": "absent", "Key": "a"}, "_BUCKET"),
    ],
)
def test_what_does_not_exist_names_the_setting_to_check(
    runner: asyncio.Runner,
    clients: ThreadedClients,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    advice: str,
) -> None:
    with pytest.raises(Misconfigured, match=f"absent.*TIDESTEP{advice}"):
        runner.run(clients.client(service).call(operation, **parameters))


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("dynamodb", "BatchWriteItem", "dynamodb:BatchWriteItem"),
        ("dynamodb", "TransactWriteItems", "dynamodb:PutItem, DeleteItem or ConditionCheckItem"),
        ("sqs", "SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "DeleteMessageBatch", "sqs:DeleteMessage"),
        ("s3", "GetObject", "s3:GetObject"),
    ],
)
def test_denied_access_names_the_action_to_allow(service: str, operation: str, action: str) -> None:
    error = boto.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
    converted = convert(error, service)
    assert type(converted) is Misconfigured
    assert str(converted).endswith(f"allow this role the action {action}")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (answer("ProvisionedThroughputExceededException"), StoreUnusable, "throttled"),
        (answer("InternalServerError"), StoreUnusable, "InternalServerError: said"),
        (answer("ExpiredTokenException"), Misconfigured, "credentials"),
        (answer("ValidationException", "Item size has exceeded"), TooLarge, "Item size"),
        (answer("ValidationException", "lacks the specified index"), Misconfigured, "template"),
        (answer("UnknownOperationException"), Unsupported, "UnknownOperation"),
        (answer("NoSuchKey"), Gone, "NoSuchKey"),
        (answer("InvalidParameterValue", "The receipt handle has expired."), Gone, "expired"),
        (boto.NoCredentialsError(), Misconfigured, "credentials or a role"),
        (boto.ProfileNotFound(profile="p"), Misconfigured, "AWS_PROFILE"),
        (boto.EndpointConnectionError(endpoint_url="http://x"), StoreUnusable, "AWS_ENDPOINT_URL"),
        (boto.ReadTimeoutError(endpoint_url="http://x"), StoreUnusable, "network"),
        (boto.ParamValidationError(report="Key"), StoreUnusable, "Key"),
        (ConnectionResetError("reset"), StoreUnusable, "network"),
    ],
)
def test_foreign_errors_become_ours(error: Exception, kind: type[Exception], says: str) -> None:
    converted = convert(error, TableName="steps-table")
    assert type(converted) is kind
    assert says in str(converted)
    assert "dynamodb put_item steps-table" in str(converted)
    assert converted.__cause__ is error


def test_a_failed_condition_is_an_answer_that_holds_the_item() -> None:
    item = {"b": {"B": b"winner"}}
    converted = convert(answer("ConditionalCheckFailedException", Item=item))
    assert isinstance(converted, ConditionFailed)
    assert converted.item == item


def cancelled(*reasons: tuple[str, str]) -> boto.ClientError:
    told: list[dict[str, Any]] = [{"Code": code, "Message": said} for code, said in reasons]
    return answer("TransactionCanceledException", CancellationReasons=[{"Code": "None"}, *told])


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (cancelled(("TransactionConflict", "ongoing")), Contended, "ongoing; it will be tried"),
        (cancelled(("ThrottlingError", "slow"), ("None", "")), Contended, "ThrottlingError: slow"),
        (cancelled(("ProvisionedThroughputExceeded", "slow")), Contended, "slow"),
        (answer("TransactionConflictException"), Contended, "another transaction"),
        (cancelled(("ValidationError", "Item size has exceeded")), TooLarge, "Item size"),
        (cancelled(("ValidationError", "bad")), StoreUnusable, "ValidationError: bad"),
        (
            cancelled(("TransactionConflict", "ongoing"), ("ValidationError", "bad")),
            StoreUnusable,
            "TransactionConflict: ongoing; ValidationError: bad",
        ),
        (answer("TransactionCanceledException"), StoreUnusable, "Canceled"),
        (answer("TransactionInProgressException"), StoreUnusable, "InProgress"),
    ],
)
def test_a_cancelled_transaction_is_told_by_its_reasons(
    error: Exception, kind: type[Exception], says: str
) -> None:
    put = {"Put": {"TableName": "steps-table", "Item": {}}}
    converted = convert(error, TransactItems=[put])
    assert type(converted) is kind
    assert says in str(converted)
    assert "dynamodb put_item steps-table" in str(converted)


FAILED = {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"b": {"B": b"winner"}}}
FAILED_TOO = {**FAILED, "Item": {"b": {"B": b"another"}}}
BUSY = {"Code": "TransactionConflict", "Message": "ongoing"}
FINE = {"Code": "None"}


@pytest.mark.parametrize(
    ("reasons", "place"),
    [
        ([FAILED, FINE], 0),
        ([FAILED, BUSY], 0),
        ([FAILED, FAILED_TOO], 0),
        ([FINE, FINE, FAILED, FAILED_TOO], 2),
        ([FINE, BUSY, FAILED], 2),
    ],
)
def test_the_first_failed_condition_of_a_transaction_is_the_answer_and_says_whose(
    reasons: list[dict[str, Any]], place: int
) -> None:
    converted = convert(answer("TransactionCanceledException", CancellationReasons=reasons))
    assert isinstance(converted, ConditionFailed)
    assert (converted.item, converted.place) == (FAILED["Item"], place)


def test_what_is_said_of_others_waits_until_the_first_item_of_a_transaction_is_judged() -> None:
    reasons = [BUSY, FAILED]
    converted = convert(answer("TransactionCanceledException", CancellationReasons=reasons))
    assert type(converted) is Contended


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), Misconfigured("ours")])
def test_bugs_and_our_own_errors_pass_as_they_are(error: Exception) -> None:
    assert convert(error) is error


def test_an_endpoint_that_nobody_listens_on_is_a_platform_error(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.aws.client.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    clients = ThreadedClients(1)
    with pytest.raises(PlatformError, match="AWS_ENDPOINT_URL"):
        runner.run(clients.client("dynamodb").call("list_tables"))
    clients.close()
