"""Draw a random `Sketch`: blocks within blocks, and for each node a script (see `graphs`)."""

from __future__ import annotations

from random import Random

from engine.definition import ERROR_PORT, RetryPolicy
from engine.simulation.workloads.graphs import Edge, NodeSketch, Sketch
from engine.simulation.workloads.scripted import AGAIN, INPORTS, NEWS, Manner, Script

Exit = tuple[str, str]
"""A node and an outport that leads nowhere yet."""

MOST_NODES = 25
SLEEPS = (0.5, 5.0, 60.0, 890.0, 905.0, 5_000.0, 86_400.0 * 3)
INTERVALS = (0.0, 0.5, 3.0, 30.0, 400.0, 1_500.0)
SIGNALS = ("go", NEWS)
BLOB_PAD = 750_000
"""More than an item may hold, once it is compressed."""


def draw_sketch(random: Random) -> Sketch:
    """A graph of 2 to about `MOST_NODES` nodes."""
    return _Drawing(random).sketch()


class _Drawing:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._seed = random.randrange(1 << 32)
        self._trouble = random.choice((0.0, 0.1, 0.3))
        self._extent = random.choice((0.0, 0.1, 0.25))
        self._patience = random.choice((0.0, 0.0, 0.2, 0.4))
        self._nodes: list[NodeSketch] = []
        self._edges: list[Edge] = []
        self._start: list[str] = []
        self._ids = 0
        self._loops = 0
        self._confluent = True

    def sketch(self) -> Sketch:
        random = self._random
        budget = min(random.randint(2, MOST_NODES), random.randint(2, MOST_NODES))
        if budget > 3 and random.random() < 0.15:
            self._two_starts(budget)
        else:
            self._block(budget, [])
        if random.random() < 0.12:
            self._throw_in_edges()
        return Sketch(
            nodes=tuple(self._nodes),
            edges=tuple(dict.fromkeys(self._edges)),
            start=tuple(self._start),
            on_failure="continue" if random.random() < 0.3 else "fail",
            max_steps=12 if random.random() < 0.03 else 150,
            confluent=self._confluent,
            deadline=random.choice((20.0, 600.0, 5_000.0)) if random.random() < 0.08 else 0.0,
        )

    def _two_starts(self, budget: int) -> None:
        half = budget // 2
        arms = [self._block(half, []), self._block(budget - half, [])]
        if self._random.random() < 0.6:
            self._join([arm for arm in arms if arm])

    # -- blocks: each connects `entries` to its first node and returns the ways out of it ---------

    def _block(self, budget: int, entries: list[Exit]) -> list[Exit]:
        if budget <= 1:
            return self._step(entries)
        kinds = [self._sequence] * 3 + [self._branch] * 3 + [self._handled]
        if budget >= 4:
            kinds += [self._parallel] * 4 + [self._lenient]
        if self._loops < 2:
            kinds += [self._loop] * 2
        return self._random.choice(kinds)(budget, entries)

    def _step(self, entries: list[Exit]) -> list[Exit]:
        return [(self._node([entries]), "out")]

    def _sequence(self, budget: int, entries: list[Exit]) -> list[Exit]:
        first = self._random.randint(1, budget - 1)
        exits = self._block(first, entries)
        return self._block(budget - first, exits) if exits else []

    def _branch(self, budget: int, entries: list[Exit]) -> list[Exit]:
        ports = ("left", "right", "else")[: self._random.randint(2, 3)]
        node = self._node([entries], Script(self._seed, ports=ports))
        exits: list[Exit] = []
        for port, share in zip(ports, self._shares(budget - 1, len(ports)), strict=True):
            if share:
                exits += self._block(share, [(node, port)])
            elif self._random.random() < 0.8:
                exits.append((node, port))
        return exits

    def _parallel(self, budget: int, entries: list[Exit]) -> list[Exit]:
        fork = self._node([entries])
        arms = self._arms(budget - 2, fork)
        if not arms:
            return []
        fate = self._random.random()
        if fate < 0.15:
            self._confluent = False
            return [way for arm in arms for way in arm]
        if fate < 0.3:
            self._overlaps()
            return arms[0]
        return self._join(arms)

    def _arms(self, budget: int, fork: str) -> list[list[Exit]]:
        width = self._random.randint(2, min(len(INPORTS), budget))
        arms = [self._block(share, [(fork, "out")]) for share in self._shares(budget, width, 1)]
        if not all(arms):
            self._overlaps()
        return [arm for arm in arms if arm]

    def _overlaps(self) -> None:
        """An arm is left behind: in a loop, the next round may begin before it is done."""
        if self._loops:
            self._confluent = False

    def _join(self, arms: list[list[Exit]]) -> list[Exit]:
        return [(self._node(arms), "out")] if arms else []

    def _lenient(self, budget: int, entries: list[Exit]) -> list[Exit]:
        """A join with a port whose message comes only sometimes."""
        self._overlaps()
        fork = self._node([entries])
        maybe = self._node([[(fork, "out")]], Script(self._seed, ports=("yes", "no")))
        sure = self._block(budget - 3, [(fork, "out")])
        if not sure:
            return []
        return [(self._node([sure, [(maybe, "yes")]], optional=("b",)), "out")]

    def _handled(self, budget: int, entries: list[Exit]) -> list[Exit]:
        node = self._node([entries], Script(self._seed, breaks=0.4))
        return [(node, "out"), *self._block(budget - 1, [(node, ERROR_PORT)])]

    def _loop(self, budget: int, entries: list[Exit]) -> list[Exit]:
        control = self._new_id()
        self._loops += 1
        exits = self._block(budget - 1, [*entries, (control, AGAIN)])
        self._loops -= 1
        if not exits:
            self._edges = [edge for edge in self._edges if edge[0] != control]
            return []
        rounds = self._random.randint(2, 3)
        self._node([exits], Script(self._seed, ports=("done", AGAIN), rounds=rounds), id=control)
        return [(control, "done")]

    # -- pieces ------------------------------------------------------------------------------------

    def _node(
        self,
        arms: list[list[Exit]],
        script: Script | None = None,
        optional: tuple[str, ...] = (),
        id: str | None = None,
    ) -> str:
        """A node with an inport for each arm, which all the arm's exits lead to."""
        id = id or self._new_id()
        ways_in = sum(len(arm) for arm in arms)
        back = sum(node not in self._known() for arm in arms for node, _ in arm)
        if ways_in == back:  # nothing but loops that are still open leads here
            self._start.append(id)
        for inport, arm in zip(INPORTS, arms, strict=False):
            self._edges += [(source, port, id, inport) for source, port in arm]
        script, retry = self._tempered(script or Script(self._seed))
        fate = self._random.random()
        wide = 1 if fate < 0.85 else self._random.randint(2, 4)
        manner: Manner = "counting" if fate < 0.12 else "once" if fate > 0.95 else "plain"
        self._nodes.append(NodeSketch(id, script, max(1, len(arms)), optional, retry, manner, wide))
        return id

    def _known(self) -> set[str]:
        return {node.id for node in self._nodes}

    def _new_id(self) -> str:
        self._ids += 1
        return f"n{self._ids}"

    def _shares(self, budget: int, parts: int, least: int = 0) -> list[int]:
        """`budget` in `parts` parts, none below `least` as far as it goes."""
        shares = [least] * parts
        for _ in range(budget - least * parts):
            shares[self._random.randrange(parts)] += 1
        return shares

    def _tempered(self, script: Script) -> tuple[Script, RetryPolicy | None]:
        """The script with its share of trouble, time and size; and the policy to go with it."""
        random, retry = self._random, None
        fields = {name: getattr(script, name) for name in script.__struct_fields__}
        if random.random() < 0.1 + self._trouble:
            interval = random.choice(INTERVALS)
            retry = RetryPolicy(
                max_attempts=random.randint(2, 4),
                interval=interval,
                backoff=random.choice(("fixed", "exponential")),
                max_interval=max(interval, random.choice((60.0, 3_000.0))),
                jitter=random.random() < 0.5,
            )
            fields |= {"attempts": retry.max_attempts, "fails": 0.5}
        if random.random() < self._trouble / 6:
            fields["breaks"] = 0.5
        fields["lasts"] = random.choice((0.0, 0.0, 0.05, 1.0, 20.0))
        if random.random() < self._trouble:
            fields |= {"limit": 30.0}
        if random.random() < self._extent:
            fields["sleeps"] = tuple(random.sample(SLEEPS, 2))
        if random.random() < self._patience:
            self._confluent = False  # what comes first, the signal or the time-out?
            fields["waits"] = random.choice(SIGNALS)
            fields["patience"] = random.choice((0.0, 2.0, 40.0, 700.0, 1_000.0, 86_400.0))
        if random.random() < self._patience / 2:
            fields["tells"] = random.choice(("run1", "run2", "nobody"))
        if random.random() < 0.15:
            fields["pad"] = random.choice((60, 200, 1_500, 9_000))
        elif random.random() < 0.001:
            fields["pad"] = BLOB_PAD
        return Script(**fields), retry

    def _throw_in_edges(self) -> None:
        """Edges that no block would draw."""
        self._confluent = False
        for _ in range(self._random.choice((1, 2, 8))):
            source, target = self._random.choice(self._nodes), self._random.choice(self._nodes)
            port = self._random.choice((*source.script.ports, ERROR_PORT))
            inport = self._random.choice(INPORTS[: target.inports])
            self._edges.append((source.id, port, target.id, inport))
