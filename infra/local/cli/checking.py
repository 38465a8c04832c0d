"""Documents from a file, from stdin or of a project: loaded, checked and drawn."""

from __future__ import annotations

import os
import sys
from contextlib import chdir, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from engine.actors import Registry, load_registry
from engine.definition import Definition
from engine.documents import (
    Problem,
    Source,
    compile_document,
    load_workflows,
    mermaid,
    parse_source,
    read_source,
)
from engine.documents.catalog import is_library_only
from engine.documents.check_nodes import NO_ACTOR
from engine.documents.validate import checked_document, longest_lists, shaped_document
from engine.errors import InvalidDefinition, Misconfigured
from engine.ports import Limits
from infra.limits import TOGETHER, limits_from
from infra.local.cli.exits import INVALID, OK
from infra.local.cli.inputs import STDIN, STDIN_NAME, read_stdin
from infra.local.cli.output import print_json, print_text, say, say_notes
from infra.local.cli.wording import count
from infra.local.project.reading import App, NoProject, read_project


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
        print_json({"file": name, "ok": False, "problems": _as_json(error)})
        say_notes(error)
        return INVALID
    if as_json:
        print_json({"file": name, "ok": True, "problems": [], **_shape(definition)})
    else:
        print_text(f"{name}: ok, workflow {_described(definition)}")
    return OK


def validate_project(*, as_json: bool) -> int:
    """Check the project here as its stack will have it: with its code alone, actors and limits.

    Raises NoProject, Misconfigured, InvalidActor, and InvalidDefinition as `validate_file` does.
    """
    try:
        app = read_project(Path()).app()
    except NoProject as error:
        error.add_note("to check one workflow, say which: tidestep validate FILE")
        raise
    with (
        chdir(app.code),  # from where modules are imported: what lies beside is not deployed
        redirect_stdout(sys.stderr),  # what modules print while they are imported
    ):
        actors = load_registry(app.actors)
    loaded = load_workflows(map(os.path.relpath, app.workflows), actors, _limits(app))
    try:
        loaded.check()
    except InvalidDefinition as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": _as_json(error)})
        return INVALID
    if as_json:
        shapes = [_shape(each) for each in loaded.definitions.values()]
        print_json({"ok": True, "problems": [], "workflows": shapes})
    else:
        for definition in loaded.definitions.values():
            print_text(f"ok: workflow {_described(definition)}")
        if not loaded.definitions:
            print_text("ok: no workflows")
    return OK


def _limits(app: App) -> Limits:
    """Raises Misconfigured, in words of the template's."""
    if app.limits is None:
        say("the template does not give Limits in plain text: checked with those by default")
        return Limits()
    try:
        return limits_from({TOGETHER: app.limits})
    except Misconfigured as error:
        raise Misconfigured(f"the template's Limits: {error}") from error


def _shape(definition: Definition) -> dict[str, Any]:
    edges = sum(len(to) for node in definition.nodes for to in node.successors.values())
    return {"workflow": definition.name, "nodes": len(definition.nodes), "edges": edges}


def _described(definition: Definition) -> str:
    shape = _shape(definition)
    size = f"{count(shape['nodes'], 'node')}, {count(shape['edges'], 'edge')}"
    return f"'{definition.name}' with {size}"


def _as_json(error: InvalidDefinition) -> list[dict[str, Any]]:
    return [asdict(each) for each in error.problems if isinstance(each, Problem)]


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
