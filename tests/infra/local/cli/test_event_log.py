"""What a worker logs of its runs."""

from __future__ import annotations

import pytest

from engine.events import Event, Type
from infra.local.cli.worker import EventLog
from tests.clock import ManualClock

ALWAYS = {
    Type.STARTED,
    Type.FORKED,
    Type.ACTOR_FAILED,
    Type.RETRYING,
    Type.COMPLETED,
    Type.FAILED,
    Type.CANCELLING,
    Type.CANCELLED,
    Type.RETRIED,
}


@pytest.mark.parametrize("kind", [kind for kind in Type if kind is not Type.MESSAGE_SENT])
def test_ends_failures_and_what_operators_do_are_always_logged_the_rest_when_asked_for(
    kind: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    event = Event(kind, "default", "r1", "flow", clock.now(), node="a", port="go")
    EventLog(clock, as_json=False, verbose=False).publish(event)
    assert ("run r1 " in capsys.readouterr().err) == (kind in ALWAYS)
    EventLog(clock, as_json=False, verbose=True).publish(event)
    assert "run r1 " in capsys.readouterr().err
