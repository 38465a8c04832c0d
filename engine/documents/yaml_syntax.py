"""YAML text into a tree with lines, from the parser's events.

Composing and constructing are left out on purpose: they recurse, resolve tags to Python objects
and expand merge keys. What is left of YAML 1.2 is what JSON can say, plus comments, anchors and
aliases. The parser is pure Python and reads about 70 KB a second; large documents that a program
writes are better written as JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.reader import ReaderError

from engine.documents.json_syntax import Malformed
from engine.documents.problems import kind_of, shown
from engine.documents.scalars import Refused, plain_scalar, string
from engine.documents.tree import Subtree, TreeBuilder

_BARE_EXPRESSION = re.compile(r"(?:^|[:,\[-])\s*\{\{")
_QUOTE_THE_EXPRESSION = 'put the whole value in quotes: "{{ ... }}"'
_BARE_MESSAGE = "'{{' without quotes begins a mapping in YAML, not an expression"

# What the parser says -> what a person needs to hear, and what to do.
_EXPLAINED = (
    (
        "'\\t' that cannot start",
        "this line is indented with a tab; YAML allows only spaces",
        "use spaces, or write the file as JSON",
    ),
    (
        "mapping values are not allowed",
        "there is a second ':' in this line, or the line is indented too far",
        "put a text that holds ': ' in quotes, or align the line with its neighbours",
    ),
    (
        "found unexpected end of stream",
        "a quote is opened and never closed",
        "close it, here or on the line where it begins",
    ),
    (
        "expected <block end>",
        "this line does not fit in with those above it",
        "align it with its neighbours, and put texts with special characters in quotes",
    ),
    (
        "could not find expected ':'",
        "a key without a ':' after it",
        "write 'key: value', or put a longer text in quotes",
    ),
)


def build_yaml(text: str, builder: TreeBuilder) -> None:
    """Raises Malformed or TooMuch. The builder's root stays None where there is no document."""
    reading = _Reading(builder)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, DocumentStartEvent) and builder.root is not None:
                builder.report(
                    event.start_mark.line + 1,
                    (),
                    "a second document begins here; a file holds one workflow",
                    "remove the '---', or move what follows to a file of its own",
                )
                return
            reading.take(event)
    except YAMLError as error:
        raise _malformed(text, error) from None
    except (ValueError, OverflowError):  # the scanner's own, from `chr`
        raise Malformed(
            reading.line,
            "a text on this line or below holds an escape that stands for no character",
            "correct the '\\x', '\\u' or '\\U' in it",
        ) from None


@dataclass(slots=True)
class _Anchor:
    """`subtree` is None until the anchored value has ended."""

    subtree: Subtree | None = None


@dataclass(slots=True)
class _Collection:
    is_mapping: bool
    anchor: _Anchor | None
    key_next: bool
    flow: bool


