"""Small definitions for tests of the pure core, without documents."""

from __future__ import annotations

from typing import Any

from engine.definition import ONCE, Definition, Node, RetryPolicy

CREATED = 1_700_000_000_000


def graph(*edges: str, start: str = "", **settings: Any) -> Definition:
    """`graph("a -> b", "a.no -> c.left")`: nodes in the order of their names' first appearance.

    Every node can be activated more than once. `retry`, `optional`, `named` and `concurrency` map
    ids to values.
    """
    ends = [tuple(_end(text, i) for i, text in enumerate(edge.split(" -> "))) for edge in edges]
    ids = list(dict.fromkeys(part[0] for edge in ends for part in edge))
    inports: dict[str, list[str]] = {id: [] for id in ids}
    for edge in ends:
        if len(edge) == 2 and edge[1][1] not in inports[edge[1][0]]:
            inports[edge[1][0]].append(edge[1][1])
    nodes = []
    for slot, id in enumerate(ids):
        successors: dict[str, list[tuple[int, int]]] = {}
        for edge in ends:
            if len(edge) == 2 and edge[0][0] == id:
                target, port = edge[1]
                place = (ids.index(target), inports[target].index(port))
                successors.setdefault(edge[0][1], []).append(place)
        nodes.append(
            Node(
                id=id,
                actor=id,
                config={},
                inports=tuple(inports[id]),
                successors={port: tuple(places) for port, places in successors.items()},
                optional=tuple(
                    inports[id].index(port) for port in settings.get("optional", {}).get(id, ())
                ),
                retry=settings.get("retry", {}).get(id),
                slot=slot if settings.get("counted", True) else ONCE,
                named=id in settings.get("named", ()),
                concurrency=settings.get("concurrency", {}).get(id, 1),
            )
        )
    starts = start.split() if start else [id for id in ids if not inports[id]]
    return Definition(
        format=1,
        name="test",
        nodes=tuple(nodes),
        start=tuple(ids.index(id) for id in starts),
        ends=tuple(i for i, node in enumerate(nodes) if not node.successors),
        max_steps=settings.get("max_steps", 1000),
        on_failure=settings.get("on_failure", "fail"),
    )


def _end(text: str, side: int) -> tuple[str, str]:
    id, _, port = text.strip().partition(".")
    return id, port or ("in" if side else "out")


RETRY_TWICE = RetryPolicy(max_attempts=3, interval=1, jitter=False)
