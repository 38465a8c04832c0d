"""HTTP -> answer a wait. The route is open to the world: the token in the path is the authority."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit

from engine.callback_http import CallbackApi, HttpAnswer, error_answer
from functions.application import callbacks, in_init_phase, platform
from infra.aws.event_body import body_of

logger = Logger()
metrics = Metrics()
app = APIGatewayHttpResolver()

METHODS = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""All of them come to the same door, which says what is allowed."""


@cache
def api() -> CallbackApi:
    return CallbackApi(platform(), callbacks().keys)


in_init_phase(api)


@app.route("/callbacks/<token>", method=METHODS)
def callback(token: str) -> Response[str]:
    event = app.current_event
    answer = asyncio.run(api().handle(event.http_method, token, body_of(event.raw_event)))
    logger.info("callback", method=event.http_method, status=answer.status)  # never the token
    metrics.add_metric(f"Status{answer.status}", MetricUnit.Count, 1)
    return _response(answer)


@app.not_found
def nothing(error: Exception) -> Response[str]:
    return _response(error_answer(404, "NotFound", "nothing is served at this address"))


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    answer: dict[str, Any] = app.resolve(event, context)
    return answer


def _response(answer: HttpAnswer) -> Response[str]:
    headers = {name: value for name, value in answer.headers.items() if name != "content-type"}
    return Response(answer.status, answer.headers["content-type"], answer.body.decode(), headers)
