"""What one attempt does to a run's state."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.definition import Definition, RetryPolicy
from engine.ending import complete
from engine.outcomes import Done, Failed, Outcome, Settling, Slept
from engine.settle import Settled, settle
from engine.snapshot import (
    ABSENT,
    FORMAT,
    PAGE_ENTRIES,
    Failure,
    Head,
    Kind,
    Resumed,
    State,
    Status,
    Token,
    back,
    decode_head,
    encode_head,
    page_first,
    settled_at,
)
from engine.starting import first_head
from tests.engine.graphs import CREATED, RETRY_TWICE, graph


def begin(definition: Definition) -> Head:
    return first_head(definition, b"d" * 16, b"s" * 16, b"null", CREATED)


def token_of(head: Head, definition: Definition, node: str) -> Token:
    (token,) = [t for t in head.frontier if definition.nodes[t.node].id == node]
    return token


class Play:
    """Settles one attempt after the other, the way a dispatcher would."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.head = begin(definition)
        self.now = CREATED
        self.pages: list[Any] = []
        self.last: Settled | None = None

    def __call__(
        self, node: str, outcome: Outcome | str = "out", sid: str = "sid", **facts: Any
    ) -> Settled:
        if isinstance(outcome, str):
            outcome = Done(outcome, b'"%d"' % self.head.next_number)
        self.now += 10
        token = token_of(self.head, self.definition, node)
        policy = self.definition.nodes[token.node].retry or RetryPolicy()
        settling = Settling(token, outcome, sid, self.now, 5, policy=policy, **facts)
        settled = settle(self.head, self.definition, settling)
        if settled.page is not None:
            self.pages.append(settled.page)
        self.head = settled.head
        self.last = settled
        return settled

    @property
    def pending(self) -> list[str]:
        return sorted(self.definition.nodes[t.node].id for t in self.head.frontier)


BOOM = Failed(Failure("ValueError", "boom"), ("ValueError", "Exception"))


def test_a_message_activates_the_next_node_with_a_reference_to_the_result() -> None:
    play = Play(graph("a -> b"))
    settled = play("a")
    (token,) = settled.ready
    assert (token.node, token.visit, token.attempt, token.inputs) == (1, 1, 1, (1,))
    assert play.head.status is Status.ACTIVE


def test_the_start_token_carries_the_runs_input_and_belongs_to_the_start() -> None:
    (token,) = begin(graph("a -> b")).frontier
    assert token.inputs == ()
    assert token.owner == "start"


def test_every_settle_raises_the_revision_by_one() -> None:
    play = Play(graph("a -> b", "b -> a", start="a"))
    revisions = [play(node).head.rev for node in "ababa"]
    assert revisions == [2, 3, 4, 5, 6]


def test_what_an_attempt_makes_ready_is_owned_by_the_message_it_processed() -> None:
    play = Play(graph("a -> b", "a -> c"))
    settled = play("a", sid="mine")
    assert [token.owner for token in settled.ready] == ["mine", "mine"]


def test_several_edges_from_one_port_each_get_the_message() -> None:
    play = Play(graph("a -> b", "a -> c", "a -> d"))
    play("a")
    assert play.pending == ["b", "c", "d"]


def test_a_join_fires_once_when_every_connected_port_holds_a_message() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> j.left", "c -> j.right"))
    play("a")
    play("b")
    assert play.pending == ["c"]
    play("c")
    (token,) = play.head.frontier
    assert token.inputs == (2, 3)
    assert play.head.ports == {}


def test_a_join_pairs_messages_in_the_order_they_were_committed() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> j.left", "c -> j.right"))
    play("a")
    play("c")
    play("b")
    (token,) = play.head.frontier
    assert token.inputs == (3, 2)


def test_edges_into_one_port_merge_and_a_busy_node_queues() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> m", "c -> m"))
    play("a")
    play("b")
    play("c")
    (token,) = play.head.frontier
    assert (token.visit, token.inputs) == (1, (2,))
    assert play.head.ports == {3: ((3,),)}
    play("m")
    (token,) = play.head.frontier
    assert (token.visit, token.inputs) == (2, (3,))


