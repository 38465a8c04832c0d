"""What pydantic found wrong with a document's shape, in words for people.

Pydantic says *what* is violated and where; which field that is, what it is for and what the
document holds instead are looked up here, in the model and in the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.documents.model import DocumentNode, Edge, Retry, WorkflowDocument
from engine.documents.problems import Path, kind_of, shown
from engine.documents.report import Report

# What people bring along from other tools.
_ALSO_KNOWN_AS: dict[type[BaseModel], Mapping[str, str]] = {
    WorkflowDocument: {
        "steps": "nodes",
        "tasks": "nodes",
        "connections": "edges",
        "input": "input_schema",
        "inputs": "input_schema",
        "outputs": "output",
        "start_at": "start",
        "timeout": "deadline",
    },
    DocumentNode: {
        "name": "id",
        "type": "actor",
        "uses": "actor",
        "component": "actor",
        "params": "config",
        "parameters": "config",
        "with": "config",
        "input": "config",
        "retries": "retry",
        "deadline": "timeout",
        "max_concurrency": "concurrency",
        "parallelism": "concurrency",
    },
    Edge: {"source": "from", "target": "to"},
    Retry: {"attempts": "max_attempts", "delay": "interval", "max_delay": "max_interval"},
}

_TYPES = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}

_LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
}


def report_shape(error: ValidationError, report: Report) -> set[Path]:
    """Report each of the errors; the paths of the parts that cannot be used."""
    broken: set[Path] = set()
    for details in error.errors(include_url=False):
        path = _existing(details["loc"], report.source.value)
        message, fix = _words(details, path, report)
        if details["type"] in ("extra_forbidden", "missing"):
            report.add(path, message, fix)
        elif path not in broken:
            report.add(path, message, fix)
            broken.add(path)
    return broken


def _words(details: ErrorDetails, path: Path, report: Report) -> tuple[str, str]:
    """Message and fix."""
    kind, context = details["type"], details.get("ctx", {})
    value = details["input"]
    if kind == "missing":
        field = str(details["loc"][-1])
        return f"{shown(field)} is missing", f"add it{_about(_model_at(path), field)}"
    if kind == "extra_forbidden":
        return _unknown_field(str(path[-1]), _model_at(path[:-1]), report)
    about = _about(_model_at(path[:-1]), str(path[-1])) if path else ""
    fix = f"correct it{about}"
    if kind in _TYPES:
        fix = f"write {_TYPES[kind]}{about}"
        if kind == "string_type" and isinstance(value, bool | int | float):
            fix = f'put it in quotes: "{shown(value)}"'
        return f"must be {_TYPES[kind]}, and is {_what_is(value)}", fix
    if kind == "int_from_float":
        return f"must be a whole number, and is {shown(value)}", fix
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"must be {words} {_plain(context[key])}, and is {shown(value)}", fix
    if kind == "finite_number":
        return "must be a finite number", fix
    if kind == "literal_error":
        return f"must be {context['expected']}, and is {_what_is(value)}", fix
    if kind == "string_pattern_mismatch":
        return _bad_name(value, path)
    if kind in ("string_too_short", "too_short"):
        return "must not be empty", fix
    if kind == "string_too_long":
        return f"{shown(value)} is longer than {context['max_length']} characters", "shorten it"
    return details["msg"], fix


def _what_is(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {shown(value)}"
    return kind_of(value)


def _plain(limit: float) -> str:
    return f"{int(limit):,}" if limit == int(limit) else str(limit)


def _bad_name(value: str, path: Path) -> tuple[str, str]:
    if path[-1] == "name":
        return (
            f"{shown(value)} cannot be a workflow's name",
            "use letters, digits and . _ - and begin with a letter or digit",
        )
    return (
        f"{shown(value)} cannot be a node's id",
        "use letters, digits, _ and - and begin with a letter or _; ids hold no dots or spaces",
    )


def _unknown_field(name: str, model: type[BaseModel], report: Report) -> tuple[str, str]:
    fields = _fields(model)
    meant = _ALSO_KNOWN_AS[model].get(name)
    if meant is not None:
        fix = f"did you mean {shown(meant)}?"
    else:
        fix = report.choice(name, [each for each in fields if each != "$schema"], "the fields are")
    return "there is no such field", fix


def _model_at(path: Path) -> type[BaseModel]:
    match path:
        case ("nodes", int(), "retry", *_):
            return Retry
        case ("nodes", int(), *_):
            return DocumentNode
        case ("edges", int(), *_):
            return Edge
    return WorkflowDocument


def _fields(model: type[BaseModel]) -> dict[str, str]:
    """The fields as a document writes them, with their descriptions."""
    return {
        field.alias or name: field.description or "" for name, field in model.model_fields.items()
    }


def _about(model: type[BaseModel], field: str) -> str:
    """What the field is for, to follow an advice."""
    text = _fields(model).get(field, "")
    return f" ({text[:1].lower()}{text[1:]})" if text else ""


def _existing(location: tuple[str | int, ...], document: Any) -> Path:
    """As much of the location as the document has; a missing field's is where it is missing."""
    part = document
    for depth, key in enumerate(location):
        try:
            part = part[key]
        except (LookupError, TypeError):
            return location[:depth]
    return location
