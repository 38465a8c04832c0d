"""Step queue -> one step for each message (`engine.dispatcher`)."""

from __future__ import annotations

import logging
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from functions.application import dispatcher, in_init_phase
from functions.deliveries import handle_batch

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)

in_init_phase(dispatcher)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answers with the message ids that SQS must deliver again."""
    return handle_batch(dispatcher(), event, context, logger, metrics)
