"""Runners in answer to a request, through a real server: started, told of, shut down, refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from engine.allocation.frames import Events, Evicted, Hello, Stopped, encode
from engine.errors import InvalidActor, Misconfigured
from engine.layout import run_key
from engine.stateful import StatefulActor
from infra.local.http.server import listen, serve, url_of
from infra.runner import serverless
from infra.runner.process import run_runner
from infra.runner.serverless import runner_app
from infra.system import SystemEntropy
from tests.infra.runner.actors import Counter
from tests.infra.runner.gate import Gate, open_gate

TOKEN = {"x-tidestep-token": "secret"}


def asked(endpoint: str, **headers: str) -> dict[str, str]:
    return {
        "x-tidestep-endpoint": endpoint,
        "x-tidestep-pool": "main",
        "x-tidestep-slots": "3",
        "x-tidestep-connection": "c7",
        **TOKEN,
        **headers,
    }


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    stop = asyncio.Event()
    listening = listen("127.0.0.1", 0)
    url = url_of(listening)
    serving = asyncio.create_task(serve(app, listening, stop))
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield client
    finally:
        stop.set()
        await serving


async def event(lines: AsyncIterator[str], name: str) -> Any:
    """The data of the next event of this name."""
    async for line in lines:
        if line == f"event: {name}":
            data = await anext(lines)
            return json.loads(data.removeprefix("data: "))
    raise AssertionError(f"no event {name} has come")


async def runs(gate: Gate) -> None:
    await gate.until(lambda: gate.of(Hello) and gate.sockets)


def test_a_request_starts_a_runner_and_tells_its_name(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COMMENT_S", 0.05)

    async def scenario() -> None:
        app = runner_app(Counter, token="secret", version=4)
        async with open_gate() as gate, served(app) as client:
            async with client.stream("GET", "/start", headers=asked(gate.url)) as response:
                assert response.status_code == 200
                assert response.headers["content-type"] == "text/event-stream"
                lines = response.aiter_lines()
                assert await event(lines, "runner") == {"runner": "runner-1", "version": 4}
                hello = gate.of(Hello)[0]
                assert (hello.pool, hello.slots, hello.version) == ("main", 3, 4)
                assert (hello.connection, hello.token) == ("c7", "secret")
                assert await gate.ask("q1") == (200, b"1")
                async for line in lines:
                    if line == ": it lives":
                        break
            # closing the request shuts it down, its actor saved and handed back
            await gate.until(lambda: not gate.sockets)
            assert gate.of(Events)[-1].events[-1].report == Stopped()

    runner.run(scenario())


def test_a_runner_made_up_its_name_so_that_every_server_takes_it(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()
    monkeypatch.setattr(SystemEntropy, "new_id", lambda self: f"-{next(numbers)}")

    async def scenario() -> None:
        stop = asyncio.Event()
        async with open_gate() as gate, served(runner_app(Counter, token="secret")) as client:
            working = asyncio.create_task(run_runner([Counter], gate.url, "main", stop=stop))
            async with client.stream("GET", "/start", headers=asked(gate.url)):
                await gate.until(lambda: len(gate.of(Hello)) == 2)
            stop.set()
            await working
            for hello in gate.of(Hello):
                assert run_key(hello.key).run == hello.key

    runner.run(scenario())


def test_the_answer_ends_when_the_runner_is_evicted(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        app = runner_app(Counter, token="secret")
        async with (
            open_gate() as gate,
            served(app) as client,
            client.stream("GET", "/start", headers=asked(gate.url)) as response,
        ):
            lines = response.aiter_lines()
            await event(lines, "runner")
            await gate.sockets[0].send(encode(Evicted("drained")))
            assert [line async for line in lines if line.startswith("event")] == []
            await gate.until(lambda: not gate.sockets)

    runner.run(scenario())


def test_a_runner_that_is_not_let_in_says_why(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        app = runner_app(Counter, token="secret")
        async with open_gate() as gate, served(app) as client:
            gate.refuses = "the runner's token\nis wrong"
            answer = await client.get("/start", headers=asked(gate.url))
            assert answer.text.endswith("event: error\ndata: the runner's token is wrong\n\n")

    runner.run(scenario())


def test_each_request_starts_a_runner_of_its_own(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        app = runner_app(Counter, token="secret")
        async with open_gate() as gate, served(app) as client:
            starting = [client.stream("GET", "/start", headers=asked(gate.url)) for _ in "ab"]
            async with starting[0] as first, starting[1] as second:
                names = {
                    (await event(each.aiter_lines(), "runner"))["runner"]
                    for each in (first, second)
                }
                assert names == {"runner-1", "runner-2"}
                assert len({hello.key for hello in gate.of(Hello)}) == 2

    runner.run(scenario())


def test_metadata_says_what_is_hosted(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with served(runner_app(Counter, token="secret", version=4)) as client:
            answer = await client.get("/metadata", headers=TOKEN)
            assert answer.json() == {"runtime": "tidestep", "version": 4, "actors": ["counter"]}
            assert (await client.get("/metadata")).status_code == 401

    runner.run(scenario())


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"x-tidestep-token": ""}, 401, "token"),
        ({"x-tidestep-token": "Secret"}, 401, "token"),
        ({"x-tidestep-token": "secret\u00e9"}, 401, "token"),
        ({"x-tidestep-endpoint": ""}, 400, "endpoint is missing"),
        ({"x-tidestep-endpoint": "gopher://x"}, 400, "endpoint"),
        ({"x-tidestep-endpoint": "http://elsewhere"}, 403, "elsewhere"),
        ({"x-tidestep-pool": ""}, 400, "pool is missing"),
        ({"x-tidestep-slots": "0"}, 400, "slots"),
        ({"x-tidestep-slots": "-1"}, 400, "slots"),
        ({"x-tidestep-slots": "many"}, 400, "slots"),
    ],
)
def test_what_is_not_as_it_must_be_starts_nothing(
    runner: asyncio.Runner, headers: dict[str, str], status: int, said: str
) -> None:
    async def scenario() -> None:
        endpoints = () if "gopher" in str(headers) else ("http://here/",)
        app = runner_app(Counter, token="secret", endpoints=endpoints)
        async with served(app) as client:
            given = asked("http://here", **headers)
            encoded = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
            answer = await client.get("/start", headers=encoded)
            assert answer.status_code == status
            assert said in answer.json()["error"]["message"]
            assert "secret" not in answer.text

    runner.run(scenario())


def test_with_endpoints_alone_runners_connect_to_these_and_no_others(
    runner: asyncio.Runner,
) -> None:
    async def scenario() -> None:
        async with (
            open_gate() as gate,
            served(runner_app(Counter, endpoints=[gate.url + "/"])) as client,
        ):
            refused = await client.get("/start", headers=asked("http://elsewhere"))
            assert refused.status_code == 403
            start = asked(gate.url, **{"x-tidestep-token": "theirs"})
            async with client.stream("GET", "/start", headers=start) as response:
                await event(response.aiter_lines(), "runner")
                assert gate.of(Hello)[0].token == "theirs"

    runner.run(scenario())


def test_there_is_a_bound_to_the_runners_of_one_process(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "MOST_RUNNERS", 1)

    async def scenario() -> None:
        app = runner_app(Counter, token="secret")
        async with (
            open_gate() as gate,
            served(app) as client,
            client.stream("GET", "/start", headers=asked(gate.url)) as response,
        ):
            await event(response.aiter_lines(), "runner")
            assert (await client.get("/start", headers=asked(gate.url))).status_code == 503

    runner.run(scenario())


def test_an_application_that_trusts_everybody_is_not_made() -> None:
    with pytest.raises(Misconfigured, match="anybody could start runners"):
        runner_app(Counter)
    with pytest.raises(Misconfigured, match="token is empty"):
        runner_app(Counter, token="")
    with pytest.raises(Misconfigured, match="a list of addresses"):
        runner_app(Counter, endpoints="http://here")
    with pytest.raises(Misconfigured, match="endpoint 'here'"):
        runner_app(Counter, endpoints=["here"])
    with pytest.raises(InvalidActor):
        runner_app(StatefulActor, token="secret")
