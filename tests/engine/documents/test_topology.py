"""Graph algorithms against the plainest definitions of what they compute."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.documents.topology import Ancestors, components, cyclic, reachable

NODES = 7
graphs = st.lists(st.lists(st.integers(0, NODES - 1), max_size=3), min_size=NODES, max_size=NODES)


def after(node: int, successors: list[list[int]]) -> set[int]:
    """What one edge or more leads to."""
    return reachable(successors[node], successors)


@settings(deadline=None)
@given(graphs)
def test_a_node_is_cyclic_if_it_leads_to_itself(successors: list[list[int]]) -> None:
    assert cyclic(successors) == {n for n in range(NODES) if n in after(n, successors)}


@settings(deadline=None)
@given(graphs)
def test_components_hold_what_leads_to_each_other_and_come_after_what_they_lead_to(
    successors: list[list[int]],
) -> None:
    found = components(successors)

    place = {node: number for number, component in enumerate(found) for node in component}
    assert len(place) == sum(map(len, found)) == NODES
    for a in range(NODES):
        for b in after(a, successors):
            assert place[b] <= place[a]
            assert (place[a] == place[b]) == (a == b or a in after(b, successors))


@settings(deadline=None)
@given(graphs, st.sets(st.integers(0, NODES - 1)))
def test_ancestors_lead_to_a_node_by_one_edge_or_more(
    successors: list[list[int]], chosen: set[int]
) -> None:
    ancestors = Ancestors(chosen, successors)

    for ancestor in chosen:
        for node in range(NODES):
            assert ancestors.lead(ancestor, node) == (node in after(ancestor, successors))


def test_long_chains_do_not_exhaust_the_stack() -> None:
    chain = [[n + 1] for n in range(19_999)] + [[0]]

    assert len(components(chain)) == 1
    assert Ancestors(range(20_000), chain).lead(19_999, 0)
