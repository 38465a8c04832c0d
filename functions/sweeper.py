"""Schedule, each minute -> look after the runs whose time has come."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from engine.sweeper import sweep
from functions.application import platform

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Answers how many runs were looked at and how many messages were sent."""
    swept = asyncio.run(sweep(platform()))
    metrics.add_metric("Swept", MetricUnit.Count, swept.looked_at)
    metrics.add_metric("Resent", MetricUnit.Count, swept.sent)
    logger.info("swept", looked_at=swept.looked_at, sent=swept.sent)
    return {"looked_at": swept.looked_at, "sent": swept.sent}
