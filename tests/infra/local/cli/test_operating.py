"""`signal`, `cancel`, `retry`, `fork` and `redrive`, and how runs look that they were done to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.local.cli.conftest import ACTORS, Tidestep

WORKFLOWS = {
    "approval.yaml": """
name: approval
nodes:
  - {id: approve, actor: flow.wait, config: {signal: approval, timeout: 86400}}
  - {id: publish, actor: transform.map, config: {by: "{{ message.by }}"}}
edges: [{from: approve, to: publish}]
""",
    "patient.yaml": "name: patient\nnodes: [{id: wait, actor: flow.wait, config: {signal: go}}]\n",
    "mended.yaml": """
name: mended
nodes:
  - {id: before, actor: transform.map, config: {n: 1}}
  - {id: shop, actor: test.needs, config: {file: mended}}
  - {id: after, actor: transform.map, config: {n: "{{ message.n }}", input: "{{ input }}"}}
edges: [{from: before, to: shop}, {from: shop, to: after}]
output: "{{ nodes.after.output }}"
""",
}


STARVED = """
name: starved
nodes:
  - {id: way, actor: flow.branch, config: {condition: true}}
  - {id: both, actor: test.both}
edges:
  - {from: way.true, to: both.left}
  - {from: way.false, to: both.right}
