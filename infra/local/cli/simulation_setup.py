"""What `tidestep simulate` tries: the workflow, its actors or their stand-ins, and the input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.actors import Registry
from engine.definition import Definition
from engine.documents import compile_document, read_source
from engine.documents.validate import checked_document, longest_lists, shaped_document
from engine.errors import InvalidDefinition, InvalidInput, Misconfigured
from engine.simulation import Muting, Settings
from engine.simulation.trials.fitting import fitting
from engine.simulation.trials.outside import GivenSignal
from engine.simulation.trials.stubs import TIMERS, Stubs, guessed_actors
from engine.simulation.trials.trying import Scenario
from infra.limits import limits_from
from infra.local.cli.checking import load_workflow
from infra.local.cli.exits import command_line
from infra.local.cli.inputs import STDIN, read_input
from infra.local.cli.options import load_actors
from infra.local.cli.output import say
from infra.local.cli.wording import short_json
from infra.local.embedded import EXPOSED_VARIABLE
from infra.system import SECRET_PREFIX, exposed

NETWORKED = frozenset({"http.request"})
"""Actors that always have stand-ins: virtual time has no network to wait for."""
_OWN = ("flow.", "transform.")
"""How the names of built-in actors begin that do nothing outside."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command as it was given."""

    file: str
    actors: tuple[str, ...]
    stub: bool
    faults: str
    seeds: range
    input: str | None
    settings: tuple[str, ...]
    signals: tuple[str, ...]
    only: str | None

    @property
    def muting(self) -> Muting:
        return Muting(only=None if self.only is None else frozenset(self.only.split(",")) - {""})

    def replay(self, seed: int, faults: str, only: tuple[str, ...] | None) -> str:
        """The command that shows this seed again."""
        words = ["simulate", self.file, "--seed", str(seed), "--faults", faults]
        words += [word for path in self.actors for word in ("--actors", path)]
        words += ["--stub"] if self.stub else []
        words += ["--input", self.input] if self.input is not None else []
        words += [word for each in self.settings for word in ("--set", each)]
        words += [word for each in self.signals for word in ("--signal", each)]
        given = self.only if only is None else ",".join(only)
        words += ["--only", given] if given is not None else []
        return command_line(*words, "--trace")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is tried, and which of its actors are stood in for."""

    scenario: Scenario
    definition: Definition
    stubbed: frozenset[str]

    @property
    def real(self) -> frozenset[str]:
        """The actors whose own code runs, and which may do something outside."""
        actors = {node.actor for node in self.definition.nodes}
        return frozenset(name for name in actors - self.stubbed if not name.startswith(_OWN))


def prepare(wanted: Wanted, signals: tuple[GivenSignal, ...]) -> Prepared:
    """Raises what is wrong with the workflow, the actors or the input."""
    if wanted.file == STDIN:
        raise InvalidInput("simulate needs a file: the commands that replay a seed name it")
    definition, actors = _stubbable(wanted) if wanted.stub else _real(wanted)
    names = {node.actor for node in definition.nodes}
    stubbed = frozenset(names - TIMERS if wanted.stub else names & NETWORKED)
    stubs = Stubs(definition, actors, stubbed)
    settings = Settings(
        limits=limits_from(os.environ),
        env=exposed(os.environ, os.environ.get(EXPOSED_VARIABLE, "")),
        secrets={
            name.removeprefix(SECRET_PREFIX): value
            for name, value in os.environ.items()
            if name.startswith(SECRET_PREFIX)
        },
    )
    scenario = Scenario(
        stubs.definition, stubs.actors, _input(wanted, definition), signals, settings
    )
    return Prepared(scenario, definition, stubbed)


def _real(wanted: Wanted) -> tuple[Definition, Registry]:
    actors = load_actors(wanted.actors)
    try:
        return load_workflow(wanted.file, actors), actors
    except InvalidDefinition as error:
        error.add_note("actors that are not there can be stood in for: --stub")
        raise


def _stubbable(wanted: Wanted) -> tuple[Definition, Registry]:
    """The workflow with the actors that there are, and guesses of those that there are not."""
    try:
        known = load_actors(wanted.actors)
    except Misconfigured as error:
        say(f"{error}\nthe ports of such actors are guessed from the edges")
        known = load_actors(())
    limits = limits_from(os.environ)
    source = read_source(wanted.file, longest_lists(limits))
    guessed = guessed_actors(shaped_document(source), known)
    if guessed:
        names = ", ".join(sorted(each.name for each in guessed))
        say(f"guessed from the edges: {names}; --actors MODULE tells their ports, types and waits")
    actors = Registry([*known.values(), *guessed])
    return compile_document(checked_document(source, actors, limits), actors), actors


def _input(wanted: Wanted, definition: Definition) -> Any:
    if wanted.stub and wanted.input is None and not wanted.settings and definition.input_schema:
        made = fitting(definition.input_schema, Random(0))
        say(f"input, made up to fit input_schema: {short_json(made, 200)}")
        return made
    return read_input(wanted.input, wanted.settings)
