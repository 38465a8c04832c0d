"""Which stateful actors are served, as the environment says."""

from __future__ import annotations

import pytest

from engine.allocation.gateway import Served
from engine.errors import Misconfigured
from infra.served import served_from


def test_names_and_their_pools_are_listed() -> None:
    served = served_from({"TIDESTEP_STATEFUL": "counter, room:big\tgame"})
    assert served == {"counter": Served(), "room": Served("big"), "game": Served()}


def test_nothing_is_served_by_default() -> None:
    assert served_from({}) == {}


@pytest.mark.parametrize("text", ["a:", ":b", "a:b:c", "-a", "a/b"])
def test_what_is_written_wrongly_is_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match="must be written as name or name:pool"):
        served_from({"TIDESTEP_STATEFUL": text})


def test_every_mistake_is_named() -> None:
    with pytest.raises(Misconfigured) as raised:
        served_from({"TIDESTEP_STATEFUL": "a,a,b:"})
    assert len(str(raised.value).splitlines()) == 2
