"""WebSocket API -> frames of runners, messages of users (`engine.allocation.detached`).

A connection is a runner's, which says so in its first frame; or, where its address names an actor
(`?actor=room/lobby`), a user's. Nothing is sent to a connection from here before it is accepted.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

from engine.allocation.detached import Detached
from engine.allocation.gateway import parse_address, passed_on, refusal
from engine.errors import TidestepError
from functions.application import in_init_phase, platform
from functions.serving import gateway, ports, replies
from infra.aws.socket_events import SocketEvent, socket_event

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tidestep"}, log_level=logging.INFO)


@cache
def detached() -> Detached:
    ports()
    token = os.environ.get("TIDESTEP_RUNNER_TOKEN", "").strip()
    return Detached(platform(), replies(), replies(), token)


in_init_phase(detached)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers with a status; of one that is not 200, API Gateway refuses to connect."""
    came = socket_event(event)
    metrics.add_metric(came.kind.title(), MetricUnit.Count, 1)
    try:
        asyncio.run(_handle(came))
    except TidestepError as error:
        logger.error("refused", kind=came.kind, connection=came.connection, detail=str(error))
        return {"statusCode": refusal(error).status}
    return {"statusCode": 200}


async def _handle(came: SocketEvent) -> None:
    if came.kind == "MESSAGE":
        await detached().frame(came.connection, came.message)
    elif came.kind == "DISCONNECT":
        await detached().closed(came.connection, came.code, came.reason)
    elif came.path:
        address = parse_address(came.path)
        path = f"{address.path}?{came.query}" if came.query else address.path
        actor = await gateway().actor(address)
        await detached().open(came.connection, actor, path, passed_on(came.headers))