@dataclass(slots=True)
class _Reading:
    """Where in the document the events have got to."""

    builder: TreeBuilder
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    open: list[_Collection] = field(default_factory=list)
    skipping: int = 0
    """Levels of a refused key that are still open."""

    line: int = 1

    def take(self, event: Any) -> None:
        self.line = event.start_mark.line + 1
        if self.skipping:
            self._skip(event)
        elif isinstance(event, NodeEvent):
            if self.open and self.open[-1].key_next:
                self._key(event)
            else:
                self._value(event)
        elif isinstance(event, CollectionEndEvent):
            anchor = self.open.pop().anchor
            self._ended(self.builder.end(), anchor)

    def _skip(self, event: Any) -> None:
        if isinstance(event, CollectionStartEvent):
            self.skipping += 1
        elif not isinstance(event, NodeEvent):
            self.skipping -= 1

    def _value(self, event: NodeEvent) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            self._alias(event, line)
            return
        self._refuse_tag(event, line)
        anchor = None
        if event.anchor is not None:
            anchor = self.anchors[event.anchor] = _Anchor()
        if isinstance(event, ScalarEvent):
            self._ended(self.builder.scalar(self._scalar(event, line), line), anchor)
            return
        assert isinstance(event, CollectionStartEvent)
        is_mapping = isinstance(event, MappingStartEvent)
        if is_mapping:
            self.builder.begin_mapping(line)
        else:
            self.builder.begin_list(line)
        self.open.append(_Collection(is_mapping, anchor, is_mapping, bool(event.flow_style)))

    def _ended(self, subtree: Subtree, anchor: _Anchor | None) -> None:
        if anchor is not None:
            anchor.subtree = subtree
        if self.open:
            self.open[-1].key_next = self.open[-1].is_mapping

    def _alias(self, event: AliasEvent, line: int) -> None:
        anchor = self.anchors.get(event.anchor)
        if anchor is None or anchor.subtree is None:
            why = "no anchor of that name is above it" if anchor is None else "it holds itself"
            self._report(
                line,
                f"the alias {shown('*' + event.anchor)} cannot be followed: {why}",
                "write the value out, or put a text that begins with '*' in quotes",
            )
            self._ended(self.builder.scalar(None, line), None)
            return
        self.builder.alias(anchor.subtree, line)
        self._ended(anchor.subtree, None)

    def _key(self, event: NodeEvent) -> None:
        line = event.start_mark.line + 1
        self.open[-1].key_next = False
        if isinstance(event, CollectionStartEvent):
            self.skipping = 1
            if self.open[-1].flow and isinstance(event, MappingStartEvent):
                self._report(line, _BARE_MESSAGE, _QUOTE_THE_EXPRESSION)
            else:
                self._report(line, "a key must be text, not a list or mapping", "use a text")
            self.builder.key(None, line)
            return
        key: Any = None
        if isinstance(event, AliasEvent):
            anchor = self.anchors.get(event.anchor)
            key = anchor.subtree.value if anchor and anchor.subtree else None
        elif isinstance(event, ScalarEvent):
            self._refuse_tag(event, line)
            if event.anchor is not None:
                self.anchors[event.anchor] = _Anchor(Subtree(event.value, line, 1, 0))
            if event.value == "<<" and event.implicit[0]:
                self._report(
                    line,
                    "merge keys ('<<') are not read",
                    "write the fields out, or use an alias for a whole value",
                )
                self.builder.key(None, line)
                return
            key = self._scalar(event, line)
        if not isinstance(key, str):
            self._report(
                line,
                f"a key must be text, and {shown(getattr(event, 'value', ''))} is {kind_of(key)}",
                "put it in quotes",
            )
            key = None
        self.builder.key(key, line)

    def _scalar(self, event: ScalarEvent, line: int) -> Any:
        try:
            return plain_scalar(event.value) if event.implicit[0] else string(event.value)
        except Refused as refused:
            self._report(line, refused.message, refused.fix)
            return None

    def _refuse_tag(self, event: NodeEvent, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            tag = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._report(line, f"the tag {shown(tag)} is not read: values are JSON", "remove it")

    def _report(self, line: int, message: str, fix: str) -> None:
        self.builder.report(line, self.builder.path(), message, fix)


def _malformed(text: str, error: YAMLError) -> Malformed:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Malformed(
            line, f"the character U+{ord(text[error.position]):04X} is not allowed", "remove it"
        )
    if not isinstance(error, MarkedYAMLError):
        return Malformed(1, f"this is not YAML: {error}", "")
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = min(mark.line if mark else 0, max(0, len(lines) - 1))
    marks = [each.line for each in (error.context_mark, mark) if each]
    for number in (*marks[::-1], line):
        if number < len(lines) and _BARE_EXPRESSION.search(lines[number]):
            return Malformed(number + 1, _BARE_MESSAGE, _QUOTE_THE_EXPRESSION)
    problem = str(error.problem or error.context).replace("'<stream end>'", "the end of the file")
    for phrase, message, fix in _EXPLAINED:
        if phrase in problem:
            return Malformed(line + 1, message, fix)
    return Malformed(
        line + 1, f"this is not YAML: {problem}", "correct this line or the one before"
    )
