"""An empty account on each stand-in in turn, for the fixtures of `tests/infra`.

What must stay true: no test finds what another has left. On ministack each has an account of its
own, which is an access key of twelve digits. DynamoDB Local has accounts as well, but each costs it
threads that it never gives back: there is one, whose tables go after each test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest

from engine.memory import MemoryQueue
from engine.ordered import OrderedJournal
from infra.aws.client import ThreadedClients
from infra.aws.dynamodb import DynamoStore
from tests.clock import ManualClock
from tests.infra.aws.conftest import queue, queue_url, store
from tests.infra.backends import Backend
from tests.infra.conftest import journal, runner, source
from tests.stack import dynamodb_local as local
from tests.stack.contract.left_out import DYNAMODB_LOCAL, LEFT_OUT, left_out
from tests.stack.ministack import Ministack

__all__ = ["journal", "queue", "queue_url", "runner", "source", "store"]

ACCOUNTS = count(700_000_000_001)
CONNECTIONS = 64


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty one."""
    with local.serving(tmp_path_factory.mktemp("dynamodb-local")) as address:
        yield address


@pytest.fixture(params=sorted(LEFT_OUT))
def stand_in(request: pytest.FixtureRequest) -> str:
    """Its name. A test that it cannot pass has to fail."""
    name = str(request.param)
    case = request.node.callspec.id.removeprefix(name).removeprefix("-")
    lacks = left_out(name, request.node.originalname, case)
    if lacks:
        fails = pytest.mark.xfail(strict=True, reason=lacks.reason, raises=lacks.raises)
        request.applymarker(fails)
    return name


@pytest.fixture
def account(stand_in: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of clients."""
    if stand_in == DYNAMODB_LOCAL:
        key, address = "testing", str(request.getfixturevalue("dynamodb_local"))
    else:
        ministack: Ministack = request.getfixturevalue("ministack")
        key, address = str(next(ACCOUNTS)), ministack.url
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    others = ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_PROFILE")
    for name in (*others, "LOCALSTACK_HOST", "TIDESTEP_LOCALSTACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clients(stand_in: str, account: None, runner: asyncio.Runner) -> Iterator[ThreadedClients]:
    clients = ThreadedClients(CONNECTIONS)
    yield clients
    if stand_in == DYNAMODB_LOCAL:
        dynamodb = clients.client("dynamodb")
        for name in runner.run(dynamodb.call("list_tables"))["TableNames"]:
            runner.run(dynamodb.call("delete_table", TableName=name))
    clients.close()


@pytest.fixture
def backend(stand_in: str, store: DynamoStore, request: pytest.FixtureRequest) -> Backend:
    """DynamoDB Local has no queues: the memory's takes their place."""
    if stand_in == DYNAMODB_LOCAL:
        queue = MemoryQueue(ManualClock())
    else:
        queue = request.getfixturevalue("queue")
    return Backend(OrderedJournal(store, queue), queue)
