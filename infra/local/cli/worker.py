"""`tidestep work`: a worker that runs until it is told to stop, with a log line per event."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout

import msgspec

from engine.actors import Registry
from engine.events import Event, Type
from engine.ports import Clock
from engine.worker import Worker, WorkerSettings
from infra.local.cli.exits import OutputClosed
from infra.local.cli.interrupts import Interrupts
from infra.local.cli.logs import logging_to
from infra.local.cli.options import Place
from infra.local.cli.output import print_text, say
from infra.local.cli.progress import event_line
from infra.local.cli.wording import count, moment
from infra.local.embedded import working
from infra.system import SystemClock

_ALWAYS = (
    Type.STARTED,
    Type.FORKED,
    Type.COMPLETED,
    Type.FAILED,
    Type.ACTOR_FAILED,
    Type.RETRYING,
    Type.CANCELLING,
    Type.CANCELLED,
    Type.RETRIED,
)
"""What is logged without `--verbose`: how runs begin and end, what operators did to them, and what
went wrong."""


class EventLog:
    """Implements `engine.ports.Events`: log lines on stderr, or JSON lines on stdout."""

    def __init__(self, clock: Clock, *, as_json: bool, verbose: bool) -> None:
        self._clock = clock
        self._as_json = as_json
        self._verbose = verbose
        self._stdout = sys.stdout
        self._closed = False

    def publish(self, event: Event) -> None:
        if self._as_json:
            self._print(event)
        elif self._verbose or event.type in _ALWAYS:
            now = self._clock.now()
            if line := event_line(event, now):
                say(f"{moment(event.at, now)} run {event.run} {line}")

    def _print(self, event: Event) -> None:
        if not self._closed:
            try:
                print_text(msgspec.json.encode(event).decode(), self._stdout)
            except OutputClosed:
                self._closed = True  # the worker goes on: nobody's steps depend on who watches


async def work(
    place: Place, actors: Registry, concurrency: int, *, as_json: bool, verbose: bool
) -> None:
    """Raises WorkerRunning, StoreUnusable, Misconfigured."""
    events = EventLog(SystemClock(), as_json=as_json, verbose=verbose)

    def asked_to_stop() -> None:
        say("stopping as soon as the running steps have ended; Ctrl-C again stops at once")

    settings = WorkerSettings(concurrency=concurrency)
    async with _opened(place, actors, settings, events) as worker:
        with (
            redirect_stdout(sys.stderr),  # what actors print
            logging_to(say, verbose=verbose),
            Interrupts(asked_to_stop) as interrupts,
        ):
            say(f"working on {place} with {count(len(actors), 'actor')}; Ctrl-C stops")
            await worker.run(interrupts.stop)
    say("stopped; what is unfinished waits for the next worker")


@asynccontextmanager
async def _opened(
    place: Place, actors: Registry, settings: WorkerSettings, events: EventLog
) -> AsyncIterator[Worker]:
    if place.aws:
        from infra.aws.worker import aws_backend

        async with aws_backend(os.environ, events) as backend:
            yield backend.worker(actors, settings)
    else:
        with working(place.path, os.environ, events) as embedded:
            yield embedded.worker(actors, settings)