def test_a_node_in_backoff_holds_its_queue() -> None:
    definition = graph("a -> b", "a -> c", "b -> m", "c -> m", retry={"m": RETRY_TWICE})
    play = Play(definition)
    play("a")
    play("b")
    play("m", BOOM)
    play("c")
    assert play.pending == ["m"]
    assert play.head.status is Status.ERROR
    assert play.head.ports == {3: ((4,),)}


def test_a_loop_counts_visits_and_never_uses_one_twice() -> None:
    play = Play(graph("a -> b", "b.again -> a", "b -> c", start="a"))
    visits = []
    for _ in range(3):
        visits.append(token_of(play.head, play.definition, "a").visit)
        play("a")
        play("b", "again")
    assert visits == [1, 2, 3]


def test_a_node_that_can_run_only_once_needs_no_counter() -> None:
    play = Play(graph("a -> b", counted=False))
    play("a")
    assert play.head.visits == ()
    assert token_of(play.head, play.definition, "b").visit == 1


def test_a_declared_but_unconnected_port_ends_its_branch() -> None:
    play = Play(graph("a -> b", "a -> c"))
    play("a")
    play("b", "elsewhere")
    assert play.pending == ["c"]


def test_the_run_is_quiescent_when_nothing_is_left_to_run() -> None:
    play = Play(graph("a -> b"))
    assert not play("a").quiescent
    settled = play("b")
    assert settled.quiescent
    assert complete(settled.head, b"1", play.now).status is Status.COMPLETED


def test_a_failed_attempt_is_retried_after_the_policys_delay_with_the_same_inputs() -> None:
    play = Play(graph("a -> b", retry={"b": RETRY_TWICE}))
    play("a")
    settled = play("b", BOOM, sid="second")
    (token,) = settled.ready
    assert (token.attempt, token.visit, token.inputs) == (2, 1, (1,))
    assert (token.state, token.resumed) == (State.RETRYING, Resumed.RETRY)
    assert token.due == play.now + 1000
    assert token.owner == "second"
    assert play.head.status is Status.ERROR
    play("b", BOOM)
    assert token_of(play.head, play.definition, "b").due == play.now + 2000


def test_jitter_draws_the_delay_from_chance_and_records_it() -> None:
    policy = RetryPolicy(max_attempts=3, interval=10)
    play = Play(graph("a", retry={"a": policy}))
    play("a", BOOM, chance=0.25)
    assert token_of(play.head, play.definition, "a").due == play.now + 2500
    assert play.head.tail[-1].chance == 0.25


def test_retries_end_the_run_when_they_are_used_up() -> None:
    play = Play(graph("a -> b", retry={"a": RETRY_TWICE}))
    play("a", BOOM)
    play("a", BOOM)
    settled = play("a", BOOM)
    assert settled.ready == ()
    head = play.head
    assert (head.status, head.failure, head.failed_node) == (Status.FAILED, BOOM.failure, 0)
    assert head.wake_at == 0
    (token,) = head.frontier
    assert (token.state, token.failures, token.attempt) == (State.STOPPED, 3, 3)


def test_a_permanent_failure_is_not_retried() -> None:
    play = Play(graph("a", retry={"a": RETRY_TWICE}))
    play("a", Failed(Failure("PermanentFailure", "no"), permanent=True))
    assert play.head.status is Status.FAILED


@pytest.mark.parametrize(
    ("policy", "retried"),
    [
        (RetryPolicy(max_attempts=2, retry_on=("ValueError",)), True),
        (RetryPolicy(max_attempts=2, retry_on=("Exception",)), True),
        (RetryPolicy(max_attempts=2, retry_on=("KeyError",)), False),
        (RetryPolicy(max_attempts=2, never_retry=("ValueError",)), False),
        (RetryPolicy(max_attempts=2, retry_on=("ValueError",), never_retry=("Exception",)), False),
    ],
)
def test_retries_depend_on_the_class_of_the_error(policy: RetryPolicy, retried: bool) -> None:
    play = Play(graph("a", retry={"a": policy}))
    play("a", BOOM)
    assert (play.head.status is Status.ERROR) is retried


def test_delays_grow_exponentially_up_to_the_maximum() -> None:
    policy = RetryPolicy(max_attempts=9, interval=2, max_interval=10, jitter=False)
    assert [policy.delay_ms(n, 0.5) for n in (1, 2, 3, 4, 500)] == [2000, 4000, 8000, 10000, 10000]


