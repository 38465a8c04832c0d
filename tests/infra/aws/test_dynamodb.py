"""The store on DynamoDB: the commit point, the sparse index, and what its requests look like."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError
from msgspec.structs import replace

from engine.errors import StoreUnusable, TooLarge
from engine.layout import HEAD as HEAD_NAME
from engine.layout import WAKE_SHARDS, run_key, wake_shard
from engine.ports import HeadRecord, Item, ItemConflict, RevisionConflict
from engine.snapshot import Status
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from infra.aws.failures import ConditionFailed
from infra.aws.table import item_key
from tests.infra.aws.answers import answer, convert
from tests.infra.aws.names import TABLE
from tests.infra.aws.stubs import CountedPauses, Recorder, Scripted
from tests.infra.records import HEAD, PARTITION, collect, item


def successor(rev: int, **changes: Any) -> HeadRecord:
    return replace(HEAD, rev=rev, body=f"rev {rev}".encode(), **changes)


def stored(runner: asyncio.Runner, clients: ThreadedClients, head: HeadRecord) -> dict[str, Any]:
    key = item_key(head.key.partition, HEAD_NAME)
    answer = runner.run(clients.client("dynamodb").call("get_item", TableName=TABLE, Key=key))
    found: dict[str, Any] = answer["Item"]
    return found


# -- the commit point ---------------------------------------------------------------------------


def test_a_conflict_brings_the_winner_without_a_second_request(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    runner.run(store.put_head(HEAD, None))
    runner.run(store.put_head(successor(2), 1))
    recorder = Recorder(clients.client("dynamodb"))
    for expected in (None, 1, 3):
        with pytest.raises(RevisionConflict) as conflict:
            runner.run(DynamoStore(recorder, TABLE).put_head(successor(9), expected))
        assert conflict.value.current == b"rev 2"
    assert recorder.operations == ["put_item"] * 3
    assert runner.run(store.head(HEAD.key)) == b"rev 2"


def test_a_conflict_of_a_stand_in_that_does_not_tell_the_winner_is_read_strongly(
    runner: asyncio.Runner,
) -> None:
    client = Scripted(ConditionFailed(), {"Item": {"b": {"B": b"winner"}}})
    with pytest.raises(RevisionConflict) as conflict:
        runner.run(DynamoStore(client, TABLE).put_head(successor(2), 1))
    assert conflict.value.current == b"winner"
    operation, parameters = client.calls[1]
    assert (operation, parameters["ConsistentRead"]) == ("get_item", True)


def test_of_32_threads_racing_for_a_head_one_wins_each_round(
    runner: asyncio.Runner, store: DynamoStore
) -> None:
    racers = 32
    barrier = Barrier(racers)

    def race(rev: int, racer: int) -> bytes | None:
        """None for the winner, for a loser the head that it was told of."""
        barrier.wait()
        try:
            asyncio.run(store.put_head(replace(HEAD, rev=rev + 1, body=b"%d" % racer), rev))
        except RevisionConflict as conflict:
            return conflict.current
        return None

    runner.run(store.put_head(HEAD, None))
    with ThreadPoolExecutor(racers) as threads:
        for rev in range(1, 6):
            told = list(threads.map(race, [rev] * racers, range(racers)))
            assert told.count(None) == 1
            assert set(told) == {None, b"%d" % told.index(None)}


def test_a_head_writes_its_index_attributes_only_where_they_mean_something(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    runner.run(store.put_head(replace(HEAD, wake_at=600_000), None))
    awake = stored(runner, clients, HEAD)
    assert awake["h"] == {"N": str(wake_shard(HEAD.key))}
    assert awake["d"] == {"N": "600000"}
    runner.run(store.put_head(successor(2), 1))
    asleep = stored(runner, clients, HEAD)
    assert set(awake) - set(asleep) == {"h", "d"}
    assert "x" not in awake


def test_a_run_that_waits_for_nothing_is_in_no_shard_of_the_index(
    runner: asyncio.Runner, store: DynamoStore
) -> None:
    runner.run(store.put_head(replace(HEAD, wake_at=1), None))
    assert runner.run(store.due(wake_shard(HEAD.key), 1, 10)) == [HEAD.key]
    runner.run(store.put_head(successor(2, status=Status.COMPLETED), 1))
    for shard in range(WAKE_SHARDS):
        assert runner.run(store.due(shard, 10**15, 10)) == []


def test_reads_that_decide_are_strongly_consistent(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    recorder = Recorder(clients.client("dynamodb"))
    reader = DynamoStore(recorder, TABLE)
    runner.run(reader.head(HEAD.key))
    runner.run(reader.items(PARTITION, ["a"]))
    runner.run(reader.items(PARTITION, ["a", "b"]))
    runner.run(collect(reader.scan(PARTITION, "page/")))
    assert recorder.operations == ["get_item", "get_item", "batch_get_item", "query"]
    requests = [parameters for _, parameters in recorder.calls]
    assert requests[2]["RequestItems"][TABLE].pop("ConsistentRead")
    assert all(requests[number]["ConsistentRead"] for number in (0, 1, 3))


# -- swaps --------------------------------------------------------------------------------------


def cancelled(*codes: str) -> Exception:
    """What a transaction that was cancelled for these reasons becomes."""
    reasons = [{"Code": code, "Message": f"{code} it is"} for code in codes]
    return convert(answer("TransactionCanceledException", CancellationReasons=reasons))


def test_a_swap_is_one_conditional_request_and_one_transaction_with_other_items(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    recorder = Recorder(clients.client("dynamodb"))
    swapping = DynamoStore(recorder, TABLE)
    runner.run(swapping.swap_item(item("a", b"1"), None, []))
    runner.run(swapping.swap_item(item("a", b"2"), b"1", [item("b"), item("c")]))
    (alone, put), (together, transaction) = recorder.calls
    assert (alone, together) == ("put_item", "transact_write_items")
    assert put["ConditionExpression"] == "attribute_not_exists(p)"
    first, *others = (each["Put"] for each in transaction["TransactItems"])
    assert first["ExpressionAttributeValues"] == {":expected": {"B": b"1"}}
    assert [each["Item"]["s"]["S"] for each in others] == ["b", "c"]
    assert not any("ConditionExpression" in each for each in others)


@pytest.mark.parametrize("also", [[], [item("b")]])
def test_a_refused_swap_brings_the_winner_without_a_second_request(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore, also: list[Item]
) -> None:
    runner.run(store.put_items([item("a", b"winner")]))
    recorder = Recorder(clients.client("dynamodb"))
    for expected in (None, b"other"):
        with pytest.raises(ItemConflict) as conflict:
            runner.run(DynamoStore(recorder, TABLE).swap_item(item("a"), expected, also))
        assert conflict.value.current == b"winner"
    assert len(recorder.calls) == 2


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None"),
        ("None", "TransactionConflict"),
        ("ThrottlingError", "TransactionConflict"),
        ("ProvisionedThroughputExceeded", "None"),
    ],
)
def test_a_swap_whose_items_are_busy_is_repeated_after_growing_pauses(
    runner: asyncio.Runner, codes: tuple[str, str]
) -> None:
    client, pauses = Scripted(cancelled(*codes), cancelled(*codes), {}), CountedPauses()
    runner.run(DynamoStore(client, TABLE, pauses).swap_item(item("a"), None, [item("b")]))
    assert client.calls[0] == client.calls[1] == client.calls[2]
    assert pauses.waited == [0.05, 0.1]


def test_a_swap_whose_items_stay_busy_is_an_error(runner: asyncio.Runner) -> None:
    conflict = cancelled("TransactionConflict", "None")
    store = DynamoStore(Scripted(*[conflict] * 3), TABLE, CountedPauses(tries=2))
    with pytest.raises(StoreUnusable, match="TransactionConflict it is; it will be tried again"):
        runner.run(store.swap_item(item("a"), None, [item("b")]))


def test_a_repeated_swap_that_meets_another_content_is_a_conflict(runner: asyncio.Runner) -> None:
    busy = cancelled("TransactionConflict", "None")
    refused = ConditionFailed({"b": {"B": b"winner"}})
    store = DynamoStore(Scripted(busy, refused), TABLE, CountedPauses())
    with pytest.raises(ItemConflict) as conflict:
        runner.run(store.swap_item(item("a"), None, [item("b")]))
    assert conflict.value.current == b"winner"


def test_a_single_write_waits_for_the_transaction_that_holds_its_item(
    runner: asyncio.Runner,
) -> None:
    held = convert(answer("TransactionConflictException"))
    client, pauses = Scripted(held, {}, held, {}, held, {}, held, {}), CountedPauses()
    store = DynamoStore(client, TABLE, pauses)
    runner.run(store.put_head(HEAD, None))
    runner.run(store.put_items([item("a")]))
    runner.run(store.swap_item(item("a"), b"1", []))
    runner.run(store.delete_items(PARTITION, ["a"]))
    operations = [operation for operation, _ in client.calls]
    assert operations == ["put_item"] * 6 + ["delete_item"] * 2
    assert pauses.waited == [0.05] * 4


def test_a_swap_that_cannot_fit_is_refused_before_it_is_sent(runner: asyncio.Runner) -> None:
    recorder = Recorder()
    store = DynamoStore(recorder, TABLE)
    large = [item(f"inbox/{number:02d}", bytes(400_000)) for number in range(11)]
    with pytest.raises(TooLarge, match=r"a of default/run/r has"):
        runner.run(store.swap_item(item("a", bytes(409_600)), None, []))
    with pytest.raises(TooLarge, match=r"b of default/run/r has"):
        runner.run(store.swap_item(item("a"), None, [item("b", bytes(409_600))]))
    with pytest.raises(TooLarge, match=r"12 items .* at most 4,194,304 \(4 MB\)"):
        runner.run(store.swap_item(item("a"), None, large))
    assert recorder.calls == []
    runner.run(store.swap_item(item("a"), None, large[:10]))
    assert recorder.operations == ["transact_write_items"]


def test_botocore_repeats_a_transaction_under_one_token_and_the_next_has_its_own(
    runner: asyncio.Runner,
    clients: ThreadedClients,
    store: DynamoStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By it DynamoDB knows a transaction that was made although its answer was lost."""
    tokens = []

    def lose_the_first_answer(request: AWSPreparedRequest, **_: Any) -> None:
        tokens.append(json.loads(request.body)["ClientRequestToken"])
        if len(tokens) == 1:
            raise ReadTimeoutError(endpoint_url=request.url)

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    events = clients.client("dynamodb")._client.meta.events
    events.register_first("before-send.dynamodb.TransactWriteItems", lose_the_first_answer)
    runner.run(store.swap_item(item("a"), None, [item("b")]))
    runner.run(store.swap_item(item("c"), None, [item("d")]))
    assert tokens[0] == tokens[1] != tokens[2]
    assert len(tokens) == 3


