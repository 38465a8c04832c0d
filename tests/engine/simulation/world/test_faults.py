"""Dice: repeatable, independent of one another, and each fault by its own name."""

from __future__ import annotations

from dataclasses import replace

from engine.simulation import NONE, STORM, Faults, Muting
from engine.simulation.world.faults import RATES, SIZES, Dice

KINDS = ("lost", "throttled")
HALF = replace(NONE, lost=0.25, throttled=0.25)


def drawn(dice: Dice, times: int = 200) -> list[str]:
    return [dice.fault("call", KINDS, "r") for _ in range(times)]


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(Dice(7, HALF)) == drawn(Dice(7, HALF))
    assert drawn(Dice(7, HALF)) != drawn(Dice(8, HALF))


def test_rates_are_about_what_they_say() -> None:
    faults = drawn(Dice(1, HALF), 4000)
    assert 0.22 < faults.count("lost") / 4000 < 0.28
    assert 0.22 < faults.count("throttled") / 4000 < 0.28


def test_draws_about_one_thing_do_not_move_those_about_another() -> None:
    alone, beside = Dice(3, HALF), Dice(3, HALF)
    mixed = []
    for _ in range(100):
        beside.fault("call", KINDS, "other")
        mixed.append(beside.fault("call", KINDS, "r"))
    assert mixed == drawn(alone, 100)


def test_muting_a_kind_leaves_the_others_as_they_were() -> None:
    whole = drawn(Dice(5, HALF))
    muted = drawn(Dice(5, HALF, Muting(kinds=frozenset({"lost"}))))
    assert muted == ["" if kind == "lost" else kind for kind in whole]


def test_a_single_occurrence_can_be_muted_and_others_stay() -> None:
    dice = Dice(5, HALF)
    drawn(dice)
    first, *rest = dice.occurrences
    again = Dice(5, HALF, Muting(occurrences=frozenset({first})))
    drawn(again)
    assert again.occurrences == rest


def test_with_only_nothing_else_happens() -> None:
    dice = Dice(5, HALF)
    drawn(dice)
    chosen = frozenset(dice.occurrences[3:5])
    again = Dice(5, HALF, Muting(only=chosen))
    drawn(again)
    assert again.occurrences == dice.occurrences[3:5]


def test_when_it_is_calm_nothing_happens() -> None:
    dice = Dice(5, HALF)
    dice.calm = True
    assert set(drawn(dice)) == {""}


def test_faults_are_counted_by_kind() -> None:
    dice = Dice(5, HALF)
    faults = drawn(dice)
    assert dice.injected == {kind: faults.count(kind) for kind in KINDS}


def test_storm_has_every_fault_and_none_has_no_fault() -> None:
    assert all(getattr(STORM, name) > 0 for name in (*RATES, *SIZES))
    assert not any(getattr(NONE, name) for name in RATES)
    assert Faults() == NONE
