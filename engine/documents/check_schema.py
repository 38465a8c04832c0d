"""Checks of a workflow's `input_schema`: that it is JSON Schema, and complete in itself.

Documents are not trusted, and a reference to another document would have the process that checks
a run's input fetch it from wherever the document says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from engine.documents.problems import Path, listed, shown
from engine.documents.report import Report

_FIELD = "input_schema"
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_DATA = frozenset({"const", "default", "enum", "examples"})
"""What stands under these keywords is data, whatever it looks like."""


def check_input_schema(schema: Any, report: Report) -> None:
    if schema is None:
        return
    try:
        errors = list(_meta_validator().iter_errors(schema))
    except RecursionError:
        report.add((_FIELD,), "the schema nests too deeply", "move parts of it to '$defs'")
        return
    for error in errors:
        report.add((_FIELD, *error.absolute_path), *_words(error))
    _check_references(schema, report, resolve=not errors)


def _meta_validator() -> Draft202012Validator:
    return Draft202012Validator(
        Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _words(error: ValidationError) -> tuple[str, str]:
    """Message and fix. Most of jsonschema's messages can be read as they are."""
    if error.absolute_path and error.absolute_path[-1] == "type" and error.validator == "anyOf":
        return f"{shown(error.instance)} is not a type of JSON Schema", f"types: {listed(_TYPES)}"
    if error.validator == "format":
        return f"{shown(error.instance)} is not a {error.validator_value}", "correct it"
    return f"this is not JSON Schema (2020-12): {error.message[:200]}", ""


def _check_references(schema: Any, report: Report, *, resolve: bool) -> None:
    """References are followed only in what is JSON Schema otherwise."""
    resolver = _resolver(schema) if resolve else None
    for path, reference in _references(schema):
        if not reference.startswith("#"):
            report.add(
                path,
                f"{shown(reference)} lies outside this document",
                "copy what it refers to into '$defs', and refer to '#/$defs/NAME'",
            )
        elif resolver is not None and not _leads_somewhere(resolver, reference):
            report.add(
                path,
                f"{shown(reference)} refers to nothing in this schema",
                "add it under '$defs', or correct the reference",
            )


def _resolver(schema: Any) -> Any:
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    base = resource.id() or ""
    return Registry().with_resource(base, resource).resolver(base)


def _leads_somewhere(resolver: Any, reference: str) -> bool:
    try:
        resolver.lookup(reference)
    except (Unresolvable, ValueError):
        return False
    return True


def _references(schema: Any) -> Iterator[tuple[Path, str]]:
    pending: list[tuple[Path, Any]] = [((_FIELD,), schema)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, list):
            pending.extend(((*path, index), each) for index, each in enumerate(part))
        elif isinstance(part, dict):
            for key, value in part.items():
                if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                    yield (*path, key), value
                elif key not in _DATA:
                    pending.append(((*path, key), value))
