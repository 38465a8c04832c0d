"""A head with swaps on DynamoDB: what its one request looks like, and what its refusals mean."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError
from msgspec.structs import replace

from engine.errors import StoreUnusable, TooLarge
from engine.layout import RunKey
from engine.ports import Item, ItemConflict, RevisionConflict, Swap
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.failures import ConditionFailed
from infra.aws.metering import MeteredClient
from infra.aws.table import head_attributes, item_attributes, item_key, run_key_of
from tests.infra.aws.answers import answer, convert
from tests.infra.aws.names import TABLE
from tests.infra.aws.stubs import CountedPauses, Recorder, Scripted
from tests.infra.records import HEAD, PARTITION, item

NEXT = replace(HEAD, rev=2, body=b"second")
NEW = Swap(PARTITION, "new", b"new", None)
FINE = {"Code": "None"}
BUSY = {"Code": "TransactionConflict", "Message": "ongoing"}
EXPECTED_ABSENT = {
    "ConditionExpression": "attribute_not_exists(p)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


def refused(body: bytes | None) -> dict[str, Any]:
    stands = {} if body is None else {"Item": {"b": {"B": body}}}
    return {"Code": "ConditionalCheckFailed", "Message": "no", **stands}


def cancelled(*reasons: dict[str, Any]) -> Exception:
    return convert(answer("TransactionCanceledException", CancellationReasons=list(reasons)))


def expecting(body: bytes) -> dict[str, Any]:
    return {
        "ConditionExpression": "b = :expected",
        "ExpressionAttributeValues": {":expected": {"B": body}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


# -- requests ------------------------------------------------------------------------------------


def test_a_head_without_swaps_is_a_plain_conditional_put(runner: asyncio.Runner) -> None:
    recorder = Recorder()
    runner.run(DynamoStore(recorder, TABLE).put_head(NEXT, 1, []))
    assert recorder.operations == ["put_item"]


def test_a_head_with_swaps_is_one_transaction_in_which_it_comes_first(
    runner: asyncio.Runner,
) -> None:
    recorder = Recorder()
    swaps = [
        NEW,
        Swap("default/pool/p", "old", b"newer", b"1", 1500),
        Swap(PARTITION, "gone", None, b"2"),
        Swap(PARTITION, "sure", b"3", b"3"),
        Swap(PARTITION, "absent", None, None),
    ]
    runner.run(DynamoStore(recorder, TABLE).put_head(NEXT, 1, swaps))
    ((operation, parameters),) = recorder.calls
    assert operation == "transact_write_items"
    head, new, old, gone, sure, absent = parameters["TransactItems"]
    assert head["Put"]["Item"] == head_attributes(NEXT)
    assert head["Put"]["ExpressionAttributeValues"] == {":expected": {"N": "1"}}
    assert new["Put"] == {
        "TableName": TABLE,
        "Item": {**item_key(PARTITION, "new"), "b": {"B": b"new"}},
        **EXPECTED_ABSENT,
    }
    assert old["Put"] == {
        "TableName": TABLE,
        "Item": {**item_key("default/pool/p", "old"), "b": {"B": b"newer"}, "x": {"N": "2"}},
        **expecting(b"1"),
    }
    place = {"TableName": TABLE, "Key": item_key(PARTITION, "gone")}
    assert gone == {"Delete": place | expecting(b"2")}
    place = {"TableName": TABLE, "Key": item_key(PARTITION, "sure")}
    assert sure == {"ConditionCheck": place | expecting(b"3")}
    place = {"TableName": TABLE, "Key": item_key(PARTITION, "absent")}
    assert absent == {"ConditionCheck": place | EXPECTED_ABSENT}


def test_a_swap_with_drops_is_one_transaction(runner: asyncio.Runner) -> None:
    recorder = Recorder()
    runner.run(DynamoStore(recorder, TABLE).swap_item(item("a"), None, [item("b")], ["c", "d"]))
    ((operation, parameters),) = recorder.calls
    assert operation == "transact_write_items"
    *puts, first, second = parameters["TransactItems"]
    assert [each["Put"]["Item"]["s"]["S"] for each in puts] == ["a", "b"]
    for action, name in ((first, "c"), (second, "d")):
        assert action == {"Delete": {"TableName": TABLE, "Key": item_key(PARTITION, name)}}


@pytest.mark.parametrize(("expires_at", "seconds"), [(1, "1"), (1000, "1"), (1001, "2")])
def test_an_item_that_expires_says_so_in_whole_seconds_and_never_too_early(
    expires_at: int, seconds: str
) -> None:
    attributes = item_attributes(Item(PARTITION, "a", b"", expires_at))
    assert attributes["x"] == {"N": seconds}
    assert "x" not in item_attributes(item("a"))


def test_a_head_of_another_kind_is_listed_apart_and_found_again() -> None:
    key = RunKey("acme", "r/with/slashes", "pool")
    attributes = head_attributes(replace(HEAD, key=key))
    assert attributes["l"]["S"].rsplit("/", 1)[0] == "acme/pool"
    assert run_key_of(attributes) == key
    assert run_key_of(head_attributes(HEAD)) == HEAD.key


def test_swaps_that_cannot_fit_are_refused_before_anything_is_sent(
    runner: asyncio.Runner,
) -> None:
    recorder = Recorder()
    store = DynamoStore(recorder, TABLE)
    large = [Swap(PARTITION, f"{number}", bytes(400_000), None) for number in range(11)]
    with pytest.raises(TooLarge, match=r"a of default/run/r has"):
        runner.run(store.put_head(NEXT, 1, [Swap(PARTITION, "a", bytes(409_600), None)]))
    with pytest.raises(TooLarge, match=r"12 items .* at most 4,194,304 \(4 MB\)"):
        runner.run(store.put_head(NEXT, 1, large))
    assert recorder.calls == []


# -- refusals ------------------------------------------------------------------------------------


def test_a_conflict_of_either_kind_brings_the_winner_without_a_second_request(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    runner.run(store.put_head(HEAD, None))
    runner.run(store.put_items([item("a", b"winner"), item("b", b"other")]))
    recorder = Recorder(clients.client("dynamodb"))
    trying = DynamoStore(recorder, TABLE)
    for wrong in (
        Swap(PARTITION, "a", b"mine", None),
        Swap(PARTITION, "a", None, b"mine"),
        Swap(PARTITION, "a", b"mine", b"mine"),
    ):
        swaps = [NEW, wrong, Swap(PARTITION, "b", b"mine", None)]
        with pytest.raises(ItemConflict) as item_conflict:
            runner.run(trying.put_head(NEXT, 1, swaps))
        assert item_conflict.value.current == b"winner"
        with pytest.raises(RevisionConflict) as head_conflict:
            runner.run(trying.put_head(NEXT, 7, swaps))
        assert head_conflict.value.current == b"first"
    assert recorder.operations == ["transact_write_items"] * 6


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_winner_that_a_stand_in_does_not_tell_is_read_where_it_stands(
    runner: asyncio.Runner, place: int
) -> None:
    client = Scripted(ConditionFailed(None, place), {"Item": {"b": {"B": b"winner"}}})
    swaps = [NEW, Swap("default/pool/p", "far", b"mine", b"old")]
    with pytest.raises((RevisionConflict, ItemConflict)) as conflict:
        runner.run(DynamoStore(client, TABLE).put_head(NEXT, 1, swaps))
    assert isinstance(conflict.value, ItemConflict if place else RevisionConflict)
    assert conflict.value.current == b"winner"
    _, asked = client.calls[1]
    keys = [item_key(PARTITION, "head"), item_key(PARTITION, "new")]
    assert asked["Key"] == [*keys, item_key("default/pool/p", "far")][place]


def test_a_busy_item_is_tried_again_until_its_condition_is_judged(runner: asyncio.Runner) -> None:
    client = Scripted(
        cancelled(FINE, BUSY), cancelled(BUSY, refused(b"old")), cancelled(FINE, refused(b"theirs"))
    )
    pauses = CountedPauses()
    with pytest.raises(ItemConflict) as conflict:
        runner.run(DynamoStore(client, TABLE, pauses).put_head(NEXT, 1, [NEW]))
    assert conflict.value.current == b"theirs"
    assert pauses.waited == [0.05, 0.1]


def test_a_head_that_is_busy_may_turn_out_to_have_another_revision(runner: asyncio.Runner) -> None:
    both = cancelled(refused(b"second"), refused(b"theirs"))
    client = Scripted(cancelled(BUSY, refused(b"theirs")), both)
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(DynamoStore(client, TABLE, CountedPauses()).put_head(NEXT, 1, [NEW]))
    assert conflict.value.current == b"second"


def test_items_that_stay_busy_are_an_error(runner: asyncio.Runner) -> None:
    client = Scripted(*[cancelled(FINE, BUSY)] * 3)
    with pytest.raises(StoreUnusable, match="it will be tried again"):
        runner.run(DynamoStore(client, TABLE, CountedPauses(tries=2)).put_head(NEXT, 1, [NEW]))


def test_botocore_repeats_a_head_with_swaps_under_one_token(
    runner: asyncio.Runner,
    clients: ThreadedClients,
    store: DynamoStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = []

    def lose_the_first_answer(request: AWSPreparedRequest, **_: Any) -> None:
        tokens.append(json.loads(request.body)["ClientRequestToken"])
        if len(tokens) == 1:
            raise ReadTimeoutError(endpoint_url=request.url)

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    events = clients.client("dynamodb")._client.meta.events
    events.register_first("before-send.dynamodb.TransactWriteItems", lose_the_first_answer)
    runner.run(store.put_head(HEAD, None, [NEW]))
    assert len(tokens) == 2
    assert tokens[0] == tokens[1]


# -- what it costs -------------------------------------------------------------------------------


def test_every_item_of_a_transaction_is_billed_twice_whatever_is_done_to_it(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    meter = MeteredClient(clients.client("dynamodb"))
    metered = DynamoStore(meter, TABLE)
    runner.run(metered.put_head(HEAD, None))
    runner.run(metered.put_items([item("gone", bytes(1024)), item("sure", bytes(3000))]))
    meter.take()
    swaps = [
        Swap(PARTITION, "gone", None, bytes(1024)),
        Swap(PARTITION, "sure", bytes(3000), bytes(3000)),
        Swap(PARTITION, "absent", None, None),
    ]
    runner.run(metered.put_head(NEXT, 1, [NEW, *swaps]))
    assert meter.take().written[""] == 2 * (1 + 1 + 2 + 3 + 1)
    with pytest.raises(ItemConflict):
        runner.run(metered.put_head(replace(NEXT, rev=3), 2, swaps[1:] + swaps[:1]))
    assert meter.take().written[""] == 2 * (1 + 3 + 1 + 1)
