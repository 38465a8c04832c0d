"""Work on one run in this process until it ends or somebody interrupts.

The process is the file's worker meanwhile, for this run alone (`one_run`). That the run has ended
is read from its head, once a second or as soon as an event says so: events are best effort, and
what other processes do (a signal, a cancel) publishes none here.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import msgspec

from engine.actors import Registry
from engine.definition import Definition
from engine.errors import UnknownActor, WorkerRunning
from engine.events import Event, Type
from engine.layout import RunKey, run_key
from engine.reading import RunView
from engine.snapshot import Status
from engine.sweeper import sweep_run
from engine.worker import WorkerSettings
from infra.local.cli.display import Display, make_display
from infra.local.cli.exits import INTERRUPTED, OK, RUN_FAILED, TERMINATED, command_line
from infra.local.cli.interrupts import Interrupts
from infra.local.cli.logs import logging_to
from infra.local.cli.one_run import OneRun
from infra.local.cli.options import Working, load_actors
from infra.local.cli.output import print_json, say, say_error
from infra.local.cli.progress import CANCELLING, Progress
from infra.local.cli.wording import error_text
from infra.local.embedded import EmbeddedWorker, visiting, working

LOOK_S = 1.0
_ENDED = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}


class Watch:
    """Implements `engine.ports.Events` for the one run that is shown."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._shown: tuple[Progress, Display] | None = None

    def show(self, progress: Progress, display: Display) -> None:
        self._shown = progress, display

    def publish(self, event: Event) -> None:
        if self._shown is None or event.run != self._shown[0].run:
            return
        progress, display = self._shown
        progress.apply(event)
        display.happened(event)
        if event.type in (Type.COMPLETED, Type.FAILED, Type.CANCELLED):
            self.ended.set()

    def found(self, status: Status) -> None:
        """The run's head says so: somebody else may have changed it, without an event here."""
        if self._shown is None or status is not Status.CLOSING:
            return
        progress, display = self._shown
        if progress.state != CANCELLING:
            progress.state = CANCELLING
            display.say("the run is being cancelled: nothing new begins, what runs may end")


async def start_and_work(
    definition: Definition, input: object, run: str | None, actors: Registry, how: Working
) -> int:
    """Start a run and work on it; an equal run of this id is gone on with."""
    watch = Watch()
    try:
        with working(how.path, os.environ, watch) as embedded:
            started = await embedded.starter.start(definition, input, run)
            if not started.created:
                say(f"run {started.key.run} exists already, with this workflow and input")
            return await _work(embedded, started.key, actors, how, watch)
    except WorkerRunning as error:
        raise WorkerRunning(f"{error}\nor hand the run to it: `tidestep start`") from None


async def resume(run: str, how: Working) -> int:
    """Go on with a run; of one that has ended, print the result."""
    key = run_key(run)
    how.place.must_exist()
    with visiting(how.path, os.environ) as embedded:
        view = await embedded.reader.view(key)
    if view.status.terminal:
        return report(view, how)
    actors = load_actors(how.actors)
    watch = Watch()
    try:
        with working(how.path, os.environ, watch) as embedded:
            return await _work(embedded, key, actors, how, watch)
    except WorkerRunning as error:
        see = command_line("show", run)
        raise WorkerRunning(f"{error}\nor let it go on with the run, and look: `{see}`") from None


async def _work(
    embedded: EmbeddedWorker, key: RunKey, actors: Registry, how: Working, watch: Watch
) -> int:
    clock = embedded.platform.clock
    reader = embedded.reader
    head = await reader.head(key)
    definition = await reader.definition(key, head)
    before = await reader.view(key)
    if before.status.terminal:
        return report(before, how)
    _check_actors(definition, actors, key)
    names = {node.id: node.actor for node in definition.nodes}
    progress = Progress(key.run, definition.name, names, before.created_at, how.place.given())
    if before.results:
        progress.recall([result async for result in reader.history(key)], before.pending)
        progress.steps = head.steps
    display = make_display(progress, clock, as_json=how.as_json)

    def asked_to_stop() -> None:
        display.say("stopping as soon as the running steps have ended; Ctrl-C again stops at once")

    try:
        async with display:
            watch.show(progress, display)
            with (
                logging_to(display.say, verbose=how.verbose),
                Interrupts(asked_to_stop) as interrupts,
            ):
                await _until_ended(embedded, key, actors, watch, interrupts.stop)
            view = await reader.view(key)
            progress.steps = view.steps  # others may have settled some: a signal ends a wait
            if not view.status.terminal:
                progress.end("interrupted")
            elif progress.took_ms is None:
                progress.end(view.status, view.ended_at - view.created_at)
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_resumable(key, how)
        raise
    if view.status.terminal:
        return report(view, how)
    _say_resumable(key, how)
    if how.as_json:
        print_json(msgspec.to_builtins(view))
    return TERMINATED if interrupts.caught is signal.SIGTERM else INTERRUPTED


async def _until_ended(
    embedded: EmbeddedWorker, key: RunKey, actors: Registry, watch: Watch, stop: asyncio.Event
) -> None:
    settings = WorkerSettings(sweep_every=0)
    worker = embedded.worker(actors, settings, OneRun(embedded.source, key))
    looking = asyncio.create_task(_look(embedded, key, watch, stop))
    try:
        await worker.run(stop)
    finally:
        looking.cancel()
        (outcome,) = await asyncio.gather(looking, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _look(embedded: EmbeddedWorker, key: RunKey, watch: Watch, stop: asyncio.Event) -> None:
    """Look at the run's head every so often, and stop the worker when it has ended."""
    try:
        while not (head := await embedded.reader.head(key)).status.terminal:
            watch.found(head.status)
            await sweep_run(embedded.platform, key)
            with suppress(TimeoutError):
                await asyncio.wait_for(watch.ended.wait(), LOOK_S)
    finally:
        stop.set()


def _check_actors(definition: Definition, actors: Registry, key: RunKey) -> None:
    """A step whose actor is missing would fail the run: better not to begin."""
    missing = sorted({node.actor for node in definition.nodes} - set(actors))
    if missing:
        raise UnknownActor(
            f"run '{key.run}' needs {', '.join(map(repr, missing))}, which this process does not "
            "have: name the module with --actors MODULE"
        )


def report(view: RunView, how: Working) -> int:
    """Print the result of a run that has ended."""
    if how.as_json:
        print_json(msgspec.to_builtins(view))
    elif view.status is Status.COMPLETED:
        print_json(view.output)
    if view.status is Status.COMPLETED:
        return OK
    if not how.as_json:
        node = (view.error or {}).get("node")
        at = f" at node '{node}'" if node else ""
        reason = f": {error_text(view.error)}" if view.error else ""
        more = command_line("show", view.run, "--history", *how.place.given())
        lines = [f"run {view.run} {view.status}{at}{reason}", f"its history: {more}"]
        if view.pending:
            again = command_line("retry", view.run, *how.place.given())
            lines.append(f"to go on from where it {_ENDED[view.status]}: {again}")
        say_error("\n".join(lines))
    return RUN_FAILED


def _say_resumable(key: RunKey, how: Working) -> None:
    words = command_line("resume", key.run, *how.place.given(), *how.modules())
    say(f"run {key.run} is resumable: {words}")