def test_a_failure_goes_out_of_a_connected_error_port() -> None:
    play = Play(graph("a -> b", "a.error -> c"))
    play("a", BOOM)
    assert play.pending == ["c"]
    entry = play.head.tail[-1]
    assert (entry.kind, entry.port, entry.failure) == (Kind.FAILED, "error", BOOM.failure)


def test_with_on_failure_continue_joins_still_fire() -> None:
    edges = ("a -> b", "a -> c", "b -> j.left", "c -> j.right")
    play = Play(graph(*edges, on_failure="continue"))
    play("a")
    play("b", BOOM)
    play("c")
    assert play.pending == ["j"]


def test_a_starved_join_fails_the_run_and_names_node_and_ports() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> j.left", "c.rare -> j.right"))
    play("a")
    play("b")
    play("c", "out")
    assert play.head.status is Status.FAILED
    assert play.head.failure is not None
    assert play.head.failure.type == "Starved"
    assert "'j' got nothing on 'right'" in play.head.failure.message


def test_an_optional_port_is_done_without_once_nothing_else_can_run() -> None:
    edges = ("a -> b", "a -> c", "b -> j.left", "c.rare -> j.right")
    play = Play(graph(*edges, optional={"j": ["right"]}))
    play("a")
    play("b")
    play("c", "out")
    (token,) = play.head.frontier
    assert token.inputs == (2, ABSENT)
    assert play("j").quiescent


def test_a_sleeping_token_keeps_its_visit_and_is_not_a_failure() -> None:
    play = Play(graph("a -> b"))
    settled = play("a", Slept(CREATED + 60_000))
    (token,) = settled.ready
    assert (token.state, token.due, token.attempt) == (State.SLEEPING, CREATED + 60_000, 2)
    assert (token.visit, token.failures, token.resumed) == (1, 0, Resumed.SLEPT)
    assert play.head.status is Status.PAUSED


def test_a_retry_of_an_attempt_that_had_slept_does_not_sleep_again() -> None:
    play = Play(graph("a", retry={"a": RETRY_TWICE}))
    play("a", Slept(CREATED + 60_000))
    (token,) = play("a", BOOM).ready
    assert (token.state, token.resumed, token.failures) == (State.RETRYING, Resumed.SLEPT, 1)


def test_a_sleep_beyond_the_queues_reach_has_no_message_but_a_look_at_time() -> None:
    play = Play(graph("a -> b"))
    until = CREATED + 30 * 86_400_000
    settled = play("a", Slept(until))
    assert settled.ready == ()
    assert play.head.wake_at == until - 600_000


def test_the_step_budget_ends_a_runaway_loop() -> None:
    play = Play(graph("a -> b", "b -> a", start="a", max_steps=4))
    for node in "abab":
        play(node)
    assert play.head.status is Status.FAILED
    assert play.head.failure is not None
    assert play.head.failure.type == "StepBudgetExhausted"


def test_a_run_may_use_its_whole_step_budget() -> None:
    play = Play(graph("a -> b", max_steps=2))
    play("a")
    assert play("b").quiescent
    assert play.head.failure is None


def test_a_frontier_beyond_its_bound_fails_the_run() -> None:
    edges = [f"a -> n{i}" for i in range(65)]
    play = Play(graph(*edges))
    play("a")
    assert play.head.failure is not None
    assert play.head.failure.type == "FrontierFull"


def test_a_full_tail_moves_to_a_page_that_follows_from_the_head_alone() -> None:
    play = Play(graph("a -> b", "b -> a", start="a"))
    for step in range(PAGE_ENTRIES):
        assert play("ab"[step % 2]).page is None
    full = play.head
    settled = play("ab"[PAGE_ENTRIES % 2])
    assert settled.page is not None
    assert settled.page.first == 1
    assert settled.page.entries == full.tail
    assert settled.head.first == PAGE_ENTRIES + 1
    assert len(settled.head.tail) == 1
    assert page_first(PAGE_ENTRIES) == 1
    assert page_first(PAGE_ENTRIES + 1) == PAGE_ENTRIES + 1


def test_the_heads_size_does_not_follow_the_history() -> None:
    play = Play(graph("a -> b", "b -> a", start="a", max_steps=10**6))
    sizes = []
    for step in range(3000):
        play("ab"[step % 2])
        sizes.append(len(encode_head(play.head)))
    assert max(sizes[2000:]) == max(sizes[600:1200])