"""


@pytest.fixture(autouse=True)
def workflows(directory: Path) -> Path:
    for name, text in WORKFLOWS.items():
        (directory / name).write_text(text)
    return directory


def shown(tidestep: Tidestep, run: str, *words: str) -> Any:
    return json.loads(tidestep("show", run, "--json", *words).out)


def outcomes(tidestep: Tidestep, run: str) -> list[str]:
    return [each["outcome"] for each in shown(tidestep, run, "--history")["history"]]


@pytest.fixture
def failed(tidestep: Tidestep) -> Tidestep:
    """After the run `m1`, which failed at its node `shop` for want of the file `mended`."""
    assert tidestep("run", "mended.yaml", "--actors", ACTORS, "--id", "m1").code == 8
    return tidestep


# -- signal ------------------------------------------------------------------------------------


def test_a_signal_that_comes_first_is_kept_for_the_wait(tidestep: Tidestep) -> None:
    tidestep("start", "approval.yaml", "--id", "a1")
    ran = tidestep("signal", "a1", "approval", "--set", "by=Ada")
    assert ran.code == 0
    assert ran.out == "signal 'approval' is stored: the next wait of run a1 for it takes it\n"
    resumed = tidestep("resume", "a1")
    assert (resumed.code, json.loads(resumed.out)) == (0, {"publish": {"by": "Ada"}})
    assert "approve: waiting for signal 'approval' until" in resumed.err
    assert "approve: signal 'approval' came" in resumed.err
    view = shown(tidestep, "a1", "--outputs")
    assert [
        (each["outcome"], each.get("signal"), each.get("port")) for each in view["history"]
    ] == [
        ("waited", "approval", None),
        ("signalled", "approval", None),
        ("done", None, "out"),
        ("done", None, "out"),
    ]
    assert view["history"][1]["output"] == {"by": "Ada"}
    assert view["nodes"][0]["attempts"] == 2  # a signal is not an attempt


def test_a_payload_is_null_unless_it_is_given(tidestep: Tidestep) -> None:
    for name, words, payload in [
        ("p1", (), None),
        ("p2", ("--input", "[1]"), [1]),
        ("p3", ("--set", "by.name=Ada"), {"by": {"name": "Ada"}}),
    ]:
        tidestep("start", "patient.yaml", "--id", name)
        tidestep("signal", name, "go", *words)
        assert json.loads(tidestep("resume", name).out) == {"wait": payload}


def test_the_same_signal_again_is_harmless_and_another_of_its_id_a_conflict(
    tidestep: Tidestep,
) -> None:
    tidestep("start", "patient.yaml", "--id", "p1")
    send = ("signal", "p1", "go", "--id", "s1", "--json")
    first = json.loads(tidestep(*send, "--input", "1").out)
    again = json.loads(tidestep(*send, "--input", "1").out)
    assert (first["created"], again["created"]) == (True, False)
    assert (again["at"], again["id"]) == (first["at"], "s1")
    other = tidestep(*send, "--input", "2")
    assert other.code == 5
    assert "sent before, with another content; leave --id out, or choose another" in other.err
    said = tidestep("signal", "p1", "go", "--id", "s1", "--input", "1")
    assert said.out.startswith("signal 'go' of this id was sent before, at ")


def test_a_signal_that_nobody_can_take_is_refused(tidestep: Tidestep) -> None:
    tidestep("run", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    ran = tidestep("signal", "g1", "go")
    assert (ran.code, ran.out) == (5, "")
    assert "run 'g1' has ended (completed): it takes no signals: see tidestep show g1" in ran.err


def test_a_payload_beyond_the_limit_is_refused(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidestep("start", "patient.yaml", "--id", "p1")
    monkeypatch.setenv("TIDESTEP_LIMIT_SIGNAL_BYTES", "10")
    ran = tidestep("signal", "p1", "go", "--input", '"0123456789"')
    assert ran.code == 2
    assert "the signal's payload has 12 bytes of JSON; the limit is 10" in ran.err


def test_a_full_inbox_is_said_to_be_full(
    tidestep: Tidestep, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidestep("start", "patient.yaml", "--id", "p1")
    monkeypatch.setenv("TIDESTEP_LIMIT_SIGNALS", "1")
    assert tidestep("signal", "p1", "other").code == 0
    ran = tidestep("signal", "p1", "go")
    assert ran.code == 5
    assert "1 signals wait for it" in ran.err
    assert "see tidestep show p1" in ran.err


# -- cancel ------------------------------------------------------------------------------------


def test_a_cancelled_run_runs_no_more_and_cancelling_it_again_says_so(tidestep: Tidestep) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    ran = tidestep("cancel", "g1")
    assert ran.code == 0
    assert ran.out.startswith("run g1 is cancelled: ")
    assert "tidestep retry g1" in ran.err
    again = tidestep("cancel", "g1")
    assert (again.code, again.out) == (0, "run g1 was cancelled before: nothing has changed\n")
    gracefully = json.loads(tidestep("cancel", "g1", "--gracefully", "--json").out)
    assert gracefully == {"run": "g1", "status": "cancelled", "changed": False}
    resumed = tidestep("resume", "g1")
    assert resumed.code == 8
    assert "error: run g1 cancelled" in resumed.err
    assert "to go on from where it was cancelled: tidestep retry g1" in resumed.err


def test_a_graceful_cancel_says_until_when_and_can_be_cut_short(tidestep: Tidestep) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    ran = tidestep("cancel", "g1", "--gracefully", "--grace", "300")
    assert ran.code == 0
    assert "nothing new begins, and what is running may go on until" in ran.out
    assert "tidestep cancel g1" in ran.err
    view = shown(tidestep, "g1")
    assert view["status"] == "closing"
    assert view["ends_by"] > view["created_at"] + 200_000
    assert "\nends by   " in tidestep("show", "g1").out
    again = json.loads(tidestep("cancel", "g1", "--gracefully", "--grace", "1", "--json").out)
    assert again == {
        "run": "g1",
        "status": "closing",
        "changed": False,
        "ends_by": view["ends_by"],
    }
    assert tidestep("cancel", "g1").out.startswith("run g1 is cancelled: ")


@pytest.mark.parametrize("words", [(), ("--gracefully",)])
def test_a_run_that_has_completed_is_not_cancelled(
    tidestep: Tidestep, words: tuple[str, ...]
) -> None:
    tidestep("run", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    ran = tidestep("cancel", "g1", *words)
    assert ran.code == 5
    assert "run 'g1' has ended already (completed): see tidestep show g1" in ran.err
    assert shown(tidestep, "g1")["status"] == "completed"


# -- retry -------------------------------------------------------------------------------------


def test_a_failed_run_is_retried_from_where_it_failed(failed: Tidestep, directory: Path) -> None:
    assert "to go on from where it ended: tidestep retry m1" in failed("show", "m1").err
    (directory / "mended").touch()
    ran = failed("retry", "m1")
    assert (ran.code, ran.out) == (0, "run m1 goes on with 1 node: 'shop'\n")
    assert "tidestep resume m1" in ran.err
    resumed = failed("resume", "m1", "--actors", ACTORS)
    assert (resumed.code, json.loads(resumed.out)) == (0, {"n": 1, "input": {}})
    assert outcomes(failed, "m1") == ["done", "failed", "done", "done"]


def test_a_cancelled_run_is_shown_with_its_history_when_it_goes_on(
    tidestep: Tidestep, directory: Path
) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    tidestep("cancel", "g1")
    retried = json.loads(tidestep("retry", "g1", "--json").out)
    assert retried == {"run": "g1", "status": "active", "epoch": 1, "nodes": ["hello"]}
    assert json.loads(tidestep("resume", "g1", "--actors", ACTORS).out) == {"hello": "world"}


def test_what_has_not_failed_is_not_retried(tidestep: Tidestep) -> None:
    tidestep("start", "greet.yaml", "--actors", ACTORS, "--id", "g1")
    active = tidestep("retry", "g1")
    assert active.code == 5
    assert "run 'g1' has not ended (active)" in active.err
    tidestep("resume", "g1", "--actors", ACTORS)
    completed = tidestep("retry", "g1")
    assert completed.code == 5
    assert "run 'g1' has completed; fork it to run a part of it again" in completed.err


# -- fork --------------------------------------------------------------------------------------


def test_a_fork_begins_before_a_step_and_leaves_the_original(
    failed: Tidestep, directory: Path
) -> None:
    (directory / "mended").touch()
    ran = failed("fork", "m1", "--step", "shop", "--id", "m2")
    assert (ran.code, ran.out) == (0, "m2\n")
    assert "fork m2 of m1 begins before step 2 (shop)" in ran.err
    assert "tidestep resume m2" in ran.err
    out = failed("show", "m2").out
    assert "\nforked    " in out
    assert ", from run m1, before its step 2\n" in out
    resumed = failed("resume", "m2", "--actors", ACTORS)
    assert json.loads(resumed.out) == {"n": 1, "input": {}}
    assert shown(failed, "m2")["forked_from"] == {"run": "m1", "step": 2, "root": "m1"}
    assert shown(failed, "m1")["status"] == "failed"


def test_a_fork_may_get_another_message_and_another_input(
    failed: Tidestep, directory: Path
) -> None:
    (directory / "mended").touch()
    (directory / "in.json").write_text('{"who": "Ada"}')
    words = ("fork", "m1", "--step", "2", "--message", '{"n": 5}', "--input", "@in.json")
    made = json.loads(failed(*words, "--json").out)
    assert (made["forked_from"], made["step"], made["node"]) == ("m1", 2, "shop")
    resumed = failed("resume", made["run"], "--actors", ACTORS)
    assert json.loads(resumed.out) == {"n": 5, "input": {"who": "Ada"}}
    results = shown(failed, made["run"], "--outputs")["history"]
    assert [each["outcome"] for each in results] == ["done", "changed", "done", "done"]
    assert results[1]["output"] == {"n": 5}
    assert "changed" in failed("show", made["run"], "--outputs").out


def test_the_same_fork_again_is_the_same_run(failed: Tidestep) -> None:
    fork = ("fork", "m1", "--step", "shop", "--id", "m2")
    failed(*fork)
    again = failed(*fork)
    assert (again.code, again.out) == (0, "m2\n")
    assert "this fork of m1 exists already; its status is active" in again.err
    other = failed(*fork, "--message", "{}")
    assert other.code == 5
    assert "run 'm2' exists already, and is not this fork; choose another id" in other.err


# -- redrive -----------------------------------------------------------------------------------


def test_a_dry_run_names_what_a_redrive_then_retries(failed: Tidestep) -> None:
    failed("run", "mended.yaml", "--actors", ACTORS, "--id", "m2")
    failed("run", "decline.yaml", "--actors", ACTORS, "--id", "d1")
    dry = json.loads(failed("redrive", "--dry-run", "--json").out)
    assert dry == {"would_retry": ["d1", "m2", "m1"], "refused": {}}
    for words, runs in [
        (("--error", "PermanentFailure"), ["d1"]),
        (("--workflow", "mended", "--limit", "1"), ["m2"]),
        (("--workflow", "mended"), ["m1"]),
        ((), []),
    ]:
        dry = json.loads(failed("redrive", *words, "--dry-run", "--json").out)
        real = json.loads(failed("redrive", *words, "--json").out)
        assert dry["would_retry"] == real["retried"] == runs
    assert json.loads(failed("list", "--status", "failed", "--json").out) == []


def test_a_redrive_says_what_it_has_done(failed: Tidestep) -> None:
    dry = failed("redrive", "--dry-run")
    assert (dry.code, dry.out, dry.err) == (0, "1 run would be retried\n", "  m1\n")
    real = failed("redrive")
    assert (real.code, real.out) == (0, "1 run retried\n")
    assert real.err == "  m1\na worker goes on with them\n"
    none = failed("redrive", "--status", "cancelled")
    assert (none.code, none.out) == (0, "0 runs retried\n")
    assert none.err == "no such run in tidestep.db was cancelled\n"


def test_a_redrive_leaves_alone_what_has_nothing_left_to_run(
    failed: Tidestep, directory: Path
) -> None:
    (directory / "starved.yaml").write_text(STARVED)
    assert failed("run", "starved.yaml", "--actors", ACTORS, "--id", "s1", "--json").code == 8
    words = ("redrive", "--workflow", "starved", "--json")
    dry, real = (json.loads(failed(*words, *more).out) for more in (("--dry-run",), ()))
    assert (dry["would_retry"], real["retried"]) == ([], [])
    assert list(dry["refused"]) == list(real["refused"]) == ["s1"]
    ran = failed("redrive", "--workflow", "starved")
    assert ran.err.startswith("left alone: s1: run 's1' failed (Starved) when nothing of it was")
    assert "fork it from a step" in ran.err


# -- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("signal", "no", "go"), 4, "there is no run 'no' in tidestep.db: see tidestep list"),
        (("cancel", "no"), 4, "there is no run 'no' in tidestep.db: see tidestep list"),
        (("retry", "no"), 4, "there is no run 'no' in tidestep.db: see tidestep list"),
        (("fork", "no", "--step", "1"), 4, "there is no run 'no' in tidestep.db"),
        (("signal", "m1", "a b"), 2, "signal 'a b': use 1 to 100 letters"),
        (("signal", "a/b", "go"), 2, "run id 'a/b': use 1 to 100 letters"),
        (("signal", "m1", "go", "--input", "{"), 2, "--input, line 1, column 2: not JSON"),
        (("signal", "m1"), 2, "Missing argument 'NAME'"),
        (("cancel", "m1", "--grace", "5"), 2, "--grace: it needs --gracefully"),
        (("cancel", "m1", "--gracefully", "--grace", "-1"), 2, "--grace"),
        (("fork", "m1"), 2, "Missing option '--step'"),
        (("fork", "m1", "--step", "9"), 4, "run 'm1' has steps 1 to 2, and no step 9"),
        (("fork", "m1", "--step", "shp"), 4, "has no node 'shp'; it has before, shop, after"),
        (("fork", "m1", "--step", "after"), 4, "node 'after' of run 'm1' has not taken a step"),
        (("fork", "m1", "--step", "2", "--message", "x"), 2, "--message, line 1, column 1"),
        (("fork", "m1", "--step", "2", "--message", "@x"), 2, "--message: there is no file 'x'"),
        (("fork", "m1", "--step", "2", "--message", "-", "--input", "-"), 2, "not both"),
        (("fork", "m1", "--step", "2", "--id", "a/b"), 2, "run id 'a/b': use 1 to 100 letters"),
        (("redrive", "--status", "active"), 2, "'active' is not one of 'failed', 'cancelled'"),
        (("signal", "m1", "go", "--db", "none.db"), 4, "there is no database 'none.db'"),
        (("redrive", "--db", "none.db"), 4, "there is no database 'none.db'"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_explained(
    failed: Tidestep, words: tuple[str, ...], code: int, message: str
) -> None:
    ran = failed(*words)
    assert message in ran.err
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err
