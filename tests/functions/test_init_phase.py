"""What a new process makes before its first invocation, while it has a whole processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.errors import Misconfigured
from functions.application import in_init_phase

SETTINGS = {
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "POWERTOOLS_SERVICE_NAME": "tidestep",
    "POWERTOOLS_METRICS_NAMESPACE": "Tidestep",
    "TIDESTEP_TABLE": "table",
    "TIDESTEP_QUEUE_URL": "https://queue.invalid/steps",
    "TIDESTEP_BUCKET": "blobs",
    "TIDESTEP_ACTORS": "tests.functions.shop",
    "TIDESTEP_WORKFLOWS": "tests/functions/shop.yaml",
    "TIDESTEP_STATEFUL": "counter",
    "TIDESTEP_RUNNER_TOKEN": "secret",
    "TIDESTEP_WEBSOCKET_URL": "wss://a1.execute-api.eu-west-1.amazonaws.com/live",
}
MADE = {
    "dispatcher": "dispatcher",
    "dead_letters": "dead_letters",
    "sweeper": "platform",
    "start": "workflows",
    "callbacks": "api",
    "gateway": "gateway",
    "runners": "detached",
    "pool": "holder",
}


def imported(function: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A new process, which prints how many of what the function needs are made."""
    program = (
        f"from functions.{function} import {MADE[function]} as made;"
        "print(made.cache_info().currsize)"
    )
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**inherited, **SETTINGS, **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("function", MADE)
def test_each_function_makes_what_it_needs_while_it_is_imported(function: str) -> None:
    ran = imported(function)
    assert (ran.returncode, ran.stdout) == (0, "1\n"), ran.stderr


def test_what_is_wrong_waits_for_an_invocation_that_can_say_so() -> None:
    """A process that ends in its init phase answers with nothing but an error of Lambda's."""
    ran = imported("start", TIDESTEP_WORKFLOWS="nowhere.yaml")
    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr


def test_elsewhere_nothing_is_made_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    in_init_phase(lambda: made.append("here"))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "function")
    in_init_phase(lambda: made.append("in Lambda"))
    assert made == ["in Lambda"]


def test_a_bug_ends_the_init_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    def misconfigured() -> None:
        raise Misconfigured("no table")

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "function")
    in_init_phase(misconfigured)
    with pytest.raises(ZeroDivisionError):
        in_init_phase(lambda: 1 / 0)
