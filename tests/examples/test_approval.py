"""The approval, tested as its author would: in days, and where everything goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import RunEnded, SignalConflict
from engine.simulation.trials.testing import Rehearsal, Simulate
from examples.approval.desk import VARIABLE, lying_there

WORKFLOW = "examples/approval/approval.yaml"
ARTICLE = {"title": "Owls", "author": "Ada", "manager": "Grace"}


@pytest.fixture
def sim(simulation: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """The article has been started, and the letter to the manager is written."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    sim = simulation(WORKFLOW, actors="examples.approval.actors")
    sim.start(ARTICLE)
    sim.after(hours=2)
    return sim


def address() -> str:
    """Where the manager is asked to answer."""
    (letter,) = lying_there("letter")
    assert letter["to"] == "Grace"
    return str(letter["answer_at"])


def test_what_the_manager_approves_of_is_published(sim: Rehearsal) -> None:
    assert sim.view().status == "paused"
    sim.after(hours=40)
    sim.answer(address(), {"approved": True})
    sim.run()
    assert sim.view().output == {"published": "/articles/run", "notified": None}
    assert [article["title"] for article in lying_there("article")] == ["Owls"]
    assert lying_there("notice") == []


def test_a_no_is_told_with_its_reason(sim: Rehearsal) -> None:
    sim.answer(address(), {"approved": False, "comment": "too many owls"})
    sim.run()
    assert sim.view().output == {"published": None, "notified": "too many owls"}
    assert lying_there("notice") == [{"to": "Ada", "reason": "too many owls"}]
    assert lying_there("article") == []


def test_after_two_days_without_an_answer_the_author_is_told(sim: Rehearsal) -> None:
    sim.after(hours=45.9)
    assert sim.view().status == "paused"
    sim.after(hours=0.2)
    assert sim.view().output == {"published": None, "notified": "Grace has not answered"}


def test_the_letter_can_be_answered_once_and_not_too_late(sim: Rehearsal) -> None:
    sim.answer(address(), {"approved": True})
    sim.answer(address(), {"approved": True})  # the same answer again is no other one
    with pytest.raises(SignalConflict):
        sim.answer(address(), {"approved": False})
    sim.run()
    assert len(lying_there("article")) == 1


def test_a_late_answer_changes_nothing(sim: Rehearsal) -> None:
    sim.after(days=3)
    with pytest.raises(RunEnded):
        sim.answer(address(), {"approved": True})
    assert sim.view().output["notified"] == "Grace has not answered"


def test_an_answer_that_nobody_understands_fails_the_run_and_publishes_nothing(
    sim: Rehearsal,
) -> None:
    sim.answer(address(), {"approved": "perhaps"})
    sim.run()
    assert sim.view().status == "failed"
    assert (sim.view().error or {})["node"] == "ask"
    assert sim.calls["ask"] == 2
    assert lying_there("article") == []


@pytest.mark.simulated(seeds=25, faults="storm")
def test_in_a_storm_one_letter_is_written_and_one_article_published(sim: Rehearsal) -> None:
    sim.signal("approval", {"approved": True})
    sim.run()
    assert sim.view().status == "completed"
    assert len(lying_there("letter")) == len(lying_there("article")) == 1
    assert sim.calls["ask"] >= 2
    assert lying_there("notice") == []


def test_the_example_is_answered_over_http() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.approval"], capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stderr
    assert '{"owls": {"notified": null, "published": "/articles/owls"}}' in ran.stdout
    assert '{"newts": {"notified": "not enough newts", "published": null}}' in ran.stdout
