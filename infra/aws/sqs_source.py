"""Where deliveries on AWS come from: one SQS queue, polled by a process that lives long.

What must stay true
- A receipt names its queue, because it is worth something there only: what came from the
  dead-letter queue is acknowledged and released there, whoever is asked to.
- A receipt that is no longer valid belongs to a message that is delivered again or gone: there is
  nothing to release, and that is no error.
- Deliveries in hand do not wait for more of them than `MORE_WITHIN_S`: their time is running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import ceil

import msgspec

from engine.ports import Delivery
from infra.aws.client import LONG_POLL_S, AwsClient
from infra.aws.failures import Gone

LONGEST_VISIBILITY_S = 12 * 60 * 60
RECEIVE_BATCH = 10
MORE_RECEIVES = 4
"""Further requests at once, when the first has shown that the queue is not empty."""
MORE_WITHIN_S = 5.0


class Receipt(msgspec.Struct, frozen=True):
    """`Delivery.receipt` of what was received here."""

    queue_url: str
    handle: str


class SqsSource:
    """Implements `engine.ports.Source`.

    A delivery is the receiver's for `visibility_s` seconds; for as long as the queue says, where
    that is None.
    """

    def __init__(self, client: AwsClient, url: str, visibility_s: int | None = None) -> None:
        self._client = client
        self._url = url
        self._visibility = {} if visibility_s is None else {"VisibilityTimeout": visibility_s}

    async def receive(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Waits whole seconds, at most 20. SQS looks at all of its servers only if it may wait."""
        first = await self._receive(min(limit, RECEIVE_BATCH), min(LONG_POLL_S, ceil(wait_s)))
        more = min(MORE_RECEIVES, (limit - len(first)) // RECEIVE_BATCH)
        if len(first) < RECEIVE_BATCH or more < 1:
            return first
        return [*first, *await self._receive_more(more)]

    async def release(self, delivery: Delivery, delay_s: int) -> None:
        receipt: Receipt = delivery.receipt
        with suppress(Gone):
            await self._client.call(
                "change_message_visibility",
                QueueUrl=receipt.queue_url,
                ReceiptHandle=receipt.handle,
                VisibilityTimeout=min(delay_s, LONGEST_VISIBILITY_S),
            )

    async def _receive_more(self, requests: int) -> list[Delivery]:
        tasks = [asyncio.create_task(self._receive(RECEIVE_BATCH, 0)) for _ in range(requests)]
        try:
            done, _ = await asyncio.wait(tasks, timeout=MORE_WITHIN_S)
        finally:
            for task in tasks:
                task.cancel()  # what a late one finds is delivered again after its time
        # what failed is told by the next call: the deliveries in hand must not be lost with it
        return [
            delivery
            for task in tasks
            if task in done and not task.exception()
            for delivery in task.result()
        ]

    async def _receive(self, limit: int, wait_s: int) -> list[Delivery]:
        answer = await self._client.call(
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            **self._visibility,
        )
        return [
            Delivery(
                message["Body"],
                Receipt(self._url, message["ReceiptHandle"]),
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in answer.get("Messages", ())
        ]
