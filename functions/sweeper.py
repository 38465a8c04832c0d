"""Schedule, each minute -> look after the runs whose time has come."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from engine.sweeper import sweep
from functions.application import in_init_phase, platform

RESERVE_MS = 10_000
"""Kept back of an invocation's time for the runs that are being looked at."""

logger = Logger()
metrics = Metrics()
in_init_phase(platform)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Answers how many runs were looked at and how many messages were sent."""
    until = platform().clock.now() + context.get_remaining_time_in_millis() - RESERVE_MS
    swept = asyncio.run(sweep(platform(), until=until))
    if swept.looked_at:  # a metric that is written each minute costs more than the sweeper itself
        metrics.add_metric("Swept", MetricUnit.Count, swept.looked_at)
        metrics.add_metric("Resent", MetricUnit.Count, swept.sent)
        metrics.flush_metrics()
    logger.info("swept", looked_at=swept.looked_at, sent=swept.sent, behind=swept.behind)
    return {"looked_at": swept.looked_at, "sent": swept.sent}
