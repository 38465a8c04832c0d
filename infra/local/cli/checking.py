"""Documents from a file or stdin: loaded, checked (`validate`) and drawn (`graph`)."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Literal

from engine.actors import Registry
from engine.definition import Definition
from engine.documents import Problem, Source, compile_document, mermaid, parse_source, read_source
from engine.documents.catalog import is_library_only
from engine.documents.check_nodes import NO_ACTOR
from engine.documents.validate import checked_document, longest_lists, shaped_document
from engine.errors import InvalidDefinition
from engine.ports import Limits
from infra.limits import limits_from
from infra.local.cli.exits import INVALID, OK
from infra.local.cli.inputs import STDIN, STDIN_NAME, read_stdin
from infra.local.cli.output import print_json, print_text, say_notes
from infra.local.cli.wording import count


def load_workflow(file: str, actors: Registry) -> Definition:
    """Raises InvalidDefinition with all problems, UnknownWorkflow for a file that is not there."""
    try:
        limits = limits_from(os.environ)
        return compile_document(checked_document(_source(file, limits), actors, limits), actors)
    except InvalidDefinition as error:
        found = (each.message for each in error.problems if isinstance(each, Problem))
        if is_library_only(actors) and any(each.startswith(NO_ACTOR) for each in found):
            error.add_note("no actors of your own are loaded: add --actors MODULE")
        raise


def validate_file(file: str, actors: Registry, *, as_json: bool) -> int:
    """Raises InvalidDefinition with all problems, unless they go out as JSON."""
    name = STDIN_NAME if file == STDIN else file
    try:
        definition = load_workflow(file, actors)
    except InvalidDefinition as error:
        if not as_json:
            raise
        problems = [asdict(each) for each in error.problems if isinstance(each, Problem)]
        print_json({"file": name, "ok": False, "problems": problems})
        say_notes(error)
        return INVALID
    nodes = len(definition.nodes)
    edges = sum(len(to) for node in definition.nodes for to in node.successors.values())
    if as_json:
        found = {"workflow": definition.name, "nodes": nodes, "edges": edges}
        print_json({"file": name, "ok": True, "problems": [], **found})
    else:
        size = f"{count(nodes, 'node')}, {count(edges, 'edge')}"
        print_text(f"{name}: ok, workflow '{definition.name}' with {size}")
    return OK


def draw(file: str, direction: Literal["TD", "LR"], *, as_json: bool) -> None:
    """Needs no actors: an unfinished workflow can be drawn too. Raises InvalidDefinition."""
    text = mermaid(shaped_document(_source(file, limits_from(os.environ))), direction)
    if as_json:
        print_json({"mermaid": text})
    else:
        print_text(text)


def _source(file: str, limits: Limits) -> Source:
    longest = longest_lists(limits)
    if file == STDIN:
        return parse_source(read_stdin(), STDIN_NAME, longest)
    return read_source(file, longest)
