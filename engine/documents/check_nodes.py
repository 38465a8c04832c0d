"""Checks of each node by itself: its actor, its config, its retry policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.definition import ERROR_PORT, NO_RETRY
from engine.documents.catalog import ActorSpec, Catalog, is_library_only
from engine.documents.outline import NodeOutline, Outline
from engine.documents.problems import listed, shown
from engine.documents.report import Report

NO_ACTOR = "there is no actor"


@dataclass(frozen=True, slots=True)
class KnownNode:
    """What the catalog knows about one node; None where it cannot be told."""

    actor: ActorSpec | None = None
    outports: tuple[str, ...] | None = None
    """The `error` port included."""


def check_nodes(outline: Outline, catalog: Catalog, report: Report) -> list[KnownNode]:
    """What is known of each of the outline's nodes, in their order."""
    known: list[KnownNode] = []
    for place, node in enumerate(outline.nodes):
        if node.id is not None and outline.numbers[node.id] != place:
            _report_duplicate(node, outline.nodes[outline.numbers[node.id]], report)
        _check_retry(node, report)
        known.append(_check_actor(node, catalog, report))
    return known


def _report_duplicate(node: NodeOutline, first: NodeOutline, report: Report) -> None:
    line = report.source.line(first.path)
    where = f"on line {line}" if line else f"nodes[{first.index}]"
    report.add(
        (*node.path, "id"),
        f"the id {shown(node.id)} is taken by the node {where}",
        "give this node another id",
    )


def _check_retry(node: NodeOutline, report: Report) -> None:
    retry = node.retry
    interval = retry.get("interval", NO_RETRY.interval)
    longest = retry.get("max_interval", NO_RETRY.max_interval)
    if not (_is_number(interval) and _is_number(longest)) or longest >= interval:
        return
    field = "max_interval" if "max_interval" in retry else "interval"
    unless = "" if "max_interval" in retry else " unless you set it"
    report.add(
        (*node.path, "retry", field),
        f"interval ({interval:g} s) is longer than max_interval, which is {longest:g} s{unless}",
        "raise max_interval or lower interval",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_actor(node: NodeOutline, catalog: Catalog, report: Report) -> KnownNode:
    if node.actor is None:
        return KnownNode()
    actor = catalog.get(node.actor)
    if actor is None:
        fix = _fix_of_actor(node.actor, catalog, report)
        report.add((*node.path, "actor"), f"{NO_ACTOR} {shown(node.actor)}", fix)
        return KnownNode()
    if node.concurrency > 1 and actor.keeps_state:
        report.add(
            (*node.path, "concurrency"),
            f"actor {shown(actor.name)} keeps a state, which goes from each visit to the next: "
            "visits at the same time would overwrite each other's",
            "leave 'concurrency' out, or use an actor without state=",
        )
    problems = actor.config_problems(node.config)
    for path, message in problems:
        report.add((*node.path, "config", *path), message)
    config = node.config
    if problems:
        config = _Watched(node.config, {path[0] for path, _ in problems if path})
    try:
        outports = actor.outports_for(config)
    except Exception as error:
        if not problems:
            report.add(
                (*node.path, "config"),
                f"actor {shown(actor.name)} cannot tell its outports from this config "
                f"({type(error).__name__}: {error})",
                "compare the config with what the actor asks for",
            )
        return KnownNode(actor)
    if isinstance(config, _Watched) and config.broken_was_read:
        return KnownNode(actor)
    return KnownNode(actor, tuple(dict.fromkeys((*outports, ERROR_PORT))))


def _fix_of_actor(name: str, catalog: Catalog, report: Report) -> str:
    """Short where nothing but the library is loaded: every own actor of the document is missing."""
    if report.full:
        return ""
    alike = [each for each in catalog if _prefix(each) == _prefix(name)]
    close = report.close(name, alike) or report.close(name, catalog, 0.8)
    if close:
        return f"did you mean {shown(close)}?"
    if is_library_only(catalog):
        return "" if catalog else "no actors are loaded"
    own = "if the actor is your own, load its module with --actors MODULE"
    return f"known are: {listed(catalog)} ({own})"


def _prefix(name: str) -> str:
    return name.rpartition(".")[0]


class _Watched(Mapping[str, Any]):
    """A config with problems, which notes whether the outports follow from what is wrong with it.

    A key that is not there counts: it may be the one that was misspelt.
    """

    def __init__(self, config: Any, broken: set[str | int]) -> None:
        self._config: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        self._broken = broken
        self.broken_was_read = False

    def __getitem__(self, key: str) -> Any:
        if key in self._broken or key not in self._config:
            self.broken_was_read = True
        return self._config[key]

    def __iter__(self) -> Iterator[str]:
        self.broken_was_read = True
        return iter(self._config)

    def __len__(self) -> int:
        self.broken_was_read = True
        return len(self._config)
