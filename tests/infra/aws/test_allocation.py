"""The ports of allocation on AWS, as an environment sets them up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from engine.allocation.config import PoolConfig
from engine.errors import Misconfigured
from engine.layout import RunKey
from infra.aws.allocation import SETTINGS, allocation_from
from infra.aws.failures import Gone
from infra.aws.starters import LambdaStarters
from tests.infra.aws.answers import answer, convert
from tests.infra.aws.stubs import Recorder

KEY = RunKey("default", "a", "actor")


async def refuse(service: str) -> Recorder:
    raise AssertionError(f"{service} was opened")


def test_nothing_is_opened_before_it_is_used(runner: asyncio.Runner) -> None:
    allocation = allocation_from({}, refuse)
    with pytest.raises(AssertionError, match="apigatewaymanagementapi was opened"):
        runner.run(allocation.sockets.post("a", "b"))


def test_pings_are_rarer_than_where_they_cost_nothing_and_the_environment_decides() -> None:
    allocation = allocation_from({"TIDESTEP_ALLOCATION_PING_SECONDS": "20"}, refuse)
    assert allocation.settings.ping_ms == 20_000
    assert (SETTINGS.ping_ms, SETTINGS.eligible_ms, SETTINGS.lost_ms) == (15_000, 45_000, 60_000)


def test_a_request_to_hold_is_an_invocation_that_nobody_waits_for(runner: asyncio.Runner) -> None:
    client = Recorder()

    async def opened() -> Recorder:
        return client

    config = PoolConfig(url="https://x", headers={"authorization": "secret"})
    runner.run(LambdaStarters(opened, "pool").begin("default", "p", "q1", config))
    ((operation, parameters),) = client.calls
    assert (operation, parameters["InvocationType"]) == ("invoke", "Event")
    assert json.loads(parameters["Payload"]) == {"tenant": "default", "pool": "p", "request": "q1"}
    assert parameters["FunctionName"] == "pool"


def test_without_a_function_pools_say_what_is_missing(runner: asyncio.Runner) -> None:
    starters = allocation_from({}, refuse).starters
    with pytest.raises(Misconfigured, match="TIDESTEP_POOL_FUNCTION"):
        runner.run(starters.begin("default", "p", "q1", PoolConfig(url="https://x")))


def test_a_function_that_does_not_exist_is_named() -> None:
    error = convert(answer("ResourceNotFoundException"), "lambda", FunctionName="pool")
    assert isinstance(error, Misconfigured)
    assert "TIDESTEP_POOL_FUNCTION" in str(error)
    assert not isinstance(convert(answer("TooManyRequestsException"), "lambda"), Gone)


def test_who_waits_for_news_waits_for_his_time(runner: asyncio.Runner) -> None:
    async def scenario() -> float:
        news = allocation_from({}, refuse).news
        loop = asyncio.get_running_loop()
        began = loop.time()
        with news.watching(KEY) as watch:
            watch.clear()
            news.changed(KEY)
            await watch.wait(0.05)
        return loop.time() - began

    assert 0.04 <= runner.run(scenario()) < 2


def test_a_process_without_stateful_actors_imports_nothing_of_them() -> None:
    program = (
        "import os, sys\n"
        "os.environ.update(TIDESTEP_TABLE='t', TIDESTEP_QUEUE_URL='https://q', TIDESTEP_BUCKET='b',"
        " AWS_DEFAULT_REGION='eu-west-1', POWERTOOLS_METRICS_NAMESPACE='n')\n"
        "import functions.dispatcher\n"
        "functions.dispatcher.dispatcher()\n"
        "print([name for name in sys.modules if name.startswith('engine.allocation')"
        " or name in ('httpx', 'infra.aws.allocation', 'engine.stateful')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
