"""What can follow what in a graph of numbered nodes.

Graphs of tens of thousands of nodes in a row are ordinary here, so nothing recurses, and every
function is linear in nodes and edges; `ancestors` is linear but for its sets, which are integers
used as bitmaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Successors = Sequence[Sequence[int]]
"""For each node the nodes that its edges lead to; repetitions do no harm."""


def reachable(starts: Iterable[int], successors: Successors) -> set[int]:
    """The starts and everything that they lead to."""
    seen = set(starts)
    pending = list(seen)
    while pending:
        for node in successors[pending.pop()]:
            if node not in seen:
                seen.add(node)
                pending.append(node)
    return seen


def components(successors: Successors) -> list[list[int]]:
    """The strongly connected components, each after all those that it leads to.

    Tarjan's algorithm with a stack of its own: `path` holds each node being visited with an
    iterator over the successors that it still has to look at.
    """
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[int] = []
    placed: set[int] = set()
    found: list[list[int]] = []
    for root in range(len(successors)):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        waiting.append(root)
        path = [(root, iter(successors[root]))]
        while path:
            node, rest = path[-1]
            for following in rest:
                if following not in index:
                    index[following] = low[following] = len(index)
                    waiting.append(following)
                    path.append((following, iter(successors[following])))
                    break
                if following not in placed:
                    low[node] = min(low[node], index[following])
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component = _pop_through(waiting, node)
                    placed.update(component)
                    found.append(component)
    return found


def cyclic(successors: Successors) -> set[int]:
    """The nodes that lie on a cycle, be it an edge to itself."""
    on_cycle: set[int] = set()
    for component in components(successors):
        if len(component) > 1 or component[0] in successors[component[0]]:
            on_cycle.update(component)
    return on_cycle


class Ancestors:
    """Which of some chosen nodes lead to a node, by one edge or more."""

    def __init__(self, chosen: Iterable[int], successors: Successors) -> None:
        self._bit = {node: 1 << place for place, node in enumerate(dict.fromkeys(chosen))}
        self._before = [0] * len(successors)
        for component in reversed(components(successors)):
            before = own = 0
            for node in component:
                before |= self._before[node]
                own |= self._bit.get(node, 0)
            if len(component) > 1 or component[0] in successors[component[0]]:
                before |= own
            for node in component:
                self._before[node] = before
                after = before | own
                for following in successors[node]:
                    self._before[following] |= after

    def lead(self, ancestor: int, node: int) -> bool:
        """`ancestor` must be one of the chosen."""
        return bool(self._before[node] & self._bit[ancestor])


def _pop_through(stack: list[int], last: int) -> list[int]:
    popped: list[int] = []
    while not popped or popped[-1] != last:
        popped.append(stack.pop())
    return popped
