"""The reference model: by hand on small graphs, and against the engine on random ones."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from engine.definition import ERROR_PORT, Definition, RetryPolicy
from engine.ending import complete
from engine.layout import RunKey, page_item
from engine.outcomes import Done, Failed, Outcome, Settling, Slept
from engine.settle import settle
from engine.simulation.checks.chronicle import Chronicle
from engine.simulation.checks.reference import Divergence, Marking, retry_delay_bounds
from engine.simulation.workloads.drawing import draw_sketch
from engine.snapshot import ABSENT, Failure, Head, Kind, Status, encode_page
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph


def marking(definition: Definition, frontier_limit: int = 64) -> Marking:
    model = Marking(definition, frontier_limit)
    model.begin()
    return model


def play(model: Marking, *names: str) -> None:
    """Settle the named nodes one after the other: "node", "node.port" or "node!" for a failure."""
    for name in names:
        id, _, port = name.rstrip("!").partition(".")
        (number,) = [n for n, node in enumerate(model.definition.nodes) if node.id == id]
        activation = min(each for each in model.pending if each[0] == number)
        kind = Kind.FAILED if name.endswith("!") else Kind.DONE
        out = port or ("" if kind is Kind.FAILED else "out")
        attempt = model.pending[activation].attempt
        model.settle(model.steps + 1, activation, attempt, kind, out)


def pending(model: Marking) -> dict[str, tuple[int, ...]]:
    nodes = model.definition.nodes
    return {f"{nodes[n].id}/{visit}": p.inputs for (n, visit), p in model.pending.items()}


JOIN = graph("a -> b", "a -> c", "b -> j.left", "c -> j.right")


def test_a_join_fires_once_for_each_set_of_messages() -> None:
    model = marking(JOIN)
    play(model, "a", "b")
    assert pending(model) == {"c/1": (1,)}
    play(model, "c")
    assert pending(model) == {"j/1": (2, 3)}
    play(model, "j")
    assert model.verdict.ended is Status.COMPLETED


def test_a_serial_node_takes_its_messages_in_the_order_of_their_commits() -> None:
    model = marking(graph("a -> m", "b -> m", "c -> m"))
    play(model, "b", "c", "a")
    assert pending(model) == {"m/1": (1,)}
    play(model, "m")
    assert pending(model) == {"m/2": (2,)}
    play(model, "m", "m")
    assert model.verdict.ended is Status.COMPLETED


def test_a_wide_node_runs_several_visits_at_a_time() -> None:
    definition = graph("a -> m", "b -> m", "c -> m")
    nodes = tuple(replace(n, concurrency=2) if n.id == "m" else n for n in definition.nodes)
    model = marking(replace(definition, nodes=nodes))
    play(model, "b", "c", "a")
    assert pending(model) == {"m/1": (1,), "m/2": (2,)}
    assert model.load == 3


def test_a_join_left_partly_filled_starves_unless_the_port_is_optional() -> None:
    model = marking(JOIN)
    play(model, "a", "b")
    play(model, "c.elsewhere")
    assert (model.verdict.ended, model.verdict.failure) == (Status.FAILED, "Starved")

    lenient = marking(
        graph("a -> b", "a -> c", "b -> j.left", "c -> j.right", optional={"j": ("right",)})
    )
    play(lenient, "a", "b", "c.elsewhere")
    (join,) = lenient.may_go_without()
    lenient.go_without(join)
    assert pending(lenient) == {"j/1": (2, ABSENT)}


def test_a_failure_goes_where_the_graph_or_the_policy_says() -> None:
    handled = marking(graph(f"a.{ERROR_PORT} -> h", "a -> b"))
    play(handled, f"a.{ERROR_PORT}!")
    assert pending(handled) == {"h/1": (1,)}
    fatal = marking(graph("a -> b"))
    play(fatal, "a!")
    assert (fatal.verdict.ended, fatal.verdict.node) == (Status.FAILED, 0)
    assert fatal.pending[0, 1].stopped
    with pytest.raises(Divergence, match="not of ''"):
        play(marking(graph("a -> b")), "a.out!")


def test_a_retry_goes_on_where_the_run_had_failed() -> None:
    model = marking(graph("a -> b"))
    play(model, "a!")
    model.reopen()
    assert model.pending[0, 1].attempt == 2
    play(model, "a")
    assert pending(model) == {"b/1": (1,)}


@pytest.mark.parametrize(
    ("activation", "attempt", "text"),
    [((1, 1), 1, "not pending"), ((0, 2), 1, "not pending"), ((0, 1), 2, "attempt 2, not 1")],
)
def test_what_was_not_pending_cannot_have_settled(
    activation: tuple[int, int], attempt: int, text: str
) -> None:
    with pytest.raises(Divergence, match=text):
        marking(graph("a -> b")).settle(1, activation, attempt, Kind.DONE, "out")


def test_budget_and_frontier_end_a_run() -> None:
    model = marking(graph("a -> b", "b -> a", start="a", max_steps=3))
    play(model, "a", "b", "a")
    assert model.verdict.failure == "StepBudgetExhausted"
    full = marking(graph("a -> b", "a -> c", "a -> d"), frontier_limit=2)
    play(full, "a")
    assert full.verdict.failure == "FrontierFull"


def test_delays_lie_within_their_policy() -> None:
    policy = RetryPolicy(max_attempts=9, interval=2, max_interval=5, jitter=False)
    assert [retry_delay_bounds(policy, n)[0] for n in (1, 2, 3)] == [2000, 4000, 5000]
    assert retry_delay_bounds(replace(policy, jitter=True), 2)[0] == 0
    for failures in range(1, 9):
        for chance in (0.0, 0.5, 0.999):
            least, most = retry_delay_bounds(policy, failures)
            assert least <= policy.delay_ms(failures, chance) <= most


# -- against the engine ---------------------------------------------------------------------------


def outcome_of(random: Random, ports: list[str], now: int) -> Outcome:
    fate = random.random()
    if fate < 0.1:
        return Failed(Failure("Boom", "boom"), ("Boom",), permanent=random.random() < 0.3)
    if fate < 0.2:
        return Slept(now + random.randrange(10_000_000))
    return Done(random.choice(ports), b"1")


@pytest.mark.parametrize("block", range(20))
def test_the_engine_settles_as_the_model_does(block: int) -> None:
    """Random graphs, random outcomes in random order: every head is held against the model."""
    for seed in range(block * 10, block * 10 + 10):
        random = Random(seed)
        sketch = draw_sketch(random)
        definition = sketch.definition()
        pages: dict[str, bytes] = {}
        chronicle = Chronicle(RunKey("default", "r"), definition, pages, {}, 64)
        head = first_head(definition, b"d" * 16, b"s" * 16, b"null", CREATED)
        chronicle.saved(None, head)
        now = CREATED
        while not head.status.terminal:
            now += random.randrange(1000)
            before, head = head, stepped(head, definition, random, now, pages)
            chronicle.saved(before, head)
        assert len(chronicle.entries) == head.next_number - 1


def stepped(
    head: Head, definition: Definition, random: Random, now: int, pages: dict[str, bytes]
) -> Head:
    """The head after one pending token, at random, has settled at random."""
    token = random.choice(head.frontier)
    node = definition.nodes[token.node]
    ports = [*node.successors, node.default]
    policy = node.retry or RetryPolicy()
    settling = Settling(
        token, outcome_of(random, ports, now), "sid", now, 0, random.random(), policy
    )
    settled = settle(head, definition, settling)
    if settled.page is not None:
        pages[page_item(settled.page.first)] = encode_page(settled.page)
    return complete(settled.head, b"null", now) if settled.quiescent else settled.head
