"""Attempts that fail, sleep, overrun or return what they must not."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replaced
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.errors import InvalidInput, InvalidName, RunExists, RunNotFound
from engine.snapshot import Status
from tests.scenarios.world import World
from tidestep import Context, Emit, PermanentFailure, Retry, Sleep, actor


def one(name: str, **settings: Any) -> str:
    extra = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"name: one\nnodes: [{{id: only, actor: {name}{extra}}}]"


class Flaky(Exception):
    pass


def test_a_retry_comes_after_the_policys_delay_and_counts_attempts(world: World) -> None:
    attempts: list[tuple[int, int, str]] = []

    @actor("flaky", retry=Retry(max_attempts=4, interval=10, jitter=False))
    async def flaky(message: Any, context: Context) -> str:
        attempts.append((context.attempt, world.clock.now(), context.idempotency_key))
        if context.attempt < 3:
            raise Flaky("not yet")
        return "done"

    began = world.clock.now()
    view = world.run(one("flaky"), None, flaky)
    assert view.output == {"only": "done"}
    assert [number for number, _, _ in attempts] == [1, 2, 3]
    assert [round((at - began) / 1000) for _, at, _ in attempts] == [0, 11, 32]
    assert {key for _, _, key in attempts} == {"run/only/1"}
    assert [r.outcome for r in world.history()] == ["retried", "retried", "done"]


def test_a_document_overrides_the_actors_own_policy(world: World) -> None:
    @actor("flaky", retry=Retry(max_attempts=9))
    async def flaky(message: Any) -> None:
        raise Flaky("never")

    view = world.run(one("flaky", retry="{max_attempts: 2}"), None, flaky)
    assert view.status is Status.FAILED
    assert len(world.history()) == 2
    assert view.error == {"type": "Flaky", "message": "never", "node": "only"}


def test_a_permanent_failure_is_tried_once(world: World) -> None:
    @actor("refuse", retry=Retry(max_attempts=9))
    async def refuse(message: Any) -> None:
        raise PermanentFailure("the card was declined")

    view = world.run(one("refuse"), None, refuse)
    assert view.error is not None
    assert view.error["message"] == "the card was declined"
    assert len(world.history()) == 1


def test_a_failure_goes_out_of_the_error_port_with_its_story(world: World) -> None:
    @actor("refuse")
    async def refuse(message: Any) -> None:
        raise Flaky("boom")

    document = """
    name: handled
    nodes:
      - {id: a, actor: refuse}
      - {id: b, actor: transform.map, config: {why: "{{ message.error.message }}"}}
    edges: [{from: a.error, to: b}]
    """
    assert world.run(document, None, refuse).output == {"b": {"why": "boom"}}


def test_an_overrunning_attempt_is_cut_off(world: World) -> None:
    @actor("hang", timeout=0.01)
    async def hang(message: Any) -> None:
        await asyncio.Event().wait()

    view = world.run(one("hang"), None, hang)
    assert view.error is not None
    assert view.error["type"] == "AttemptTimeout"
    assert "0.01 seconds" in view.error["message"]


def test_a_time_out_of_the_actors_own_is_its_own_error(world: World) -> None:
    @actor("slow")
    async def slow(message: Any) -> None:
        raise TimeoutError("the bank did not answer")

    view = world.run(one("slow"), None, slow)
    assert view.error == {
        "type": "TimeoutError",
        "message": "the bank did not answer",
        "node": "only",
    }


def test_an_actor_that_exits_fails_its_attempt_and_not_the_process(world: World) -> None:
    @actor("leave")
    async def leave(message: Any) -> None:
        raise SystemExit(3)

    assert world.run(one("leave"), None, leave).status is Status.FAILED


@pytest.mark.parametrize("seconds", [30, 3600, 30 * 86_400])
def test_a_sleep_of_any_length_wakes_on_time(world: World, seconds: int) -> None:
    woken: list[float] = []

    @actor("note")
    async def note(message: Any) -> Any:
        woken.append((world.clock.now() - began) / 1000)
        return message

    document = f"""
    name: sleeper
    nodes:
      - {{id: rest, actor: flow.sleep, config: {{seconds: {seconds}}}}}
      - {{id: note, actor: note}}
    edges: [{{from: rest, to: note}}]
    """
    began = world.clock.now()
    assert world.run(document, {"a": 1}, note).output == {"note": {"a": 1}}
    assert seconds <= woken[0] <= seconds + 1


def test_a_sleep_until_a_moment_keeps_the_input(world: World) -> None:
    @actor("nap")
    async def nap(message: int, context: Context) -> int | Sleep:
        if context.resumed is None:
            return Sleep(context.now + timedelta(hours=2))
        return message * 2

    assert world.run(one("nap"), 21, nap).output == {"only": 42}


def test_a_sleeping_run_is_paused_and_costs_no_message(world: World) -> None:
    until = datetime.fromtimestamp(world.clock.now() / 1000, UTC) + timedelta(days=3)
    document = one("flow.sleep", config=f'{{until: "{until.isoformat()}"}}')
    world.start(document, None)
    world.step()
    assert world.view().status is Status.PAUSED
    assert world.receive() == []
    world.work()
    assert world.view().status is Status.COMPLETED


def test_state_survives_visits_and_is_untouched_by_failed_attempts(world: World) -> None:
    @actor("tally", state=dict, retry=Retry(max_attempts=5), outports=("again", "done"))
    async def tally(message: Any, context: Context) -> Emit:
        context.state["visits"] = context.state.get("visits", 0) + 1
        if context.visit == 2 and context.attempt < 3:
            raise Flaky("half way")
        port = "again" if context.state["visits"] < 4 else "done"
        return Emit(port, {"visits": context.state["visits"], "pad": "x" * 200})

    document = """
    name: tally
    nodes: [{id: t, actor: tally}]
    edges: [{from: t.again, to: t}]
    start: t
    """
    view = world.run(document, None, tally)
    assert view.output["t"]["visits"] == 4


def test_large_state_lies_outside_the_head_and_old_versions_stay_for_forks(world: World) -> None:
    @actor("hoard", state=list, outports=("again", "done"))
    async def hoard(message: Any, context: Context) -> Emit:
        context.state.append("y" * 300)
        return Emit("again" if context.visit < 5 else "done", len(context.state))

    document = """
    name: hoard
    nodes: [{id: h, actor: hoard}]
    edges: [{from: h.again, to: h}]
    start: h
    """
    assert world.run(document, None, hoard).output == {"h": 5}

    async def states() -> list[str]:
        return [name async for name, _ in world.journal.scan("default/run/run", "state/")]

    assert len(world.do(states())) == 5


BAD_RESULTS = {
    "a set": ({1, 2}, "$ is of type set"),
    "a date inside": ({"at": datetime.now(UTC)}, "$.at is of type datetime"),
    "not a number": ([1.0, float("nan")], "$[1] is nan"),
    "keys that are no strings": ({1: 2}, "key 1"),
}


@pytest.mark.parametrize("case", BAD_RESULTS)
def test_a_result_that_is_not_json_fails_the_attempt_naming_the_place(
    world: World, case: str
) -> None:
    value, place = BAD_RESULTS[case]

    @actor("bad")
    async def bad(message: Any) -> Any:
        return value

    view = world.run(one("bad"), None, bad)
    assert view.error is not None
    assert view.error["type"] == "NotJson"
    assert place in view.error["message"]
    assert view.error["node"] == "only"


def test_an_output_of_five_megabytes_is_refused_with_its_size_and_the_limit(world: World) -> None:
    @actor("big")
    async def big(message: Any) -> str:
        return "x" * 5_000_000

    view = world.run(one("big", retry="{max_attempts: 3}"), None, big)
    assert view.error is not None
    assert view.error["type"] == "TooLarge"
    assert "5,000,002 bytes" in view.error["message"]
    assert "4,194,304" in view.error["message"]
    assert len(world.history()) == 1


def test_types_are_checked_before_and_after(world: World) -> None:
    @actor("typed")
    async def typed(number: int) -> int:
        return "no"  # type: ignore[return-value]

    before = world.run(one("typed"), {"a": 1}, typed)
    assert before.error is not None
    assert before.error["type"] == "InvalidValue"
    assert "port 'in'" in before.error["message"]
    world.start(one("typed"), 1, run="two")
    world.work()
    after = world.view("two").error
    assert after is not None
    assert "port 'out'" in after["message"]


def test_an_undeclared_port_is_an_error(world: World) -> None:
    @actor("stray", outports=("yes", "no"))
    async def stray(message: Any) -> Emit:
        return Emit("maybe")

    view = world.run(one("stray"), None, stray)
    assert view.error is not None
    assert view.error["type"] == "UndeclaredPort"
    assert "'maybe'" in view.error["message"]


def test_an_actor_gone_from_the_code_fails_its_step_and_not_the_queue(world: World) -> None:
    @actor("there")
    async def there(message: Any) -> None: ...

    world.start(one("there", retry="{max_attempts: 2, interval: 60, jitter: false}"), None, there)
    world.actors.clear()
    world.step()
    assert world.view().status is Status.ERROR
    world.actors.append(there)
    world.work()
    assert world.view().status is Status.COMPLETED


def test_a_missing_path_in_an_expression_fails_the_node_naming_the_path(world: World) -> None:
    document = one("transform.map", config='{total: "{{ input.order.total }}"}')
    view = world.run(document, {"order": {"sum": 1}})
    assert view.error is not None
    assert view.error["type"] == "ExpressionError"
    assert "input.order.total" in view.error["message"]


@pytest.mark.parametrize(
    "expression",
    ["''.__class__.__mro__", "'a' * 10**10", "range(10**9) | list", "'x'.center(10**8)"],
)
def test_an_expression_that_tries_to_escape_or_to_exhaust_memory_fails_its_node(
    world: World, expression: str
) -> None:
    document = one("transform.map", config=f'{{x: "{{{{ {expression} }}}}"}}')
    view = world.run(document, {})
    assert view.status is Status.FAILED
    assert view.error is not None
    assert view.error["type"] == "ExpressionError"


def test_secrets_are_resolved_at_the_step_and_never_stored(world: World) -> None:
    world.secrets["TOKEN"] = "s3cr3t-value"

    @actor("leak")
    async def leak(message: Any, *, token: str) -> dict[str, str]:
        assert token == "s3cr3t-value"
        return {"echo": f"Bearer {token}"}

    @actor("shout")
    async def shout(message: Any, *, token: str) -> None:
        raise Flaky(f"rejected: {token}")

    document = """
    name: secretive
    nodes:
      - {id: a, actor: leak, config: {token: "{{ secrets.TOKEN }}"}}
      - {id: b, actor: shout, config: {token: "{{ secrets.TOKEN }}"}}
      - id: c
        actor: transform.map
        config: {m: "{{ message.error.message }}", e: "{{ nodes.a.output.echo }}"}
    edges: [{from: a, to: b}, {from: b.error, to: c}]
    """
    view = world.run(document, None, leak, shout)
    assert view.output == {"c": {"m": "rejected: ***", "e": "Bearer ***"}}


def test_only_listed_environment_variables_can_be_read(world: World) -> None:
    world.env["REGION"] = "eu"
    document = one(
        "transform.map", config='{a: "{{ env.REGION }}", b: "{{ env.HOME | default(\'-\') }}"}'
    )
    assert world.run(document, {}).output == {"only": {"a": "eu", "b": "-"}}


def test_an_output_expression_that_fails_fails_the_run_and_says_so(world: World) -> None:
    document = one("transform.map") + '\noutput: "{{ nodes.only.output.missing }}"'
    view = world.run(document, {})
    assert view.status is Status.FAILED
    assert view.error is not None
    assert "the workflow's output" in view.error["message"]


def test_a_runaway_loop_ends_with_its_step_budget(world: World) -> None:
    document = """
    name: runaway
    max_steps: 25
    nodes: [{id: a, actor: transform.map}]
    edges: [{from: a, to: a}]
    start: a
    """
    view = world.run(document, {})
    assert view.error is not None
    assert view.error["type"] == "StepBudgetExhausted"
    assert view.steps == 25


# -- starting --------------------------------------------------------------------------------

WITH_SCHEMA = """
name: checked
input_schema:
  type: object
  required: [amount]
  properties: {amount: {type: number, minimum: 1}}
