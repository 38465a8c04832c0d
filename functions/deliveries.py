"""A batch of queue messages -> one delivery each, handled side by side.

What must stay true
- A record that raises or overruns does not touch the others: it alone is reported as failed, and
  SQS delivers it again. What has been committed when a process dies is not run again.
- A deferral acknowledges; only what raises counts as received once more (DESIGN §4 rule 4).
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from engine.errors import TidestepError
from engine.ports import Delivery
from engine.receiving import Receiver
from functions.application import platform

RESERVE_MS = 1500
"""Kept back of an invocation's time, so that an attempt that is cut off can still be settled."""


def handle_batch(
    receiver: Receiver, event: dict[str, Any], context: Any, logger: Logger, metrics: Metrics
) -> Any:
    """Answers with the message ids that SQS must deliver again."""
    metrics.add_metric("Deliveries", MetricUnit.Count, len(event["Records"]))
    deadline = platform().clock.now() + context.get_remaining_time_in_millis() - RESERVE_MS

    async def handle(record: SQSRecord) -> None:
        delivery = Delivery(record.body, None, int(record.attributes.approximate_receive_count))
        try:
            handled = await receiver.handle(delivery, deadline)
        except Exception as error:
            known = isinstance(error, TidestepError)
            logger.error("delivery failed", exc_info=not known, message_id=record.message_id)
            metrics.add_metric("Failed", MetricUnit.Count, 1)
            raise
        logger.info(
            handled.what,
            run=handled.run,
            node=handled.node,
            visit=handled.visit,
            attempt=handled.attempt,
            status=handled.status,
        )
        name = handled.what.title().replace(" ", "")
        metrics.add_metric(name, MetricUnit.Count, 1)
        metrics.add_metric("Conflicts", MetricUnit.Count, handled.conflicts)

    processor = AsyncBatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return async_process_partial_response(event, handle, processor, context)
