"""One simulation, from its seed to its report.

    simulation = Simulation(seed=1, faults=STORM, actors=registry)
    simulation.start(definition, {"total": 7}, run="r")
    simulation.at(60, lambda api: api.view("r"))
    report = simulation.run()
    assert report.violation is None, simulation.history
    assert simulation.view("r").output == ...

The same seed, faults and workload give the same history, byte for byte, wherever they run.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from itertools import count
from types import TracebackType
from typing import Any, TypeVar

from engine.actors import Registry
from engine.definition import Definition
from engine.layout import DEFAULT_TENANT, RunKey, run_key
from engine.reading import RunReader, RunView
from engine.simulation.observing import Observer, Violation
from engine.simulation.world.calling import Act, Caller
from engine.simulation.world.deployment import ENGINE, Deployment, Parts
from engine.simulation.world.faults import NONE, NOTHING_MUTED, Faults, Muting
from engine.simulation.world.logs import logs_in
from engine.simulation.world.report import Report, report_on
from engine.simulation.world.settings import DEFAULTS, Settings
from engine.simulation.world.stage import Stage
from engine.simulation.world.tally import Tally
from engine.simulation.world.trace import Trace
from engine.snapshot import Head

T = TypeVar("T")

A_YEAR = 366 * 86_400.0


class Simulation:
    """A deployment of its own, in a world of its own. Times are seconds of virtual time.

    `calm_after` stops all faults for good at that time; what they have done is done. Close the
    simulation, or use it as a context manager: code that was cut short is disposed of then.
    """

    def __init__(
        self,
        *,
        actors: Registry,
        seed: int = 0,
        faults: Faults = NONE,
        observers: Iterable[Observer] = (),
        settings: Settings = DEFAULTS,
        muting: Muting = NOTHING_MUTED,
        calm_after: float | None = None,
        parts: Parts = ENGINE,
    ) -> None:
        self._tally = Tally()
        self.stage = Stage(seed, faults, muting, [self._tally, *observers])
        self.deployment = Deployment(self.stage, settings, actors, parts)
        self._names = count(1)
        if faults == NONE:
            calm_after = 0.0
        if calm_after is not None:
            self.stage.later(calm_after * 1000, self.calm)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.stage.close()

    # -- what happens -----------------------------------------------------------------------------

    def start(
        self,
        definition: Definition,
        input: Any = None,
        run: str | None = None,
        tenant: str = DEFAULT_TENANT,
        at: float = 0.0,
    ) -> RunKey:
        """Start a run; the caller asks until it is answered."""
        key = run_key(run or f"run{next(self._names)}", tenant)
        self.at(at, lambda api: api.start(definition, input, key.run, tenant), f"start {key.run}")
        return key

    def at(self, seconds: float, act: Act, name: str = "") -> None:
        """Call the API at that time. `act` is called again where nobody answers."""
        name = name or f"call {next(self._names)}"
        caller = Caller(self.stage, self.deployment.api, name, act)
        self.stage.later((seconds - self.stage.loop.time()) * 1000, caller.ask)

    def calm(self) -> None:
        """Stop all faults for good, now."""
        self.stage.dice.calm = True
        if self.stage.dice.faults != NONE:
            self.stage.note("world", "the faults stop")
        self.stage.tell(lambda observer, at: observer.calmed(at))

    def run(self, until: float = A_YEAR) -> Report:
        """Run until nothing is left to happen, an observer objects, or the time is `until`."""
        stage = self.stage
        with logs_in(stage):
            quiet = stage.loop.run_dry(until)
        if stage.broken is None:
            heads = self.deployment.table.heads
            stage.tell(lambda observer, at: observer.came_to_rest(heads, quiet, at))
        broken = stage.broken
        if broken is not None and not isinstance(broken, Violation):
            raise broken
        if stage.loop.complaints:
            raise stage.loop.complaints[0]
        return report_on(
            self._tally,
            self.deployment.table.heads,
            seed=stage.dice.seed,
            violation=broken,
            quiet=quiet and broken is None,
            seconds=(stage.trace.last_at - stage.trace.epoch) / 1000,
            injected=dict(stage.dice.injected),
            occurrences=tuple(stage.dice.occurrences),
        )

    # -- what there is ----------------------------------------------------------------------------

    @property
    def history(self) -> Trace:
        return self.stage.trace

    def head(self, run: str, tenant: str = DEFAULT_TENANT) -> Head:
        """The run's head as the table holds it. Raises KeyError."""
        return self.deployment.table.heads[RunKey(tenant, run)]

    def view(self, run: str, tenant: str = DEFAULT_TENANT) -> RunView:
        """What `tidestep show` would say. Raises RunNotFound."""
        return _at_once(RunReader(self.deployment.unhindered()).view(RunKey(tenant, run)))


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("reading from the services themselves does not wait")
