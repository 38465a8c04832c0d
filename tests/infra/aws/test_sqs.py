"""The queue on SQS: batches, groups, delays, receive counts, and who may fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.errors import Misconfigured, StoreUnusable, TooLarge
from engine.ports import Delivery, Send
from infra.aws import sqs_source
from infra.aws.client import ThreadedClient, ThreadedClients
from infra.aws.sqs import SqsQueue, message_group_id
from infra.aws.sqs_source import Receipt, SqsSource
from tests.infra.aws.stubs import CountedPauses, Recorder, Scripted

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/steps"


def sends(count: int, size: int = 10) -> list[Send]:
    return [Send(f"{number:0{size}d}", "flow") for number in range(count)]


def recording(clients: ThreadedClients, url: str) -> tuple[SqsQueue, Recorder]:
    recorder = Recorder(clients.client("sqs"))
    return SqsQueue(recorder, url), recorder


def entry_counts(recorder: Recorder) -> list[int]:
    return [len(parameters.get("Entries", [0])) for _, parameters in recorder.calls]


# -- sending ------------------------------------------------------------------------------------


def test_one_message_is_one_plain_request_and_none_is_none(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)
    runner.run(queue.send([]))
    runner.run(queue.send(sends(1)))
    assert recorder.operations == ["send_message"]


def test_messages_go_ten_at_a_time_and_all_arrive(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)
    runner.run(queue.send(sends(25)))
    assert recorder.operations == ["send_message_batch"] * 3
    assert entry_counts(recorder) == [10, 10, 5]
    received = runner.run(queue.receive(100, 1))
    assert sorted(delivery.body for delivery in received) == [send.body for send in sends(25)]


def test_a_batch_holds_at_most_a_mebibyte(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)
    runner.run(queue.send(sends(5, size=300_000)))
    assert entry_counts(recorder) == [3, 2]


def test_a_message_that_sqs_cannot_hold_is_refused_before_anything_is_sent(
    runner: asyncio.Runner,
) -> None:
    recorder = Recorder()
    queue = SqsQueue(recorder, URL)
    with pytest.raises(TooLarge, match="1,048,577 bytes"):
        runner.run(queue.send([*sends(1), Send("x" * 1_048_577, "flow")]))
    assert recorder.calls == []


def test_each_message_carries_its_group_and_its_delay(runner: asyncio.Runner) -> None:
    recorder = Recorder()
    queue = SqsQueue(recorder, URL)
    delayed = [Send("b", "flow", 899_001), Send("c", "flow", 901_000)]
    runner.run(queue.send([Send("a", "acme"), *delayed]))
    ((_, parameters),) = recorder.calls
    assert parameters["Entries"] == [
        {"Id": "0", "MessageBody": "a", "MessageGroupId": "acme"},
        {"Id": "1", "MessageBody": "b", "MessageGroupId": "flow", "DelaySeconds": 900},
        {"Id": "2", "MessageBody": "c", "MessageGroupId": "flow", "DelaySeconds": 900},
    ]


def test_a_standard_queue_takes_the_group_and_holds_the_delayed_message_back(
    runner: asyncio.Runner, clients: ThreadedClients, queue: SqsQueue, queue_url: str
) -> None:
    runner.run(queue.send([Send("later", "flow", 60), Send("now", "Zahlung prüfen")]))
    answer = runner.run(
        clients.client("sqs").call(
            "receive_message",
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["MessageGroupId"],
        )
    )
    (message,) = answer["Messages"]
    assert message["Body"] == "now"
    assert message["Attributes"]["MessageGroupId"] == message_group_id("Zahlung prüfen")


@pytest.mark.parametrize(
    "group", ["acme", "a" * 128, "order-flow_2", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
)
def test_a_group_that_sqs_takes_stays_as_it_is(group: str) -> None:
    assert message_group_id(group) == group


@pytest.mark.parametrize("group", ["", "two words", "prüfen", "a" * 129, "é" * 500, "tab\t"])
def test_any_other_group_becomes_one_that_sqs_takes(group: str) -> None:
    changed = message_group_id(group)
    assert changed == message_group_id(group)
    assert 1 <= len(changed) <= 128
    assert changed.isascii()
    assert changed.isprintable()
    assert " " not in changed


def test_groups_that_differ_stay_different() -> None:
    groups = ["a b", "a_b", "a\tb", "a" * 129, "a" * 130]
    assert len({message_group_id(group) for group in groups}) == len(groups)


def test_failed_entries_of_a_batch_are_sent_again_and_only_those(runner: asyncio.Runner) -> None:
    busy = {"Id": "1", "Code": "InternalError", "Message": "busy", "SenderFault": False}
    client, pauses = Scripted({"Failed": [busy]}, {"Failed": [busy]}, {}), CountedPauses()
    runner.run(SqsQueue(client, URL, pauses).send(sends(3)))
    asked = [[entry["Id"] for entry in parameters["Entries"]] for _, parameters in client.calls]
    assert asked == [["0", "1", "2"], ["1"], ["1"]]
    assert pauses.waited == [0.05, 0.1]


def test_an_entry_that_keeps_failing_is_an_error_of_its_sender_alone(
    runner: asyncio.Runner,
) -> None:
    def busy(Entries: list[dict[str, Any]], QueueUrl: str) -> dict[str, Any]:  # noqa: N803
        failed = [entry["Id"] for entry in Entries if entry["MessageBody"] == "bad"]
        return {"Failed": [{"Id": id, "Code": "InternalError", "Message": "busy"} for id in failed]}

    queue = SqsQueue(Scripted(*[busy] * 3), URL, CountedPauses(tries=2))

    async def both() -> tuple[BaseException | None, BaseException | None]:
        good, bad = queue.send([Send("good", "flow")]), queue.send([Send("bad", "flow")])
        return await asyncio.gather(good, bad, return_exceptions=True)

    good, bad = runner.run(both())
    assert good is None
    assert isinstance(bad, StoreUnusable)
    assert "busy" in str(bad)


def test_an_entry_that_can_never_succeed_is_not_repeated(runner: asyncio.Runner) -> None:
    denied = {"Id": "0", "Code": "AccessDenied", "Message": "no", "SenderFault": True}
    client = Scripted({"Failed": [denied]})
    with pytest.raises(Misconfigured, match=r"sqs:SendMessage$"):
        runner.run(SqsQueue(client, URL, CountedPauses()).send(sends(2)))


# -- sharing requests ---------------------------------------------------------------------------


def test_concurrent_steps_share_their_requests(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)

    async def steps(work: list[Any]) -> None:
        await asyncio.gather(*work)

    runner.run(steps([queue.send([send]) for send in sends(20)]))
    assert entry_counts(recorder) == [10, 10]
    deliveries = runner.run(queue.receive(20, 1))
    assert len(deliveries) == 20
    recorder.calls.clear()
    runner.run(steps([queue.acknowledge(delivery) for delivery in deliveries]))
    assert recorder.operations == ["delete_message_batch"] * 2


def test_a_send_returns_only_after_its_own_request(runner: asyncio.Runner) -> None:
    answered = asyncio.Event()

    class Slow(Recorder):
        async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
            await answered.wait()
            return {}

    async def watch() -> None:
        sending = asyncio.ensure_future(SqsQueue(Slow(), URL).send(sends(1)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not sending.done()
        answered.set()
        await sending

    runner.run(watch())


def test_entries_gather_only_while_all_lanes_are_busy(runner: asyncio.Runner) -> None:
    answered = asyncio.Event()
    sizes: list[int] = []

    class Slow(Recorder):
        async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
            sizes.append(len(parameters.get("Entries", [0])))
            await answered.wait()
            return {}

    async def crowd() -> None:
        queue = SqsQueue(Slow(), URL)
        sending = []
        for send in sends(30):
            sending.append(asyncio.ensure_future(queue.send([send])))
            for _ in range(5):
                await asyncio.sleep(0)
        answered.set()
        await asyncio.gather(*sending)

    runner.run(crowd())
    assert sizes == [1] * 8 + [10, 10, 2]


def test_a_cancelled_sender_neither_sends_nor_stops_the_others(runner: asyncio.Runner) -> None:
    answered = asyncio.Event()
    bodies: list[str] = []

    class Slow(Recorder):
        async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
            entries = parameters.get("Entries", [parameters])
            bodies.extend(entry["MessageBody"] for entry in entries)
            await answered.wait()
            return {}

    async def cancel_one() -> None:
        queue = SqsQueue(Slow(), URL)
        sending = [asyncio.ensure_future(queue.send([send])) for send in sends(8 * 10 + 2)]
        for _ in range(5):
            await asyncio.sleep(0)
        sending[0].cancel()
        sending[-1].cancel()
        answered.set()
        fates = await asyncio.gather(*sending, return_exceptions=True)
        assert [isinstance(fate, asyncio.CancelledError) for fate in fates].count(True) == 2

    runner.run(cancel_one())
    assert bodies == [send.body for send in sends(81)]


def test_a_queue_works_on_one_event_loop_after_another(
    clients: ThreadedClients, runner: asyncio.Runner, queue: SqsQueue
) -> None:

    async def cut_off() -> None:
        async with asyncio.timeout(0):
            await queue.send(sends(200))

    for _ in range(10):
        asyncio.run(queue.send(sends(12)))
        with pytest.raises(TimeoutError):
            asyncio.run(cut_off())
    asyncio.run(queue.send(sends(12)))


# -- receiving ----------------------------------------------------------------------------------


def test_a_delivery_counts_its_receives(runner: asyncio.Runner, queue: SqsQueue) -> None:
    runner.run(queue.send(sends(1)))
    for receives in (1, 2, 3):
        (delivery,) = runner.run(queue.receive(10, 1))
        assert delivery.receives == receives
        runner.run(queue.release(delivery, 0))


def test_a_released_delivery_stays_away_for_its_delay(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)
    runner.run(queue.send(sends(1)))
    (delivery,) = runner.run(queue.receive(10, 1))
    runner.run(queue.release(delivery, 300))
    assert runner.run(queue.receive(10, 0)) == []
    assert recorder.calls[-2][1]["VisibilityTimeout"] == 300


def test_receiving_asks_for_more_only_when_the_first_ten_came(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    queue, recorder = recording(clients, queue_url)
    runner.run(queue.send(sends(35)))
    recorder.calls.clear()
    assert len(runner.run(queue.receive(3, 7.2))) == 3
    assert len(runner.run(queue.receive(30, 60))) == 30
    assert len(runner.run(queue.receive(30, 0))) == 2
    asked = [
        (parameters["MaxNumberOfMessages"], parameters["WaitTimeSeconds"])
        for _, parameters in recorder.calls
    ]
    assert asked == [(3, 8), (10, 20), (10, 0), (10, 0), (10, 0)]


def test_deliveries_in_hand_survive_a_failing_request_for_more(runner: asyncio.Runner) -> None:
    message = {
        "Body": "a",
        "ReceiptHandle": "r",
        "Attributes": {"ApproximateReceiveCount": "1"},
    }
    client = Scripted({"Messages": [message] * 10}, StoreUnusable("gone"), {"Messages": [message]})
    assert len(runner.run(SqsQueue(client, URL).receive(30, 0))) == 11


def test_deliveries_in_hand_do_not_wait_for_a_slow_request_for_more(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs_source, "MORE_WITHIN_S", 0.01)
    message = {
        "Body": "a",
        "ReceiptHandle": "r",
        "Attributes": {"ApproximateReceiveCount": "1"},
    }

    class Slow(Recorder):
        async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
            self.calls.append((operation, parameters))
            if len(self.calls) == 2:
                await asyncio.Event().wait()
            return {"Messages": [message] * 10}

    slow = Slow()
    assert len(runner.run(SqsQueue(slow, URL).receive(30, 0))) == 20
    assert len(slow.calls) == 3


def test_a_receiver_may_ask_for_more_time_than_the_queue_gives(
    runner: asyncio.Runner, clients: ThreadedClients, queue_url: str
) -> None:
    recorder = Recorder(clients.client("sqs"))
    runner.run(SqsQueue(recorder, queue_url).receive(1, 0))
    runner.run(SqsQueue(recorder, queue_url, visibility_s=360).receive(1, 0))
    asked = [parameters.get("VisibilityTimeout") for _, parameters in recorder.calls]
    assert asked == [None, 360]


def wrong(body: str, url: str) -> Delivery:
    return Delivery(body, Receipt(url, f"never a receipt of {body}"))


def test_acknowledging_what_is_acknowledged_or_was_never_is_no_error(
    runner: asyncio.Runner, queue: SqsQueue, queue_url: str
) -> None:
    runner.run(queue.send(sends(2)))
    deliveries = runner.run(queue.receive(10, 1))
    for delivery in [*deliveries, deliveries[0], wrong("a", queue_url)]:
        runner.run(queue.acknowledge(delivery))
    runner.run(queue.release(deliveries[0], 5))

    async def together() -> None:
        await asyncio.gather(*(queue.acknowledge(wrong(body, queue_url)) for body in "ab"))

    runner.run(together())


# -- two queues, and how much waits -------------------------------------------------------------


def test_what_comes_from_another_queue_is_acknowledged_and_released_there(
    runner: asyncio.Runner, clients: ThreadedClients, queue: SqsQueue, queue_url: str
) -> None:
    sqs = clients.client("sqs")
    dead_url = runner.run(sqs.call("create_queue", QueueName="dead"))["QueueUrl"]
    dead = SqsQueue(sqs, dead_url)
    runner.run(queue.send(sends(2)))
    runner.run(dead.send(sends(3)))
    dead_letters = SqsSource(sqs, dead_url)
    first, *others = runner.run(dead_letters.receive(10, 1))
    runner.run(queue.release(first, 0))
    assert runner.run(dead.backlog()) == 1

    async def together() -> None:
        steps = await queue.receive(10, 1)
        assert len(steps) == 2
        await asyncio.gather(*(queue.acknowledge(each) for each in [*steps, *others]))

    runner.run(together())
    (again,) = runner.run(dead_letters.receive(10, 1))
    assert (again.body, again.receives) == (first.body, 2)
    runner.run(queue.acknowledge(again))
    assert runner.run(left_in(sqs, queue_url)) == runner.run(left_in(sqs, dead_url)) == 0


async def left_in(sqs: ThreadedClient, url: str) -> int:
    """Received or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = await sqs.call("get_queue_attributes", QueueUrl=url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def test_the_backlog_is_sqs_own_number_in_one_request(runner: asyncio.Runner) -> None:
    client = Scripted({"Attributes": {"ApproximateNumberOfMessages": "12345"}})
    assert runner.run(SqsQueue(client, URL).backlog()) == 12345
    ((operation, parameters),) = client.calls
    assert (operation, parameters["QueueUrl"]) == ("get_queue_attributes", URL)