# -- batches ------------------------------------------------------------------------------------


def test_one_item_is_one_plain_request_and_none_is_none(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    recorder = Recorder(clients.client("dynamodb"))
    writer = DynamoStore(recorder, TABLE)
    runner.run(writer.put_items([]))
    runner.run(writer.put_items([item("a")]))
    runner.run(writer.delete_items(PARTITION, []))
    runner.run(writer.delete_items(PARTITION, ["a"]))
    assert runner.run(writer.items(PARTITION, [])) == {}
    assert recorder.operations == ["put_item", "delete_item"]


def test_writes_go_25_at_a_time_and_reads_100(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    recorder = Recorder(clients.client("dynamodb"))
    batching = DynamoStore(recorder, TABLE)
    names = [f"out/{number:03d}" for number in range(130)]
    runner.run(batching.put_items([item(name, name.encode()) for name in names]))
    found = runner.run(batching.items(PARTITION, names))
    runner.run(batching.delete_items(PARTITION, names))
    assert found == {name: name.encode() for name in names}
    assert runner.run(store.items(PARTITION, names)) == {}
    sizes = []
    for _, parameters in recorder.calls:
        requests = parameters["RequestItems"][TABLE]
        sizes.append(len(requests["Keys"]) if "Keys" in requests else len(requests))
    assert sizes == [25] * 5 + [5] + [100, 30] + [25] * 5 + [5]


def test_a_name_given_twice_is_asked_for_once(runner: asyncio.Runner, store: DynamoStore) -> None:
    runner.run(store.put_items([item("a", b"1"), item("b", b"2"), item("a", b"3")]))
    assert runner.run(store.items(PARTITION, ["a", "b", "a"])) == {"a": b"3", "b": b"2"}
    runner.run(store.delete_items(PARTITION, ["a", "b", "a"]))
    assert runner.run(store.items(PARTITION, ["a", "b"])) == {}


def test_unprocessed_writes_are_repeated_after_growing_pauses(runner: asyncio.Runner) -> None:
    def keep(count: int) -> Any:
        return lambda RequestItems: {"UnprocessedItems": {TABLE: RequestItems[TABLE][-count:]}}  # noqa: N803

    client, pauses = Scripted(keep(2), keep(1), {}), CountedPauses()
    runner.run(DynamoStore(client, TABLE, pauses).put_items([item(name) for name in "abc"]))
    asked = [
        [request["PutRequest"]["Item"]["s"]["S"] for request in parameters["RequestItems"][TABLE]]
        for _, parameters in client.calls
    ]
    assert asked == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert pauses.waited == [0.05, 0.1]


def test_unprocessed_reads_are_repeated_without_a_pause_as_long_as_some_come(
    runner: asyncio.Runner,
) -> None:
    def row(name: str) -> dict[str, Any]:
        return {**item_key(PARTITION, name), "b": {"B": name.encode()}}

    def left(*names: str) -> dict[str, Any]:
        return {TABLE: {"Keys": [item_key(PARTITION, name) for name in names]}}

    client = Scripted(
        {"Responses": {TABLE: [row("a")]}, "UnprocessedKeys": left("b", "c")},
        {"Responses": {TABLE: []}, "UnprocessedKeys": left("b", "c")},
        {"Responses": {TABLE: [row("c")]}, "UnprocessedKeys": {}},
    )
    pauses = CountedPauses()
    found = runner.run(DynamoStore(client, TABLE, pauses).items(PARTITION, "abc"))
    assert found == {"a": b"a", "c": b"c"}
    assert pauses.waited == [0.05]
    assert client.calls[2][1]["RequestItems"][TABLE]["ConsistentRead"] is True


def test_a_table_that_stays_throttled_is_an_error(runner: asyncio.Runner) -> None:
    def all_left(RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        return {"UnprocessedItems": RequestItems}

    pauses = CountedPauses(tries=3)
    store = DynamoStore(Scripted(*[all_left] * 4), TABLE, pauses)
    with pytest.raises(StoreUnusable, match="throttled"):
        runner.run(store.put_items([item("a"), item("b")]))
    assert pauses.waited == [0.05, 0.1, 0.2]


def test_what_dynamodb_cannot_hold_is_refused_before_it_is_sent(runner: asyncio.Runner) -> None:
    recorder = Recorder()
    store = DynamoStore(recorder, TABLE)
    overhead = len("p") + len(PARTITION) + len("s") + len("out/1") + len("b")
    runner.run(store.put_items([item("out/1", bytes(409_600 - overhead))]))
    with pytest.raises(TooLarge, match=r"out/1 of default/run/r has 409,601 bytes"):
        runner.run(store.put_items([item("out/1", bytes(409_601 - overhead))]))
    with pytest.raises(TooLarge):
        runner.run(store.put_head(replace(HEAD, body=bytes(409_600)), 1))
    assert recorder.operations == ["put_item"]


# -- scans and listings -------------------------------------------------------------------------


def test_a_scan_follows_pages_of_a_megabyte_and_leaves_the_head_out(
    runner: asyncio.Runner, clients: ThreadedClients, store: DynamoStore
) -> None:
    runner.run(store.put_head(HEAD, None))
    names = [f"out/{number}" for number in range(8)]
    runner.run(store.put_items([item(name, bytes(300_000)) for name in names]))
    recorder = Recorder(clients.client("dynamodb"))
    found = runner.run(collect(DynamoStore(recorder, TABLE).scan(PARTITION, "")))
    assert [name for name, _ in found] == names
    assert len(recorder.calls) > 1


def test_a_listing_by_status_reads_on_until_it_has_enough(runner: asyncio.Runner) -> None:
    row = {
        **item_key(PARTITION, HEAD_NAME),
        "t": {"S": "failed"},
        "w": {"S": "flow"},
        "c": {"N": "7"},
    }

    def answer(**parameters: Any) -> dict[str, Any]:
        if parameters["ExpressionAttributeValues"][":l"] != {"S": "default/0"}:
            return {"Items": []}
        if "ExclusiveStartKey" not in parameters:
            return {"Items": [], "LastEvaluatedKey": {"l": {"S": "default/0"}}}
        return {"Items": [row, row], "LastEvaluatedKey": {"l": {"S": "default/0"}}}

    client = Scripted(*[answer] * 5)
    store = DynamoStore(client, TABLE)
    rows = runner.run(store.runs("default", limit=2, status=Status.FAILED))
    assert [row.created_at for row in rows] == [7, 7]
    assert len(client.calls) == 5


def test_runs_of_every_listing_shard_are_merged(runner: asyncio.Runner, store: DynamoStore) -> None:
    keys = [run_key(f"run-{number}") for number in range(24)]
    for number, key in enumerate(keys):
        runner.run(store.put_head(replace(HEAD, key=key, created_at=number), None))
    rows = runner.run(store.runs("default", limit=24))
    assert [row.key for row in rows] == keys[::-1]
