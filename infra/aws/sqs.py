"""The queue: one standard SQS queue, at least once and in any order (DESIGN §4 rules 4 to 6).

What must stay true
- When `send` or `acknowledge` returns, SQS has said yes to every entry; a batch request answers 200
  although some of its entries failed, so each is looked at.
- Concurrent steps share requests (`infra.aws.batching`); SQS bills requests, ten entries or one.
- A receipt that is no longer valid belongs to a message that is delivered again or gone: there is
  nothing to acknowledge or release, and that is no error.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from math import ceil
from typing import Any

from engine.errors import TooLarge
from engine.ports import Delivery, Send
from infra.aws.batching import BYTES, Batching
from infra.aws.client import LONG_POLL_S, AwsClient
from infra.aws.failures import Gone, entry_failure
from infra.aws.pauses import Pauses

LONGEST_DELAY_S = 900
LONGEST_VISIBILITY_S = 12 * 60 * 60
RECEIVE_BATCH = 10
MORE_RECEIVES = 4
"""Further requests at once, when the first has shown that the queue is not empty."""

_GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
_NOT_IN_GROUP = re.compile(r"[^A-Za-z0-9!-/:-@\[-`{-~]")

_Request = dict[str, Any]
"""The parameters of one entry, without the queue's address."""


class SqsQueue:
    """Implements `engine.ports.Queue` and `engine.ports.Source`."""

    def __init__(self, client: AwsClient, url: str, pauses: Pauses | None = None) -> None:
        self._client = client
        self._url = url
        self._pauses = pauses or Pauses()
        self._sends = Batching(self._send_batch)
        self._deletes = Batching(self._delete_batch)

    async def send(self, sends: Sequence[Send]) -> None:
        """Raises TooLarge, before anything is sent, for a text of more than 1 MiB."""
        sizes = [_checked_size(send) for send in sends]
        fates = await asyncio.gather(
            *(
                self._sends.do(_send_request(send), size)
                for send, size in zip(sends, sizes, strict=True)
            ),
            return_exceptions=True,
        )
        _raise_first(fates)

    async def acknowledge(self, delivery: Delivery) -> None:
        await self._deletes.do({"ReceiptHandle": delivery.receipt})

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Waits whole seconds, at most 20. SQS looks at all of its servers only if it may wait."""
        first = await self._receive(min(limit, RECEIVE_BATCH), min(LONG_POLL_S, ceil(wait_s)))
        more = min(MORE_RECEIVES, (limit - len(first)) // RECEIVE_BATCH)
        if len(first) < RECEIVE_BATCH or more < 1:
            return first
        others = await asyncio.gather(
            *(self._receive(RECEIVE_BATCH, 0) for _ in range(more)), return_exceptions=True
        )
        # what failed is told by the next call: the deliveries in hand must not be lost with it
        return [*first, *(each for found in others if isinstance(found, list) for each in found)]

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        with suppress(Gone):
            await self._client.call(
                "change_message_visibility",
                QueueUrl=self._url,
                ReceiptHandle=delivery.receipt,
                VisibilityTimeout=min(delay_s, LONGEST_VISIBILITY_S),
            )

    async def _receive(self, limit: int, wait_s: int) -> list[Delivery]:
        answer = await self._client.call(
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [
            Delivery(
                message["Body"],
                message["ReceiptHandle"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in answer.get("Messages", ())
        ]

    async def _send_batch(self, requests: Sequence[_Request]) -> Sequence[Exception | None]:
        if len(requests) > 1:
            return await self._batch("send_message_batch", requests)
        await self._client.call("send_message", QueueUrl=self._url, **requests[0])
        return [None]

    async def _delete_batch(self, requests: Sequence[_Request]) -> Sequence[Exception | None]:
        if len(requests) > 1:
            fates = await self._batch("delete_message_batch", requests)
            return [None if isinstance(fate, Gone) else fate for fate in fates]
        with suppress(Gone):
            await self._client.call("delete_message", QueueUrl=self._url, **requests[0])
        return [None]

    async def _batch(
        self, operation: str, requests: Sequence[_Request]
    ) -> Sequence[Exception | None]:
        """One request, and more for the entries that failed and may succeed; each one's fate."""
        fates: list[Exception | None] = [None] * len(requests)
        left = list(range(len(requests)))
        failed = 0
        while left:
            entries = [{"Id": str(number), **requests[number]} for number in left]
            answer = await self._client.call(operation, QueueUrl=self._url, Entries=entries)
            failures = {int(failure["Id"]): failure for failure in answer.get("Failed", ())}
            for number in left:
                fates[number] = _fate(operation, failures.get(number))
            again = [number for number, each in failures.items() if not each.get("SenderFault")]
            failed += 1
            left = again if again and await self._pauses.before_retry(failed) else []
        return fates


def message_group_id(group: str) -> str:
    """The group as SQS takes it: 1 to 128 letters, digits and punctuation, ASCII only.

    Groups that differ stay different: what must be changed gets a hash of the original.
    """
    return group if _GROUP.fullmatch(group) else _hashed_group(group)


@lru_cache(maxsize=1024)
def _hashed_group(group: str) -> str:
    digest = hashlib.sha256(group.encode()).hexdigest()[:12]
    return f"{_NOT_IN_GROUP.sub('_', group)[:115]}-{digest}"


def _send_request(send: Send) -> _Request:
    request: _Request = {
        "MessageBody": send.body,
        "MessageGroupId": message_group_id(send.group),
    }
    if send.delay_ms > 0:
        # more than SQS can carry comes early, and is deferred then (rule 8)
        request["DelaySeconds"] = min(-(-send.delay_ms // 1000), LONGEST_DELAY_S)
    return request


def _checked_size(send: Send) -> int:
    size = len(send.body.encode())
    if size > BYTES:
        raise TooLarge(f"a message has {size:,} bytes; SQS takes at most {BYTES:,} (1 MiB)")
    return size


def _fate(operation: str, failure: dict[str, Any] | None) -> Exception | None:
    if failure is None:
        return None
    name = "".join(part.capitalize() for part in operation.split("_"))
    return entry_failure("sqs", name, failure.get("Code", ""), failure.get("Message", ""))


def _raise_first(fates: Sequence[BaseException | None]) -> None:
    for fate in fates:
        if fate is not None:
            raise fate
