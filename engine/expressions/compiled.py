"""Compiles the expressions inside a JSON value, and renders the value.

Strings hold expressions; mapping keys do not. A string that is one expression becomes that
expression's value with its type; any other string with expressions becomes text. Parts of the
value without expressions are kept as they are, and a value without any renders to itself.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from engine.errors import ExpressionError
from engine.expressions.evaluation import Evaluation
from engine.expressions.scanner import Source, split
from engine.expressions.scope import Json, Names, Scope

if TYPE_CHECKING:
    from engine.expressions.expression import Expression

# Keys and indexes from the top of the value to a place in it.
Path: TypeAlias = tuple[str | int, ...]

# Levels of lists and mappings in a value with expressions.
MAX_NESTING = 100


@dataclass(frozen=True, slots=True)
class Compiled:
    """A value ready to render, any number of times and from any thread.

    `constant` says that there are no expressions: rendering returns the very value compiled.
    """

    names: Names
    constant: bool
    _part: _Part

    def render(self, scope: Scope) -> Json:
        """The value with each expression replaced by its result, a JSON value.

        Results are not copies of what they were taken from: treat them as read-only. Raises
        ExpressionError, showing the expression, if one cannot be evaluated or all of them
        together build too much.
        """
        if isinstance(self._part, _Constant):
            return self._part.value
        return self._part.render(Evaluation(scope))


def compile_value(value: Json) -> Compiled:
    """Raises ExpressionError with the first mistake and its place; check_value has them all."""
    compiler = _Compiler()
    part = compiler.compile(value, ())
    if compiler.problems:
        path, message = compiler.problems[0]
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
        raise ExpressionError(f"{place.lstrip('.')}: {message}" if place else message)
    return Compiled(compiler.names, isinstance(part, _Constant), part)


def check_value(value: Json) -> list[tuple[Path, str]]:
    """Every mistake that compiling can find, with its place, in the order of the value."""
    compiler = _Compiler()
    compiler.compile(value, ())
    return compiler.problems


class _Part(Protocol):
    def render(self, evaluation: Evaluation) -> Json: ...


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Json

    def render(self, evaluation: Evaluation) -> Json:
        # a copy: whoever receives it may change it, and the definition outlives the step
        return deepcopy(self.value) if isinstance(self.value, dict | list) else self.value


@dataclass(frozen=True, slots=True)
class _Whole:
    """A string that is one expression."""

    expression: Expression

    def render(self, evaluation: Evaluation) -> Json:
        return self.expression.evaluate(evaluation)


@dataclass(frozen=True, slots=True)
class _Mixed:
    """A string of text and expressions."""

    pieces: tuple[str | Expression, ...]

    def render(self, evaluation: Evaluation) -> str:
        return "".join(
            piece if isinstance(piece, str) else piece.evaluate_as_text(evaluation)
            for piece in self.pieces
        )


@dataclass(frozen=True, slots=True)
class _List:
    parts: tuple[_Part, ...]

    def render(self, evaluation: Evaluation) -> list[Json]:
        return [part.render(evaluation) for part in self.parts]


@dataclass(frozen=True, slots=True)
class _Mapping:
    parts: tuple[tuple[str, _Part], ...]

    def render(self, evaluation: Evaluation) -> dict[str, Json]:
        return {key: part.render(evaluation) for key, part in self.parts}


class _Compiler:
    """Goes through one value, collecting names and problems. A part with a problem is dropped."""

    def __init__(self) -> None:
        self.names = Names()
        self.problems: list[tuple[Path, str]] = []

    def compile(self, value: Json, path: Path) -> _Part:
        if isinstance(value, str):
            return self._text(value, path) if "{{" in value else _Constant(value)
        if not isinstance(value, dict | list):
            return _Constant(value)
        if len(path) >= MAX_NESTING:
            if _has_expressions(value):
                self.problems.append((path, f"expressions nest deeper than {MAX_NESTING} levels"))
            return _Constant(value)
        places = list(value.items() if isinstance(value, dict) else enumerate(value))
        parts = [(key, self.compile(item, (*path, key))) for key, item in places]
        if all(isinstance(part, _Constant) for _, part in parts):
            return _Constant(value)
        if isinstance(value, dict):
            return _Mapping(tuple(parts))
        return _List(tuple(part for _, part in parts))

    def _text(self, text: str, path: Path) -> _Part:
        from engine.expressions.expression import compile_expression

        try:
            sources = split(text)
        except ExpressionError as error:
            self.problems.append((path, str(error)))
            return _Constant(text)
        pieces: list[str | Expression] = []
        for source in sources:
            if isinstance(source, Source):
                try:
                    expression = compile_expression(source.text)
                except ExpressionError as error:
                    self.problems.append((path, str(error)))
                    continue
                self.names |= expression.names
                pieces.append(expression)
            else:
                pieces.append(source)
        if len(pieces) == 1 and not isinstance(pieces[0], str):
            return _Whole(pieces[0])
        return _Mixed(tuple(pieces))


def _has_expressions(value: Json) -> bool:
    """Without recursion, for values of any depth."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "{{" in item:
                return True
        elif isinstance(item, dict | list):
            pending.extend(item.values() if isinstance(item, dict) else item)
    return False
