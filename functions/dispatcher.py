"""Step queue -> one step for each message (`engine.dispatcher`)."""

from __future__ import annotations

import logging
import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from functions.application import dispatcher
from functions.deliveries import handle_batch

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    dispatcher()  # while the init phase has a whole processor


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answers with the message ids that SQS must deliver again."""
    return handle_batch(dispatcher(), event, context, logger, metrics)
