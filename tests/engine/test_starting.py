"""Definitions that are too large to start, whoever checked the document."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.definition import encode_definition
from engine.errors import FrontierFull, TooLarge
from engine.ports import Limits
from engine.starting import check_size
from tests.engine.graphs import graph

CHAIN = graph("a -> b", "a -> c", "b -> d.left", "c -> d.right")  # four nodes, four edges
STORED = len(encode_definition(CHAIN)[0])


def test_a_definition_at_every_limit_is_started() -> None:
    check_size(CHAIN, STORED, Limits(nodes=4, edges=4, definition_bytes=STORED, frontier=1))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(nodes=3), "workflow 'test' has 4 nodes; the limit is 3: split it"),
        (Limits(edges=3), "workflow 'test' has 4 edges; the limit is 3: split it"),
        (
            Limits(definition_bytes=STORED - 1),
            f"has {STORED} bytes, compressed; the limit is {STORED - 1}: .* keep data out of it",
        ),
    ],
)
def test_one_above_a_limit_is_refused_with_what_to_do(limits: Limits, words: str) -> None:
    with pytest.raises(TooLarge, match=words):
        check_size(CHAIN, STORED, limits)


def test_a_definition_that_begins_with_more_than_a_head_holds_is_refused() -> None:
    wide = replace(CHAIN, start=(0, 1, 2))

    check_size(wide, STORED, Limits(frontier=3))
    with pytest.raises(FrontierFull, match="begins with 3 nodes at once; the limit is 2"):
        check_size(wide, STORED, Limits(frontier=2))
