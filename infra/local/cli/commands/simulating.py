"""The command that tries a workflow under faults: simulate."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infra.local.cli import options
from infra.local.cli.help import add_command


class Profile(StrEnum):
    """How much goes wrong: the names in `engine.simulation.PROFILES`."""

    NONE = "none"
    MILD = "mild"
    STORM = "storm"


def add_to(app: typer.Typer) -> None:
    add_command(
        app,
        simulate,
        "tidestep simulate order.yaml --stub",
        "tidestep simulate order.yaml --stub --actors shop --seeds 5000",
        "tidestep simulate approval.yaml --actors desk --signal 'approval={\"approved\": true}'",
        "tidestep simulate order.yaml --stub --seed 17 --trace",
    )


def simulate(
    file: options.File,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Try so many, from 0 on.", show_default=True)
    ] = 1000,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Try this one alone.", show_default=False),
    ] = None,
    actors: options.Actors = None,
    stub: Annotated[
        bool,
        typer.Option(
            "--stub",
            help="Let stand-ins take the place of all actors; they need not be there at all.",
        ),
    ] = False,
    faults: Annotated[Profile, typer.Option(help="How much goes wrong.")] = Profile.STORM,
    input: options.Input = None,
    settings: options.Set = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            "--signal",
            metavar="NAME[=JSON][@SECONDS]",
            help="Send it when a run waits for it, or so long after the start. May be repeated.",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="Print the history: of the first violation, or the slowest."),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(metavar="FAULTS", help="Let only these happen, by name.", show_default=False),
    ] = None,
    as_json: options.AsJson = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what actors print meanwhile.")
    ] = False,
) -> int:
    """Run a workflow many times in a simulated world where everything goes wrong, and report.

    The engine is the real one; time, the queue, the store and the processes are simulated, so a
    wait of a month takes milliseconds and a seed always gives the same history. Without --stub your
    actors run for real, with all that they do outside, again and again.
    """
    from infra.local.cli import simulating
    from infra.local.cli.given_signals import read_signals
    from infra.local.cli.simulation_setup import Wanted

    wanted = Wanted(
        file=file,
        actors=options.actor_paths(actors),
        stub=stub,
        faults=faults.value,
        seeds=range(seeds) if seed is None else range(seed, seed + 1),
        input=input,
        settings=tuple(settings or ()),
        signals=tuple(signal or ()),
        only=only,
    )
    signals = read_signals(wanted.signals)
    return simulating.simulate(wanted, signals, trace=trace, as_json=as_json, verbose=verbose)
