"""Random storms over actors that sleep: pools, runners, users and operators, all drawn by seed.

    simulate_many(storm, range(300), "storm")

The faults are those of every simulation, but for `expired`: a message that is lost, and whose run
has neither a timer nor a debt, is found by the next signal to that run only. That is by design (a
sleeping actor costs no look), and would make every promise of liveness here void.

A storm has three parts: things happen until `ends_at`; then the faults stop, and everything gets
its time; then each actor is asked for once more, and must answer. At the end all must be at rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from zlib import crc32

from msgspec import structs

from engine.actors import Registry
from engine.allocation.config import CrashPolicy, PoolConfig
from engine.allocation.gateway import Served
from engine.allocation.settings import AllocationSettings
from engine.simulation.allocation.checks.rest import AllocationRules
from engine.simulation.allocation.happenings import (
    Configure,
    Deploy,
    Happening,
    Make,
    Order,
    RunnerComes,
    Trouble,
    UserRequest,
)
from engine.simulation.allocation.world import AllocationWorld
from engine.simulation.observing import Observer
from engine.simulation.workload import Workload
from engine.simulation.world.settings import Settings
from engine.simulation.world.simulation import Simulation

QUIET_S = 600.0
"""From the end of the faults until the last requests."""
LAST_S = 700.0
"""From the last requests until all must be at rest."""
LAST_TRIES = 20
LIFESPAN_MS = 3_600_000
"""Of runners then: longer than an actor stays awake."""

QUICK = AllocationSettings(backoff_reset_ms=60_000, poll_ms=100, poll_most_ms=1_000)
SLOW = replace(QUICK, ping_ms=15_000, eligible_ms=45_000, lost_ms=60_000)
"""As on AWS, where a ping costs an invocation."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool and the names of its actors, one for each crash policy that they have."""

    name: str
    config: PoolConfig
    crashes: tuple[CrashPolicy, ...]
    keys: tuple[str, ...]

    @property
    def actors(self) -> list[tuple[str, CrashPolicy, str]]:
        """Name, policy and key of each."""
        return [(f"{self.name}.{c.value}", c, key) for c in self.crashes for key in self.keys]


