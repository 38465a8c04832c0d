"""The queue: one standard SQS queue, at least once and in any order (DESIGN §4 rules 4 to 6).

What must stay true
- When `send` or `acknowledge` returns, SQS has said yes to every entry; a batch request answers 200
  although some of its entries failed, so each is looked at.
- Concurrent steps share requests (`infra.aws.batching`); SQS bills requests, ten entries or one.
- Acknowledging goes to the queue that the receipt names (`infra.aws.sqs_source`): the dead-letter
  queue's deliveries are acknowledged through the journal too. A receipt that is no longer valid
  leaves nothing to acknowledge, and that is no error.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from engine.errors import TooLarge
from engine.ports import Delivery, Send
from infra.aws.batching import BYTES, Batching
from infra.aws.client import AwsClient
from infra.aws.failures import Gone, entry_failure
from infra.aws.pauses import Pauses
from infra.aws.sqs_source import Receipt, SqsSource

LONGEST_DELAY_S = 900

_VISIBLE = "ApproximateNumberOfMessages"
"""Neither delayed nor received."""
_GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
_NOT_IN_GROUP = re.compile(r"[^A-Za-z0-9!-/:-@\[-`{-~]")

_Request = dict[str, Any]
"""The parameters of one entry, without the queue's address."""
_Fates = Sequence[Exception | None]


class SqsQueue(SqsSource):
    """Implements `engine.ports.Queue`, and `engine.ports.Source` for the same queue."""

    def __init__(
        self,
        client: AwsClient,
        url: str,
        pauses: Pauses | None = None,
        visibility_s: int | None = None,
    ) -> None:
        super().__init__(client, url, visibility_s)
        self._pauses = pauses or Pauses()
        self._sends = Batching(partial(self._send_batch, url))
        self._deletes: dict[str, Batching[_Request]] = {}
        """By queue: one request names one."""

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
        receipt: Receipt = delivery.receipt
        url = receipt.queue_url
        if url not in self._deletes:
            self._deletes[url] = Batching(partial(self._delete_batch, url))
        await self._deletes[url].do({"ReceiptHandle": receipt.handle})

    async def backlog(self) -> int:
        """SQS's own estimate, which may be a minute old."""
        answer = await self._client.call(
            "get_queue_attributes", QueueUrl=self._url, AttributeNames=[_VISIBLE]
        )
        return int(answer["Attributes"][_VISIBLE])

    async def _send_batch(self, url: str, requests: Sequence[_Request]) -> _Fates:
        if len(requests) > 1:
            return await self._batch("send_message_batch", url, requests)
        await self._client.call("send_message", QueueUrl=url, **requests[0])
        return [None]

    async def _delete_batch(self, url: str, requests: Sequence[_Request]) -> _Fates:
        handles = list(dict.fromkeys(request["ReceiptHandle"] for request in requests))
        if len(handles) > 1:
            fates = await self._batch(
                "delete_message_batch", url, [{"ReceiptHandle": handle} for handle in handles]
            )
            fate_of = dict(zip(handles, fates, strict=True))
            each = [fate_of[request["ReceiptHandle"]] for request in requests]
            return [None if isinstance(fate, Gone) else fate for fate in each]
        with suppress(Gone):
            await self._client.call("delete_message", QueueUrl=url, ReceiptHandle=handles[0])
        return [None] * len(requests)

    async def _batch(self, operation: str, url: str, requests: Sequence[_Request]) -> _Fates:
        """One request, and more for the entries that failed and may succeed; each one's fate."""
        fates: list[Exception | None] = [None] * len(requests)
        left = list(range(len(requests)))
        failed = 0
        while left:
            entries = [{"Id": str(number), **requests[number]} for number in left]
            answer = await self._client.call(operation, QueueUrl=url, Entries=entries)
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