def test_a_named_node_keeps_a_reference_to_its_latest_result_linked_to_the_one_before() -> None:
    play = Play(graph("a -> b", "b -> a", start="a", named=["a"]))
    for node in "abab":
        play(node)
    assert play.head.latest == {0: 3}
    entries = play.head.tail
    assert [entry.previous for entry in entries] == [0, 0, 2, 0]


def test_the_look_at_time_of_a_token_is_fixed_and_coarse() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> d"))
    play("a")
    fixed = {t.node: t.look_at for t in play.head.frontier}
    play("b")
    assert token_of(play.head, play.definition, "c").look_at == fixed[2]
    assert all(look % 600_000 == 0 for look in fixed.values())
    assert play.head.wake_at == min(t.look_at for t in play.head.frontier)


def test_settling_the_same_outcome_on_a_newer_head_keeps_the_other_branchs_result() -> None:
    definition = graph("a -> b", "a -> c", "b -> j.left", "c -> j.right")
    play = Play(definition)
    play("a")
    before = play.head
    play("b")
    token = token_of(before, definition, "c")
    settled = settle(play.head, definition, Settling(token, Done("out", b"1"), "sid", play.now))
    assert [entry.node for entry in settled.head.tail] == [0, 1, 2]
    assert [definition.nodes[t.node].id for t in settled.head.frontier] == ["j"]


def test_a_new_actor_state_becomes_visible_with_the_heads_save() -> None:
    play = Play(graph("a -> b"))
    play("a", state=b'{"n":1}')
    assert play.head.states == {0: b'{"n":1}'}


def test_a_head_survives_its_encoding() -> None:
    play = Play(graph("a -> b", "a -> c", "b -> j.left", "c -> j.right", named=["a"]))
    play("a", state=b"{}")
    play("b")
    assert decode_head(encode_head(play.head)) == play.head
    assert play.head.format == FORMAT


def test_times_and_references_in_entries_are_distances_that_lead_back() -> None:
    play = Play(graph("a -> b", "b -> a", start="a"))
    times = []
    for step in range(2 * PAGE_ENTRIES + 3):
        play("ab"[step % 2])
        times.append(play.now - CREATED)
    found = []
    for page in play.pages:
        found += settled_at(page.entries, page.last_at)
    found += settled_at(play.head.tail, play.head.last_at)
    assert found == times
    first = play.head.first
    numbers = range(first, first + len(play.head.tail))
    inputs = [back(n, e.inputs) for n, e in zip(numbers, play.head.tail, strict=True)]
    assert inputs == [(n - 1,) for n in numbers]
    assert back(7, (0, -1, 5)) == (0, -1, 2)


def test_folding_the_history_rebuilds_where_the_run_stood() -> None:
    edges = ("a -> b", "a -> c", "b -> j.left", "c -> j.right", "j -> a")
    jittery = RetryPolicy(max_attempts=3, interval=9)
    definition = graph(*edges, start="a", named=["c"], retry={"c": jittery})
    play = Play(definition)
    for _ in range(4):
        play("a")
        play("c", BOOM, chance=0.3)
        play("b", Slept(play.now + 5_000))
        play("c")
        play("b")
        play("j")

    entries = [entry for page in play.pages for entry in page.entries] + list(play.head.tail)
    head, now = begin(definition), CREATED
    for entry in entries:
        now += entry.after
        token = head.find(entry.node, entry.visit, entry.attempt)
        assert token is not None
        outcome: Outcome = Done(entry.port, entry.value)
        if entry.kind is Kind.SLEPT:
            outcome = Slept(now + entry.wait)
        elif entry.failure is not None:
            outcome = Failed(entry.failure, BOOM.kinds)
        policy = definition.nodes[entry.node].retry or RetryPolicy()
        facts = {"took": entry.took, "chance": entry.chance or 0.0, "policy": policy}
        head = settle(head, definition, Settling(token, outcome, "fold", now, **facts)).head

    def anonymous(head: Head) -> Head:
        """Without who sent what, which a fork decides anew."""
        return replace(
            head,
            frontier=tuple(replace(token, owner="") for token in head.frontier),
            tail=tuple(replace(entry, owner="") for entry in head.tail),
        )

    assert anonymous(head) == anonymous(play.head)