@dataclass(frozen=True, slots=True)
class Storm(Workload):
    """Implements `engine.simulation.workload.Workload`."""

    pools: tuple[Pool, ...]
    happenings: tuple[Happening, ...]
    ends_at: float
    patience: AllocationSettings = QUICK
    idle_s: float = 20.0
    shared_news: bool = False

    def actors(self) -> Registry:
        return Registry()

    def settings(self) -> Settings:
        return Settings(step_timeout=10.0, api_timeout=10.0, visibility=60.0)

    def observers(self) -> Sequence[Observer]:
        return [AllocationRules()]

    def begin(self, simulation: Simulation) -> None:
        dice = simulation.stage.dice
        dice.muting = replace(dice.muting, kinds=dice.muting.kinds | {"expired"})
        served = {
            name: Served(pool.name, crash) for pool in self.pools for name, crash, _ in pool.actors
        }
        world = AllocationWorld(
            simulation, self.patience, served, self._idle, shared_news=self.shared_news
        )
        for pool in self.pools:
            Configure(0.0, pool.name, pool.config).happens(world)
        for happening in self.happenings:
            happening.happens(world)
        world.at(self.ends_at, simulation.calm)
        settled, last = self.ends_at + QUIET_S / 2, self.ends_at + QUIET_S
        for pool in self.pools:
            if not pool.config.serverless:
                Configure(settled, pool.name, pool.config).happens(world)
                RunnerComes(last - 60, pool.name, f"{pool.name}-last", 12).happens(world)
            else:
                enough = structs.replace(
                    pool.config, max_runners=20, margin=0, lifespan_ms=LIFESPAN_MS
                )
                Configure(settled, pool.name, enough).happens(world)
        asked = [
            world.request(last, name, key, "/ping", tries=LAST_TRIES)
            for pool in self.pools
            for name, _, key in pool.actors
        ]
        for observer in simulation.stage.observers:
            if isinstance(observer, AllocationRules):
                observer.world, observer.must_be_served = world, asked
        world.at(self.ends_at + QUIET_S / 4, world.end_unmanaged)
        world.at(last + LAST_S, simulation.stage.loop.stop)

    def _idle(self, actor: str) -> float:
        return self.idle_s * (1 + crc32(actor.encode()) % 3)

    def smaller(self) -> Iterator[Storm]:
        """With less that happens; with a pool less; with everything at its plainest."""
        for size in (len(self.happenings) // 2, 4, 1):
            if not 0 < size < len(self.happenings):
                continue
            for start in range(0, len(self.happenings), size):
                rest = self.happenings[:start] + self.happenings[start + size :]
                yield replace(self, happenings=rest)
        if len(self.pools) > 1:
            for pool in self.pools:
                rest_of = tuple(each for each in self.pools if each is not pool)
                yield replace(self, pools=rest_of)
        if self.patience != QUICK or self.shared_news:
            yield replace(self, patience=QUICK, shared_news=False)


def storm(seed: int) -> Storm:
    """The storm of this seed."""
    random = Random(f"storm {seed}")
    ends_at = random.choice((30.0, 100.0, 300.0))
    pools = tuple(_pool(random, f"p{number}") for number in range(random.choice((1, 1, 1, 2, 3))))
    happenings: list[Happening] = []
    for pool in pools:
        happenings += _uses(random, pool, ends_at)
        happenings += _runners(random, pool, ends_at)
        if random.random() < 0.3:
            at = _sometime(random, ends_at)
            serverless = pool.config.serverless ^ (random.random() < 0.3)
            happenings.append(Configure(at, pool.name, _config(random, serverless)))
        if random.random() < 0.2:
            happenings.append(Deploy(_sometime(random, ends_at), pool.name))
    for _ in range(random.choice((0, 1, 3, 6))):
        what = random.choice(("kill", "freeze", "stop", "disconnect", "disconnect"))
        ms = random.choice((1_000, 12_000, 40_000, 200_000))
        happenings.append(Trouble(_sometime(random, ends_at), what, random.randrange(100), ms))
    return Storm(
        pools,
        tuple(sorted(happenings, key=lambda each: each.at)),
        ends_at,
        random.choice((QUICK, SLOW, SLOW)),
        random.choice((5.0, 10.0, 40.0)),
        random.random() < 0.5,
    )


def _pool(random: Random, name: str) -> Pool:
    serverless = random.random() < 0.7
    policies = random.sample(list(CrashPolicy), random.choice((1, 1, 1, 2, 3)))
    keys = tuple("abcd"[: random.choice((1, 1, 2, 3, 4))])
    return Pool(name, _config(random, serverless), tuple(policies), keys)


def _config(random: Random, serverless: bool) -> PoolConfig:
    if not serverless:
        return PoolConfig()
    return PoolConfig(
        url=random.choice(("http://one", "http://two")),
        slots_per_runner=random.randint(1, 4),
        min_runners=random.choice((0, 0, 0, 0, 1)),
        max_runners=random.choice((1, 2, 4, 10)),
        margin=random.choice((0, 0, 0, 0, 1)),
        lifespan_ms=random.choice((45_000, 120_000, 840_000)),
    )


def _uses(random: Random, pool: Pool, ends_at: float) -> list[Happening]:
    """What users and operators do with the actors of a pool."""
    found: list[Happening] = []
    for name, crash, key in pool.actors:
        if random.random() < 0.3:
            found.append(Make(_sometime(random, ends_at), pool.name, crash, name, key))
        for _ in range(random.randint(0, 6)):
            at, path = _sometime(random, ends_at), _path(random)
            for _ in range(random.choice((1, 1, 2, 5))):
                found.append(UserRequest(at, name, key, path, random.choice((1, 3))))
                at = round(at + random.choice((0.0, 0.01, 0.3, 2.0)), 3)
        while random.random() < 0.2:
            word = random.choice(("sleep", "sleep", "wake", "destroy"))
            found.append(Order(_sometime(random, ends_at), name, key, word))
    return found


def _path(random: Random) -> str:
    paths = ("/sleep", "/sleep", "/add", "/add", "/add", "/ping", "/crash", "/stop")
    alarm = f"/alarm/{random.choice((1, 10, 100, 1000))}"
    return random.choice((*paths, alarm, f"/slow/{random.choice((1, 4, 15))}"))


def _runners(random: Random, pool: Pool, ends_at: float) -> list[Happening]:
    """Runners that come by themselves; one whose process begins anew has its key again."""
    if pool.config.serverless:
        return []
    found: list[Happening] = []
    for number in range(random.randint(1, 3)):
        key, slots = f"{pool.name}-{number}", random.randint(1, 4)
        at = random.choice((0.0, _sometime(random, ends_at)))
        lives_s = random.choice((0.0, 30.0, 100.0))
        found.append(RunnerComes(at, pool.name, key, slots, lives_s))
        if lives_s:
            again = at + lives_s + random.choice((0.5, 5.0, 90.0))
            found.append(RunnerComes(again, pool.name, key, slots))
    return found


def _sometime(random: Random, ends_at: float) -> float:
    return round(random.choice((10.0, ends_at, ends_at)) * random.random(), 3)
