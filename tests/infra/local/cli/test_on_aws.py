"""`--aws`: the same commands on DynamoDB, SQS and S3, as moto's server imitates them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from engine.actors import Registry
from engine.events import Type
from engine.layout import run_key
from engine.library import ACTORS as ACTORS_OF_LIBRARY
from infra.aws.aio import AsyncClients
from infra.aws.table import create_table
from infra.aws.worker import aws_backend
from tests.infra.local.cli.conftest import ACTORS, Processes, Tidestep, eventually
from tests.infra.local.until import Until

TABLE = "steps-table"


@pytest.fixture
def account(directory: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with a table and a queue, named by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.post(f"http://{host}:{port}/moto-api/reset", trust_env=False).raise_for_status()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "TIDESTEP_TABLE": TABLE,
        "TIDESTEP_BUCKET": "steps-blobs",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIDESTEP_QUEUE_URL", asyncio.run(_create()))
    yield
    server.stop()


async def _create() -> str:
    async with AsyncClients(environment=os.environ) as clients:
        await create_table(await clients.client("dynamodb"), TABLE)
        created = await (await clients.client("sqs")).call("create_queue", QueueName="steps")
        return str(created["QueueUrl"])


def test_runs_are_started_worked_on_and_shown(
    account: None, tidestep: Tidestep, processes: Processes
) -> None:
    started = tidestep("start", "flaky.yaml", "--actors", ACTORS, "--aws", "--id", "f1")
    assert (started.code, started.out) == (0, "f1\n")
    assert "tidestep show f1 --aws" in started.err
    listed = json.loads(tidestep("list", "--aws", "--json").out)
    assert [(row["run"], row["status"]) for row in listed] == [("f1", "active")]

    worker = processes.start("work", "--actors", ACTORS, "--aws")
    assert worker.stderr is not None
    assert "working on AWS" in worker.stderr.readline()
    eventually(lambda: "completed" in tidestep("show", "f1", "--aws").out)
    shown = json.loads(tidestep("show", "f1", "--aws", "--json").out)
    assert shown["output"] == {"bank": 2}
    worker.send_signal(signal.SIGTERM)
    ran = processes.end(worker)
    assert ran.code == 0
    assert "Traceback" not in ran.err


def test_runs_are_operated(account: None, tidestep: Tidestep, directory: Path) -> None:
    (directory / "go.yaml").write_text(
        "name: go\nnodes: [{id: wait, actor: flow.wait, config: {signal: go}}]\n"
    )
    tidestep("start", "go.yaml", "--aws", "--id", "g1")
    signalled = tidestep("signal", "g1", "go", "--aws", "--set", "by=Ada", "--id", "s1")
    assert signalled.code == 0
    assert signalled.out == "signal 'go' is stored: the next wait of run g1 for it takes it\n"
    other = tidestep("signal", "g1", "go", "--aws", "--id", "s1")
    assert other.code == 5
    gone = tidestep("cancel", "g2", "--aws")
    assert (gone.code, gone.err) == (
        4,
        "error: there is no run 'g2' in AWS: see tidestep list --aws\n",
    )
    asyncio.run(_work_until_completed())
    assert json.loads(tidestep("show", "g1", "--aws", "--json").out)["output"] == {
        "wait": {"by": "Ada"}
    }
    forked = tidestep("fork", "g1", "--step", "wait", "--aws", "--id", "g2")
    assert (forked.code, forked.out) == (0, "g2\n")
    assert "tidestep show g2 --aws" in forked.err
    assert tidestep("cancel", "g2", "--aws").code == 0
    redriven = tidestep("redrive", "--status", "cancelled", "--aws", "--json")
    assert json.loads(redriven.out) == {"retried": ["g2"], "refused": {}}
    asyncio.run(_signal("g2", 7))
    asyncio.run(_work_until_completed())
    assert json.loads(tidestep("show", "g2", "--aws", "--json").out)["output"] == {"wait": 7}


async def _signal(run: str, payload: int) -> None:
    async with aws_backend(os.environ) as backend:
        await backend.signaller.signal(run_key(run), "go", payload)


async def _work_until_completed() -> None:
    until = Until(Type.COMPLETED)
    async with aws_backend(os.environ, until) as backend:
        await backend.worker(Registry(ACTORS_OF_LIBRARY)).run(until.stop)
