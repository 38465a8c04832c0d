"""Dead-letter queue -> bring to an end what could not be delivered (`engine.dead_letters`)."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from engine.dead_letters import DeadLetters
from functions.application import actors, in_init_phase, platform
from functions.deliveries import handle_batch

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)


@cache
def dead_letters() -> DeadLetters:
    return DeadLetters(platform(), actors())


in_init_phase(dead_letters)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answers with the message ids that stay dead letters for now."""
    return handle_batch(dead_letters(), event, context, logger, metrics)
