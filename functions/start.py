"""HTTP -> start a run, read a run. The workflows are those that TIDESTEP_WORKFLOWS lists."""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.metrics import MetricUnit

from engine.documents import Workflows, load_workflows
from engine.errors import CallerError, TidestepError
from engine.layout import run_key
from engine.reading import RunReader
from engine.starting import Starter
from functions.application import actors, in_init_phase, platform, settings
from infra.aws.deployed import workflow_files

logger = Logger()
metrics = Metrics()
app = APIGatewayHttpResolver()


@cache
def workflows() -> Workflows:
    """The deployed ones. Raises Misconfigured."""
    files = workflow_files(settings().workflows, ["", *sys.path])
    loaded = load_workflows(files, actors(), platform().limits)
    for each in loaded.broken:
        logger.error("a workflow cannot run", file=each.file, problems=[*map(str, each.problems)])
    return loaded


@cache
def starter() -> Starter:
    return Starter(platform())


in_init_phase(workflows, starter)


class StartRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a start; the same `id` with the same input is the same run."""

    input: Any = {}
    id: str | None = None


@app.post("/workflows/<workflow>/runs")
def start_run(workflow: str) -> Response[str]:
    definition = workflows().named(workflow)
    try:
        request = msgspec.json.decode(app.current_event.decoded_body or b"{}", type=StartRequest)
    except msgspec.MsgspecError as error:
        raise CallerError(
            f'the body must be JSON like {{"input": {{...}}, "id": "order-7"}}: {error}'
        ) from error
    started = asyncio.run(starter().start(definition, request.input, request.id))
    metrics.add_metric("Started", MetricUnit.Count, int(started.created))
    answer = {"run": started.key.run, "status": started.status, "created": started.created}
    return _json(HTTPStatus.CREATED if started.created else HTTPStatus.OK, answer)


@app.get("/runs/<run>")
def read_run(run: str) -> Response[str]:
    return _json(HTTPStatus.OK, asyncio.run(RunReader(platform()).view(run_key(run))))


@app.exception_handler(TidestepError)  # type: ignore[untyped-decorator]
def refuse(error: TidestepError) -> Response[str]:
    logger.info("refused", error=type(error).__name__, detail=str(error))
    answer = {"error": {"type": type(error).__name__, "message": str(error)}}
    return _json(error.http_status, answer)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    answer: dict[str, Any] = app.resolve(event, context)
    return answer


def _json(status: int, answer: Any) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, msgspec.json.encode(answer).decode())
