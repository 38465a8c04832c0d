"""JSON values from the command line: `--input JSON`, `@file`, `-`, and `--set key=value`.

Every mistake is an InvalidInput that names the place: line and column of the text, or the option.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import InvalidDefinition, InvalidInput

STDIN = "-"
STDIN_NAME = "<stdin>"
"""How messages name it."""

_YAML = (".yaml", ".yml")


def read_input(given: str | None, settings: Sequence[str]) -> Any:
    """The input: what `--input` gives, by default `{}`, changed by each `--set`.

    Raises InvalidInput.
    """
    value = {} if given is None else read_value(given, "--input")
    for setting in settings:
        value = _with_setting(value, setting)
    return value


def read_payload(given: str | None, settings: Sequence[str]) -> Any:
    """A signal's payload: as `read_input`, and null where nothing is given.

    Raises InvalidInput.
    """
    return None if given is None and not settings else read_input(given, settings)


def read_changes(message: str | None, input: str | None) -> dict[str, Any]:
    """What `--message` and `--input` of a fork give, by name; those that are not given are not in.

    Raises InvalidInput.
    """
    if message == input == STDIN:
        raise InvalidInput("stdin can be the message or the input, not both")
    given = {"message": message, "input": input}
    return {name: read_value(text, f"--{name}") for name, text in given.items() if text is not None}


def one_stdin(file: str, given: str | None) -> None:
    """Raises InvalidInput where both the workflow and the input are to come from stdin."""
    if file == given == STDIN:
        raise InvalidInput("stdin can be the workflow or the input, not both")


def read_stdin() -> str:
    """Raises InvalidInput for what is not UTF-8."""
    return _decoded(sys.stdin.buffer.read(), STDIN_NAME)


def read_value(given: str, option: str) -> Any:
    """What `option` gives: JSON, a file, or stdin. Raises InvalidInput."""
    if given == STDIN:
        return _parse_json(read_stdin(), STDIN_NAME)
    if not given.startswith("@"):
        return _parse_json(given, option)
    name = given[1:]
    try:
        body = Path(name).read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{option}: there is no file '{name}'") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{option}: '{name}' cannot be read: {reason}") from None
    text = _decoded(body, name)
    return _parse_yaml(text, name) if name.lower().endswith(_YAML) else _parse_json(text, name)


def _decoded(body: bytes, name: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{name}:{line}: the text is not UTF-8") from None


def _parse_json(text: str, name: str) -> Any:
    if not text.strip():
        raise InvalidInput(f"{name}: the input is empty; an empty object is {{}}")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.splitlines()[error.lineno - 1 :] else ""
        raise InvalidInput(_not_json(name, line, error)) from None
    except RecursionError:
        raise InvalidInput(f"{name}: the input is nested too deeply") from None
    except ValueError as error:  # NaN, or a number of thousands of digits
        raise InvalidInput(f"{name}: {error}") from None


def _not_json(name: str, line: str, error: json.JSONDecodeError) -> str:
    """The message, the line, and a mark below the column."""
    start = max(0, error.colno - 40)
    shown = "".join(c if c.isprintable() else " " for c in line[start : start + 80])
    return (
        f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}\n"
        f"  {shown}\n  {' ' * (error.colno - 1 - start)}^"
    )


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; use a number or null")


def _parse_yaml(text: str, name: str) -> Any:
    from engine.documents import parse_source

    try:
        source = parse_source(text, name)
    except InvalidDefinition as error:
        raise InvalidInput(str(error)) from None
    if source.problems:
        raise InvalidInput("\n".join(str(problem) for problem in source.problems))
    return source.value


def _with_setting(value: Any, setting: str) -> Any:
    """`a.b=1` sets `{"a": {"b": 1}}`; what is not JSON is text."""
    path, equals, text = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise InvalidInput(f"--set {setting!r}: write it as key=value, or as outer.inner=value")
    if not isinstance(value, dict):
        raise InvalidInput(f"--set {setting!r}: the input is not an object that has keys")
    try:
        new = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        new = text
    inside = value
    for depth, key in enumerate(keys[:-1], 1):
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            outer = ".".join(keys[:depth])
            raise InvalidInput(f"--set {setting!r}: '{outer}' is not an object that has keys")
    inside[keys[-1]] = new
    return value
