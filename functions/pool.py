"""A pool's request -> the runner that it brings forth, held for as long as that lives.

Invoked asynchronously, once for each request (`infra.aws.starters`); Lambda must not repeat it. The
event holds names alone: address and headers are the pool's, and are read here.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from functions.application import in_init_phase, platform
from infra.aws.client import WEBSOCKET_URL
from infra.aws.holders import RESERVE_S, Holder

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)


class PoolRequest(msgspec.Struct, frozen=True):
    tenant: str
    pool: str
    request: str


@cache
def holder() -> Holder:
    token = os.environ.get("TIDESTEP_RUNNER_TOKEN", "").strip()
    return Holder(platform(), os.environ[WEBSOCKET_URL].strip(), token)


in_init_phase(holder)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Answers in a word what was done, for the log: nobody waits for it."""
    asked = msgspec.convert(event, PoolRequest)
    seconds = max(0.0, context.get_remaining_time_in_millis() / 1000 - RESERVE_S)
    done = asyncio.run(holder().hold(asked.tenant, asked.pool, asked.request, seconds))
    logger.info(done, pool=asked.pool, request=asked.request)
    metrics.add_metric(done.title().replace(" ", ""), MetricUnit.Count, 1)
    return {"done": done}
