"""`tidestep serve`: the worker of a database file and an HTTP server, in one process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.actors import Registry
from engine.callback_http import CallbackApi
from engine.callback_links import PATH, URL_VARIABLE
from engine.worker import Worker, WorkerSettings
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


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, and where."""

    database: Path
    host: str
    port: int
    public_url: str | None
    concurrency: int


async def serve(how: Serving, actors: Registry, *, as_json: bool, verbose: bool) -> None:
    """Raises CannotListen, WorkerRunning, StoreUnusable, Misconfigured."""
    events = EventLog(SystemClock(), as_json=as_json, verbose=verbose)

    def asked_to_stop() -> None:
        say("stopping as soon as the running steps have ended; Ctrl-C again stops at once")

    with closing(listen(how.host, how.port)) as listening:
        own_url = url_of(listening)
        public_url = how.public_url or own_url
        environment = {**os.environ, URL_VARIABLE: public_url}
        with (
            working(how.database, environment, events) as embedded,
            redirect_stdout(sys.stderr),  # what actors print
            logging_to(say, verbose=verbose),
            Interrupts(asked_to_stop) as interrupts,
        ):
            app = application(_callback_api(embedded, environment))
            worker = embedded.worker(actors, WorkerSettings(concurrency=how.concurrency))
            say(f"serving {own_url}{PATH}/... and {own_url}/health")
            if public_url != own_url:
                say(f"callbacks are handed out as {public_url}{PATH}/...")
            say(f"working on {how.database} with {count(len(actors), 'actor')}; Ctrl-C stops")
            await _together(worker, serve_http(app, listening, interrupts.stop), interrupts.stop)
    say("stopped; what is unfinished waits for the next worker")


def _callback_api(embedded: EmbeddedWorker, environment: Mapping[str, str]) -> CallbackApi:
    platform = embedded.platform
    made = callbacks_from(environment, platform.journal, platform.clock, platform.entropy)
    return CallbackApi(platform, made.keys)


async def _together(worker: Worker, server: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run both until `stop`; where one ends before that, stop the other, and raise its error."""
    tasks = (asyncio.create_task(worker.run(stop)), asyncio.create_task(server))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        task.result()