nodes: [{id: a, actor: transform.map}]
"""


def test_an_input_that_fails_the_schema_is_refused_and_no_run_is_made(world: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.start(WITH_SCHEMA, {"amount": 0})
    assert "$.amount: 0 is less than the minimum of 1" in str(caught.value)
    with pytest.raises(RunNotFound):
        world.view()


def test_a_run_id_that_is_taken_by_another_content_is_a_conflict(world: World) -> None:
    world.start(one("transform.map"), {"a": 1})
    before = world.head()
    with pytest.raises(RunExists, match="run 'run' exists already"):
        world.start(one("transform.map"), {"a": 2})
    assert world.head() == before


def test_the_same_id_in_two_tenants_are_two_runs(world: World) -> None:
    world.start(one("transform.map"), {"a": 1}, tenant="alpha")
    started = world.start(one("transform.map"), {"a": 2}, tenant="beta")
    assert started.created
    world.work()
    assert world.view(tenant="alpha").status is Status.COMPLETED
    assert world.view(tenant="beta").status is Status.COMPLETED


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", "x" * 101, "ü"])
def test_a_run_id_that_keys_cannot_carry_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidName):
        world.start(one("transform.map"), {}, run=name)


def test_a_run_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(RunNotFound, match="there is no run 'nobody'"):
        world.view("nobody")


def test_an_input_that_is_too_large_is_refused(world: World) -> None:
    world.limits = replaced(world.limits, input_bytes=100)
    with pytest.raises(InvalidInput, match="the limit is 100"):
        world.start(one("transform.map"), {"a": "x" * 200})
