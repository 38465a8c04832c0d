"""HTTP -> an actor, woken where it sleeps, and its answer (`engine.allocation.gateway`).

One absolute deadline, below the 29 s of this function's own time-out: who has to wait longer for an
actor is told to come again, and the wake goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from functions.application import in_init_phase
from functions.serving import gateway
from infra.aws.http_events import answer_of, request_of

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)

in_init_phase(gateway)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers for the actor, or with an error of ours, which `x-tidestep-error` names."""
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    request = request_of(event)
    response = asyncio.run(
        gateway().handle(request.method, request.path, request.query, request.headers, request.body)
    )
    logger.info("answered", method=request.method, path=request.path, status=response.status)
    metrics.add_metric(f"Status{response.status}", MetricUnit.Count, 1)
    return answer_of(response)
