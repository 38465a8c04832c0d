"""A document's text as a plain JSON value, with the line of every part of it.

Whatever text comes in, out comes a `Source` or one `InvalidDefinition` that says what is wrong and
on which line. What spoils only a part (a duplicate key, a date) is kept in `Source.problems`, for
`validate` to report together with everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from engine.documents.json_syntax import Malformed, build_json, check_json
from engine.documents.problems import Path, Problem, path_text, place_of
from engine.documents.tree import Lines, TooMuch, TreeBuilder, line_of
from engine.documents.yaml_syntax import build_yaml
from engine.errors import InvalidDefinition, NotJson, UnknownWorkflow
from engine.json_values import decode_json, encode_json

MAX_BYTES = 5 << 20
MAX_YAML_CHARACTERS = 2 << 20
"""The largest graph fits in. Reading that much takes ten seconds or so; JSON takes one."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document as it was written. `lines` is None where it was not written as text."""

    name: str
    value: Any
    lines: Lines | None = None
    problems: tuple[Problem, ...] = ()

    def line(self, path: Path) -> int | None:
        """The line, from 1, of the part at `path`, or of the deepest part above it that exists."""
        return None if self.lines is None else line_of(self.lines, path)

    def problem(self, path: Path, message: str, fix: str = "") -> Problem:
        return Problem(self.name, self.line(path), place_of(path, self.value), message, fix)


def read_source(path: str | FilePath, longest: Mapping[str, int] | None = None) -> Source:
    """Read a YAML or JSON file; `.json` is always JSON. `longest` as `parse_source` has it.

    Raises UnknownWorkflow for a file that cannot be read, InvalidDefinition for one that can be
    read but is not a document.
    """
    name = str(path)
    try:
        with open(path, "rb") as file:
            body = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnknownWorkflow(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise UnknownWorkflow(f"{name}: this is a directory; name a file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnknownWorkflow(f"{name}: the file cannot be read: {reason}") from None
    _check_size(len(body), name)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        message = "the file is not UTF-8 text"
        raise _refusal(name, line, message, "save it with the encoding UTF-8") from None
    return parse_source(text, name, longest)


def parse_source(text: str, name: str, longest: Mapping[str, int] | None = None) -> Source:
    """Parse YAML or JSON. `name` stands for the file in messages; its ending tells the syntax.

    `longest` says how many members some of the lists may have, by field: beyond them, nothing more
    is read.

    Raises InvalidDefinition.
    """
    if len(text) > MAX_BYTES // 4:
        _check_size(len(text.encode("utf-8", "surrogatepass")), name)
    text = text.removeprefix("\ufeff")
    found: list[tuple[int, Path, str, str]] = []
    builder = TreeBuilder(lambda *problem: found.append(problem), longest or {})
    fatal: Problem | None = None
    try:
        _build(text, name, builder)
        if builder.root is None:
            fatal = Problem(name, 1, "", "the file is empty", "describe a workflow in it")
    except Malformed as error:
        fatal = Problem(name, error.line, "", error.message, error.fix)
    except TooMuch as error:
        fatal = Problem(name, error.line, path_text(error.path), error.message, error.fix)
    value = builder.root.value if builder.root else None
    problems = tuple(
        Problem(name, line, place_of(path, value), message, fix)
        for line, path, message, fix in found
    )
    if fatal is not None or builder.root is None:
        # What stops the reading was often reported when it began.
        earlier = [each for each in problems if fatal and each.message != fatal.message]
        raise InvalidDefinition((*earlier, fatal))
    return Source(name, value, builder.root.lines, problems)


def plain_source(value: Any, name: str) -> Source:
    """A source from a Python value. Raises InvalidDefinition for what is not JSON."""
    try:
        body = encode_json(value, "the document")
    except NotJson as error:
        raise _refusal(name, None, str(error), "use only JSON values") from None
    return Source(name, decode_json(body))


def _build(text: str, name: str, builder: TreeBuilder) -> None:
    """A text that begins like JSON may still be YAML, unless its name says otherwise."""
    ending = name.lower().rpartition(".")[2]
    looks_like_json = text.lstrip()[:1] in ("{", "[")
    if ending == "json" or looks_like_json:
        try:
            check_json(text)
        except Malformed:
            if ending == "json" and text.strip():
                raise
        else:
            build_json(text, builder)
            return
    if len(text) > MAX_YAML_CHARACTERS:
        raise Malformed(
            1,
            f"the file is longer than {MAX_YAML_CHARACTERS >> 20} MiB, which is too much YAML",
            "write it as JSON, or split it into several",
        )
    if text.strip():
        build_yaml(text, builder)


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise _refusal(
            name,
            1,
            f"the file is larger than {MAX_BYTES >> 20} MiB",
            "keep data out of the workflow, or split it into several",
        )


def _refusal(name: str, line: int | None, message: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition((Problem(name, line, "", message, fix),))
