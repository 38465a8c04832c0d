"""The deterministic simulator: the real engine in a world where everything that can go wrong does.

    from engine.simulation import STORM, Simulation

    with Simulation(seed=1, faults=STORM, actors=registry) as simulation:
        simulation.start(definition, {"total": 7}, run="r")
        report = simulation.run()
        assert report.violation is None, simulation.history

The engine's own dispatcher, sweeper and API run in simulated processes, over a simulated queue,
store and bucket, on virtual time. What goes wrong is drawn by name from one seed, so that a history
can be replayed (`recipes`), made shorter (`shrinking`) and simulated by the thousand (`running`).

Where to find what
- `world`: what there is. Time and hosts (`loop`, `stage`), chance (`faults`), services (`store`,
  `queue`, the `line` to them), processes and what invokes them (`process`, `functions`, `invoking`,
  `acting`), callers (`calling`), all put together (`deployment`, `simulation`), and what came of it
  (`trace`, `tally`, `report`).
- `observing`: how the world tells what happens, and how an observer objects.
- `checks`: observers for what must be true. `invariants` is where to begin; `reference` says the
  dataflow's rules once more, on its own.
- `workloads`: random workflows (`generated`, `graphs`) of actors whose results are known beforehand
  (`scripted`), and what comes to their runs from outside (`happenings`).
- `allocation`: actors that sleep, their runners and pools: a world around the deployment, checks,
  random storms, and golden traces by hand.
- `trials`: a user's own workflow: behind `tidestep simulate` (`trying`, `survey`) and the pytest
  fixture (`testing`).
"""

from engine.simulation.observing import Observer, TokenId, Violation
from engine.simulation.recipes import Recipe, parse_recipe
from engine.simulation.running import Summary, simulate_many, simulate_seed
from engine.simulation.shrinking import Shrunk, shrink
from engine.simulation.workload import MakeWorkload, Workload
from engine.simulation.world.calling import Api
from engine.simulation.world.deployment import Parts
from engine.simulation.world.faults import MILD, NONE, PROFILES, STORM, Faults, Muting
from engine.simulation.world.loop import VirtualLoop
from engine.simulation.world.report import Report, rests
from engine.simulation.world.settings import Settings
from engine.simulation.world.simulation import Simulation
from engine.simulation.world.tally import Delay, Repeat
from engine.simulation.world.trace import Trace

__all__ = [
    "MILD",
    "NONE",
    "PROFILES",
    "STORM",
    "Api",
    "Delay",
    "Faults",
    "MakeWorkload",
    "Muting",
    "Observer",
    "Parts",
    "Recipe",
    "Repeat",
    "Report",
    "Settings",
    "Shrunk",
    "Simulation",
    "Summary",
    "TokenId",
    "Trace",
    "Violation",
    "VirtualLoop",
    "Workload",
    "parse_recipe",
    "rests",
    "shrink",
    "simulate_many",
    "simulate_seed",
]
