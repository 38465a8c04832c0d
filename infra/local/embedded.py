"""The composition root of the embedded backend: one database file, and the engine on top of it.

Many processes may visit a file, to start runs, to read and to operate them; one at a time is its
worker. Both are opened by a context manager that closes the file again:

    with visiting(path, os.environ) as embedded:
        started = await embedded.starter.start(definition, input)
        await embedded.signaller.signal(started.key, "approval", {"by": "Ada"})

What runs steps is imported by the worker alone: a visitor that lists runs is quick to start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.ports import Clock, Entropy, Events, Journal, Platform, Source
from engine.reading import RunReader
from infra.callbacks import callbacks_from
from infra.limits import limits_from
from infra.local.sqlite import SqliteVisitor, SqliteWorker
from infra.system import EnvironmentSecrets, SystemClock, SystemEntropy, exposed

if TYPE_CHECKING:
    from engine.actors import Registry
    from engine.allocation.ports import Allocation
    from engine.forking import Forker
    from engine.operating import Operator
    from engine.signalling import Signaller
    from engine.starting import Starter
    from engine.worker import Worker, WorkerSettings

    Allocate = Callable[[Journal, Clock, Entropy], Allocation]
    """Makes the ports of allocation over a journal."""

DEFAULT_DATABASE = Path("tidestep.db")
DATABASE_VARIABLE = "TIDESTEP_DB"
EXPOSED_VARIABLE = "TIDESTEP_EXPOSE_ENV"
"""Names the environment variables that expressions may read."""


class Embedded:
    """A database file as its visitors use it: to start runs, to read and to operate them."""

    def __init__(
        self,
        store: SqliteVisitor | SqliteWorker,
        environment: Mapping[str, str],
        events: Events | None = None,
        allocate: Allocate | None = None,
    ) -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        self.platform = Platform(
            journal=store.journal,
            blobs=store.blobs,
            clock=clock,
            entropy=entropy,
            callbacks=callbacks_from(environment, store.journal, clock, entropy),
            secrets=EnvironmentSecrets(environment),
            events=events,
            allocation=allocate(store.journal, clock, entropy) if allocate else None,
            env=exposed(environment, environment.get(EXPOSED_VARIABLE, "")),
            limits=limits_from(environment),
            exclusive=True,
        )

    @cached_property
    def reader(self) -> RunReader:
        return RunReader(self.platform)

    @cached_property
    def starter(self) -> Starter:
        from engine.starting import Starter

        return Starter(self.platform)

    @cached_property
    def signaller(self) -> Signaller:
        from engine.signalling import Signaller

        return Signaller(self.platform)

    @cached_property
    def operator(self) -> Operator:
        from engine.operating import Operator

        return Operator(self.platform)

    @cached_property
    def forker(self) -> Forker:
        from engine.forking import Forker

        return Forker(self.platform)


class EmbeddedWorker(Embedded):
    """A database file in the hands of its one worker."""

    def __init__(
        self,
        store: SqliteWorker,
        environment: Mapping[str, str],
        events: Events | None = None,
        allocate: Allocate | None = None,
    ) -> None:
        super().__init__(store, environment, events, allocate)
        self.source: Source = store.source

    def worker(
        self,
        actors: Registry,
        settings: WorkerSettings | None = None,
        source: Source | None = None,
    ) -> Worker:
        """A worker on this file's messages, or on those of them that `source` lets through.

        What concerns stateful actors lies there until a worker comes that has an `allocation`.
        """
        from engine.dead_letters import DeadLetters
        from engine.dispatcher import Dispatcher
        from engine.worker import Worker, WorkerSettings
        from infra.local.filtered import Filtered, of_a_workflow

        dispatcher = Dispatcher(self.platform, actors)
        if source is None and self.platform.allocation is None:
            source = Filtered(self.source, of_a_workflow)
        return Worker(
            self.platform,
            dispatcher,
            source or self.source,
            settings or WorkerSettings(),
            DeadLetters(self.platform, actors, dispatcher.running),
        )


@contextmanager
def visiting(path: Path, environment: Mapping[str, str]) -> Iterator[Embedded]:
    """Open the file beside its worker, creating it where there is none.

    Raises NewerFormat or StoreUnusable.
    """
    with SqliteVisitor(path, SystemClock()) as store:
        yield Embedded(store, environment)


@contextmanager
def working(
    path: Path,
    environment: Mapping[str, str],
    events: Events | None = None,
    allocate: Allocate | None = None,
) -> Iterator[EmbeddedWorker]:
    """Open the file as its worker, creating it where there is none; with `allocate`, one that
    steps stateful actors too.

    Raises WorkerRunning while another process is its worker, NewerFormat or StoreUnusable.
    """
    with SqliteWorker(path, SystemClock()) as store:
        yield EmbeddedWorker(store, environment, events, allocate)
