"""JSON text into a tree with lines. Tabs, which YAML refuses, are white space here."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.documents.scalars import Refused, integer, number, string
from engine.documents.tree import TreeBuilder
from engine.json_values import MAX_DEPTH

# Run only over text that `json` has accepted, so this need not check any grammar.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]+')
_WORDS = {"true": True, "false": False, "null": None}


class Malformed(Exception):
    """The text is not JSON from here on."""

    def __init__(self, line: int, message: str, fix: str) -> None:
        super().__init__(message)
        self.line, self.message, self.fix = line, message, fix


def check_json(text: str) -> None:
    """Raises Malformed."""
    try:
        # Numbers are read below, where the problem gets its line.
        json.loads(text, parse_int=len, parse_float=len, parse_constant=len)
    except json.JSONDecodeError as error:
        raise _malformed(text, error) from None
    except RecursionError:
        raise Malformed(1, f"nested deeper than {MAX_DEPTH} levels", "nest less") from None


def build_json(text: str, builder: TreeBuilder) -> None:
    """`text` must have passed `check_json`. Raises TooMuch."""
    line, counted = 1, 0
    keys_expected: list[bool] = []
    for match in _TOKEN.finditer(text):
        token, start = match.group(), match.start()
        line += text.count("\n", counted, start)
        counted = start
        if token == "{":
            builder.begin_mapping(line)
            keys_expected.append(True)
        elif token == "[":
            builder.begin_list(line)
            keys_expected.append(False)
        elif token in "}]":
            keys_expected.pop()
            builder.end()
            _value_ended(builder, keys_expected)
        elif token == ":":
            keys_expected[-1] = False
        elif token != ",":
            if keys_expected and keys_expected[-1]:
                builder.key(_key(token, line, builder), line)
            else:
                builder.scalar(_scalar(token, line, builder), line)
                _value_ended(builder, keys_expected)


def _value_ended(builder: TreeBuilder, keys_expected: list[bool]) -> None:
    if keys_expected and builder.in_mapping:
        keys_expected[-1] = True


def _key(token: str, line: int, builder: TreeBuilder) -> str | None:
    try:
        return _string(token)
    except Refused as refused:
        builder.report(line, builder.path(), refused.message, refused.fix)
        return None


def _scalar(token: str, line: int, builder: TreeBuilder) -> Any:
    try:
        if token[0] == '"':
            return _string(token)
        if token in _WORDS:
            return _WORDS[token]
        if token.lstrip("-").isdigit():
            return integer(token)
        return number(token)
    except Refused as refused:
        builder.report(line, builder.path(), refused.message, refused.fix)
        return None


def _string(token: str) -> str:
    """A token with its quotes. Raises Refused."""
    return string(json.loads(token) if "\\" in token else token[1:-1])


def _malformed(text: str, error: json.JSONDecodeError) -> Malformed:
    before = text[: error.pos].rstrip()
    rest = text[error.pos :].lstrip()
    if before.endswith(",") and rest[:1] in ("}", "]"):
        line = before.count("\n") + 1
        return Malformed(
            line, f"there is a comma before '{rest[0]}'", "remove it; JSON has none there"
        )
    if rest[:1] in ("/", "#"):
        return Malformed(
            error.lineno, "JSON has no comments", "remove the comment, or write the file in YAML"
        )
    reason = error.msg[:1].lower() + error.msg[1:]
    return Malformed(
        error.lineno,
        f"this is not JSON: {reason} (column {error.colno})",
        "correct this line or the one before it",
    )
