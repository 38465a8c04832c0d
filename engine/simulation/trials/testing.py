"""Workflows in a user's tests: start, let time pass, signal, look. Behind the pytest fixture.

Each call acts at once, in virtual time, and has acted when it returns: what the API refuses, it
raises, whatever faults have come in between. Time passes in `after` and `run` alone, but for what
calls take themselves.

The engine's own invariants are watched all along; a broken one is raised as `Violation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import Context as Variables
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from engine.actors import Actor, Registry, load_registry
from engine.actors.registry import AnyActor
from engine.callbacks import verify
from engine.definition import Definition
from engine.documents import Workflow, definition_of, load_definition
from engine.errors import PlatformError, TidestepError
from engine.layout import RunKey
from engine.reading import RunView
from engine.simulation.checks.invariants import Invariants
from engine.simulation.observing import Observer, TokenId
from engine.simulation.trials.outside import REACHABLE, SIGNING_KEY
from engine.simulation.trials.readable import readable
from engine.simulation.world.calling import Api
from engine.simulation.world.faults import PROFILES, Faults
from engine.simulation.world.logs import logs_in
from engine.simulation.world.report import Report
from engine.simulation.world.settings import Settings
from engine.simulation.world.simulation import Simulation

T = TypeVar("T")

Workflows = Definition | Workflow | Mapping[str, Any] | str | Path
Actors = str | AnyActor | ModuleType | Mapping[str, AnyActor] | Iterable[Any]
"""An import path, an actor, a module, a mapping, or several of these."""

LONGEST_S = 50 * 366 * 86_400.0
DAY_S = 86_400.0


class NeverEnds(AssertionError):
    """Nothing has come to rest in fifty years."""


class Simulate:
    """The fixture's value: call it to put a workflow into a simulated world of its own."""

    def __init__(
        self, seed: int, faults: str | Faults, beside: Path, made: list[Rehearsal]
    ) -> None:
        self.seed = seed
        self._faults = faults
        self._beside = beside
        self._made = made

    def __call__(
        self,
        workflow: Workflows,
        *,
        actors: Actors = (),
        faults: str | Faults | None = None,
        seed: int | None = None,
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Rehearsal:
        """`workflow` is a file, in the current directory or beside the test, or what is in one.

        Of two `actors` with the same name the later one counts: a fake after the real ones stands
        in for one of them. Faults and seed are the marker's, by default none and 0.
        """
        rehearsal = Rehearsal(
            workflow if not isinstance(workflow, str | Path) else self._found(Path(workflow)),
            gathered(actors),
            self._faults if faults is None else faults,
            self.seed if seed is None else seed,
            Settings(secrets=dict(secrets or {}), env=dict(env or {})),
        )
        self._made.append(rehearsal)
        return rehearsal

    def _found(self, path: Path) -> Path:
        beside = self._beside / path
        return beside if not path.exists() and beside.exists() else path


class Rehearsal:
    """One workflow in a world of its own. Runs are named by their ids, by default `run`."""

    def __init__(
        self,
        workflow: Workflows,
        actors: Registry,
        faults: str | Faults,
        seed: int,
        settings: Settings,
    ) -> None:
        self.definition = _definition(workflow, actors)
        self._names = [node.id for node in self.definition.nodes]
        self._label = f"seed {seed}" + (f", faults: {faults}" if isinstance(faults, str) else "")
        profile = PROFILES[faults] if isinstance(faults, str) else faults
        self._calls = _Calls(self._names)
        self.world = Simulation(
            actors=actors,
            seed=seed,
            faults=profile,
            observers=[Invariants(actors, skew_ms=profile.skew_ms), self._calls],
            settings=settings,
            parts=REACHABLE,
        )
        """The simulation itself, for whatever is not offered here."""
        self._numbers = count(1)

    def __str__(self) -> str:
        return self._label

    def close(self) -> None:
        self.world.close()

    # -- what happens -----------------------------------------------------------------------------

    def start(self, input: Any = None, run: str = "run") -> None:
        """Start a run. Raises InvalidInput, RunExists."""
        self.ask(lambda api: api.start(self.definition, input, run), f"start {run}")

    def signal(self, name: str, payload: Any = None, run: str = "run") -> None:
        """Send a signal, for a wait of this name or the next one. Raises RunEnded and the like."""
        id = f"signal{next(self._numbers)}"
        self.ask(lambda api: api.signal(run, name, payload, id), f"{id} {name}")

    def answer(self, address: str, payload: Any = None) -> None:
        """POST to a `context.callback_url`.

        Raises WaitClosed or RunEnded where it is too late, SignalConflict for another answer than
        the first, and InvalidCallback for what is no such address.
        """
        wait = verify(address.rpartition("/")[2], [SIGNING_KEY])
        self.ask(lambda api: api.answer(wait, payload), f"answer {next(self._numbers)}")

    def ask(self, act: Callable[[Api], Awaitable[T]], name: str = "") -> T:
        """Call the API, as `sim.ask(lambda api: api.cancel("run"))`; what it answers or raises."""
        answers: list[T] = []
        errors: list[TidestepError] = []
        loop = self.world.stage.loop

        async def asked(api: Api) -> None:
            if answers or errors:
                return  # the caller has lost the answer, and has nobody left to give it to
            try:
                answers.append(await act(api))
            except PlatformError:
                raise
            except TidestepError as error:
                errors.append(error)
                raise
            finally:
                if answers or errors:
                    loop.stop()

        self.world.at(loop.time(), asked, name or f"call {next(self._numbers)}")
        self._go_on(loop.time() + LONGEST_S)
        if errors:
            raise errors[0]
        return answers[0]

    def after(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let so much time pass, and everything happen that is due in it."""
        loop = self.world.stage.loop
        until = loop.time() + days * DAY_S + hours * 3600 + minutes * 60 + seconds
        loop.call_at(until, _nothing, context=Variables())
        self._go_on(until)

    def run(self) -> Report:
        """Let time pass until every run has ended, or waits for nothing but a signal."""
        report = self.world.run(self.world.stage.loop.time() + LONGEST_S)
        if report.violation is not None:
            raise report.violation
        if not report.quiet:
            raise NeverEnds(f"runs that go on after fifty years: {report.unsettled}")
        return report

    def _go_on(self, until: float) -> None:
        stage = self.world.stage
        with logs_in(stage):
            stage.loop.run_dry(until)
        if stage.broken is not None:
            raise stage.broken
        if stage.loop.complaints:
            raise stage.loop.complaints[0]

    # -- what there is ----------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The true time of the simulated world."""
        return datetime.fromtimestamp(self.world.stage.now() / 1000, UTC)

    @property
    def calls(self) -> Mapping[str, int]:
        """How often the actor of each node was called, by all runs together."""
        return self._calls.by_node

    @property
    def history(self) -> str:
        """All that has happened, line by line."""
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        return readable(self.world.history.lines(), self._names)

    def view(self, run: str = "run") -> RunView:
        """Status, output, error and what is pending. Raises RunNotFound."""
        return self.world.view(run)


class _Calls(Observer):
    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.by_node: Counter[str] = Counter()

    def actor_began(self, key: RunKey, token: TokenId, worker: str, at: int) -> None:
        self.by_node[self._names[token[1]]] += 1


def gathered(actors: Actors) -> Registry:
    """The library and these. Raises Misconfigured, or TypeError for what holds no actors."""
    found: dict[str, AnyActor] = dict(load_registry(()))
    for each in _each(actors):
        found[each.name] = each
    return Registry(found.values())


def _each(actors: Any) -> Iterator[AnyActor]:
    if isinstance(actors, Actor):
        yield actors
    elif isinstance(actors, str):
        library = load_registry(())
        yield from (a for name, a in load_registry([actors]).items() if name not in library)
    elif isinstance(actors, ModuleType):
        yield from (each for each in vars(actors).values() if isinstance(each, Actor))
    elif isinstance(actors, Mapping):
        yield from actors.values()
    elif isinstance(actors, Iterable):
        for each in actors:
            yield from _each(each)
    else:
        raise TypeError(f"{actors!r} is no actor, no module, and no import path of actors")


def _definition(workflow: Workflows, actors: Registry) -> Definition:
    if isinstance(workflow, Definition):
        return workflow
    if isinstance(workflow, str | Path):
        return load_definition(workflow, actors)
    if isinstance(workflow, Workflow):
        return definition_of(workflow.document(), actors)
    return definition_of(workflow, actors)


def _nothing() -> None:
    pass
