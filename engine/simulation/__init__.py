"""The deterministic simulator: the real engine in a world where everything that can go wrong does.

    from engine.simulation import STORM, Simulation

    with Simulation(seed=1, faults=STORM, actors=registry) as simulation:
        simulation.start(definition, {"total": 7}, run="r")
        report = simulation.run()
        assert report.violation is None, simulation.history

The engine's own dispatcher, sweeper and API run in simulated processes, over a simulated queue,
store and bucket, on virtual time (`loop`). What goes wrong is drawn by name from one seed
(`faults`), so that a history can be replayed (`recipes`) and made shorter (`shrinking`).
"""

from engine.simulation.calling import Api
from engine.simulation.deployment import Parts
from engine.simulation.faults import MILD, NONE, PROFILES, STORM, Faults, Muting
from engine.simulation.loop import VirtualLoop
from engine.simulation.observing import Observer, TokenId, Violation
from engine.simulation.recipes import Recipe, parse_recipe
from engine.simulation.report import Report, rests
from engine.simulation.running import Summary, simulate_many, simulate_seed
from engine.simulation.settings import Settings
from engine.simulation.shrinking import Shrunk, shrink
from engine.simulation.tally import Delay, Repeat
from engine.simulation.trace import Trace
from engine.simulation.workload import MakeWorkload, Workload
from engine.simulation.world import Simulation

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
