"""Checks of each node by itself: its actor, its config, its retry policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.definition import ERROR_PORT, NO_RETRY
from engine.documents.catalog import ActorSpec, Catalog
from engine.documents.outline import NodeOutline, Outline
from engine.documents.problems import shown
from engine.documents.report import Report


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
        guess = report.choice(node.actor, catalog, "known are", "no actors are loaded")
        report.add(
            (*node.path, "actor"),
            f"there is no actor {shown(node.actor)}",
            f"{guess} (if the actor is your own, load its module with --actors MODULE)",
        )
        return KnownNode()
    problems = actor.config_problems(node.config)
    for path, message in problems:
        report.add((*node.path, "config", *path), message)
    if problems:
        # Outports may follow from the config, and actors read it expecting what they asked for.
        return KnownNode(actor)
    try:
        outports = actor.outports_for(node.config)
    except Exception as error:
        report.add(
            (*node.path, "config"),
            f"actor {shown(actor.name)} cannot tell its outports from this config "
            f"({type(error).__name__}: {error})",
            "compare the config with what the actor asks for",
        )
        return KnownNode(actor)
    return KnownNode(actor, tuple(dict.fromkeys((*outports, ERROR_PORT))))
