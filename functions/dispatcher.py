"""SQS -> one actor step per record. Records that fail come again, the others do not."""

from __future__ import annotations

import logging
import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from engine.errors import TidestepError
from engine.ports import Delivery
from functions.application import dispatcher, platform

RESERVE_MS = 1500
"""Kept back of an invocation's time, so that an attempt that is cut off can still be settled."""

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    dispatcher()  # while the init phase has a whole processor


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answers with the message ids that SQS must deliver again."""
    deadline = platform().clock.now() + context.get_remaining_time_in_millis() - RESERVE_MS

    async def step(record: SQSRecord) -> None:
        delivery = Delivery(record.body, None, int(record.attributes.approximate_receive_count))
        try:
            handled = await dispatcher().handle(delivery, deadline)
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
    return async_process_partial_response(event, step, processor, context)
