"""`tidestep serve`: the worker of a database file and an HTTP server, in one process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.actors import Registry
from engine.callback_http import CallbackApi
from engine.callback_links import PATH, URL_VARIABLE
from engine.ports import Clock
from engine.worker import WorkerSettings
from infra.callbacks import callbacks_from
from infra.local.cli.interrupts import Interrupts
from infra.local.cli.logs import logging_to
from infra.local.cli.output import say
from infra.local.cli.wording import count
from infra.local.cli.worker import EventLog
from infra.local.embedded import EmbeddedWorker, working
from infra.local.http.application import application
from infra.local.http.server import listen, url_of
from infra.local.http.server import serve as serve_http
from infra.system import SystemClock

if TYPE_CHECKING:
    from infra.local.cli.hosting import Stage, Stateful


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, and where."""

    database: Path
    host: str
    port: int
    public_url: str | None
    concurrency: int
    stateful: Stateful | None = None


async def serve(how: Serving, actors: Registry, *, as_json: bool, verbose: bool) -> None:
    """Raises CannotListen, WorkerRunning, StoreUnusable, Misconfigured."""
    clock = SystemClock()
    events = EventLog(clock, as_json=as_json, verbose=verbose)

    def asked_to_stop() -> None:
        say("stopping as soon as the running steps have ended; Ctrl-C again stops at once")

    with closing(listen(how.host, how.port)) as listening:
        own_url = url_of(listening)
        public_url = how.public_url or own_url
        environment = {**os.environ, URL_VARIABLE: public_url}
        stage = _stage(how.stateful, own_url, clock, verbose=verbose)
        allocate = None if stage is None else stage.hosting.allocation
        with (
            working(how.database, environment, events, allocate) as embedded,
            redirect_stdout(sys.stderr),  # what actors print
            logging_to(say, verbose=verbose),
            Interrupts(asked_to_stop) as interrupts,
        ):
            platform = embedded.platform
            more = () if stage is None else stage.hosting.routes(platform, stage.served)
            app = application(_callback_api(embedded, environment), more)
            worker = embedded.worker(actors, WorkerSettings(concurrency=how.concurrency))
            say(f"serving {own_url}{PATH}/... and {own_url}/health")
            if public_url != own_url:
                say(f"callbacks are handed out as {public_url}{PATH}/...")
            if stage is not None:
                await stage.begin(platform)
                stage.introduce()
            say(f"working on {how.database} with {count(len(actors), 'actor')}; Ctrl-C stops")
            down = asyncio.Event()
            await _together(
                down,
                worker.run(down),
                serve_http(app, listening, down, websockets=stage is not None),
                _until_stopped(interrupts.stop, stage),
            )
    say("stopped; what is unfinished waits for the next worker")


def _stage(how: Stateful | None, url: str, clock: Clock, *, verbose: bool) -> Stage | None:
    if how is None:
        return None
    from infra.local.cli.hosting import Stage

    return Stage(how, url, clock, verbose=verbose)


async def _until_stopped(stop: asyncio.Event, stage: Stage | None) -> None:
    """Runners give their actors back while worker and server still run."""
    try:
        await stop.wait()
    finally:
        if stage is not None:
            await stage.hosting.stop()


def _callback_api(embedded: EmbeddedWorker, environment: Mapping[str, str]) -> CallbackApi:
    platform = embedded.platform
    made = callbacks_from(environment, platform.journal, platform.clock, platform.entropy)
    return CallbackApi(platform, made.keys)


async def _together(down: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; then take the others down, and raise its error."""
    *tasks, last = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait((*tasks, last), return_when=asyncio.FIRST_COMPLETED)
    finally:
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)
        down.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        task.result()
