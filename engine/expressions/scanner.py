"""Finds the `{{ ... }}` in a string; everything else is literal text.

Only `{{` opens anything: `{%` and `{#` have no meaning here. Inside, string literals and nested
brackets are followed, so that `}}` in a literal or at the end of a nested mapping does not close
the expression. What stands between the braces is not parsed here, only delimited and bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.errors import ExpressionError

# An expression's text. Long enough for anything a person writes, and it bounds every later stage.
MAX_EXPRESSION_CHARACTERS = 8192

# Open brackets at one time. The parser recurses about 14 frames per bracket, out of 1000.
MAX_BRACKETS = 32

_OPENING = {"(": ")", "[": "]", "{": "}"}

# Possessive, so that a literal without its closing quote costs one pass. A quote that opens no
# complete literal matches alone and ends the scan.
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|['"()\[\]{}]""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one expression, without its braces."""

    text: str


def split(text: str) -> tuple[str | Source, ...]:
    """Cut a string into literal text and expressions, in order, leaving out empty text.

    Raises ExpressionError with the place (line and column, from 1) if an expression is not
    closed, is empty, is too long or nests too deeply.
    """
    parts: list[str | Source] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        if start > position:
            parts.append(text[position:start])
        end = _closing_braces(text, start)
        inner = text[start + 2 : end]
        if not inner or inner.isspace():
            raise ExpressionError(f"empty expression '{{{{ }}}}' {_place(text, start)}")
        parts.append(Source(inner))
        position = end + 2
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


def _closing_braces(text: str, start: int) -> int:
    """The index of the `}}` that closes the `{{` at `start`."""
    expected: list[str] = []
    limit = start + 2 + MAX_EXPRESSION_CHARACTERS
    for token in _TOKEN.finditer(text, start + 2, limit + 2):
        symbol = token.group()
        if symbol in ("'", '"'):
            raise ExpressionError(
                f"the string literal {_place(text, token.start())} is not closed, "
                f"in the expression {_place(text, start)}"
            )
        if symbol in _OPENING:
            expected.append(_OPENING[symbol])
            if len(expected) > MAX_BRACKETS:
                raise ExpressionError(
                    f"brackets nest deeper than {MAX_BRACKETS} {_place(text, token.start())}"
                )
        elif symbol == "}" and not expected and text.startswith("}}", token.start()):
            return token.start()
        elif symbol in _OPENING.values() and (not expected or expected.pop() != symbol):
            raise ExpressionError(f"unexpected '{symbol}' {_place(text, token.start())}")
    if len(text) > limit:
        raise ExpressionError(
            f"'{{{{' {_place(text, start)} is not closed within {MAX_EXPRESSION_CHARACTERS} "
            "characters"
        )
    raise ExpressionError(f"'{{{{' {_place(text, start)} is not closed")


def _place(text: str, index: int) -> str:
    line = text.count("\n", 0, index) + 1
    column = index - (text.rfind("\n", 0, index) + 1) + 1
    return f"at line {line}, column {column}"
