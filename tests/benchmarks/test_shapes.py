"""Windows hold whole pages and whole turns, and end where they are said to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.shapes import LENGTHS, Shape, chain, join, loop, naming, text_of
from engine.snapshot import PAGE_ENTRIES

Make = Callable[[], Shape]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("make", [chain, loop, join])
def test_a_window_ends_at_its_length_and_holds_whole_pages(make: Make, length: int) -> None:
    shape = make()
    window = shape.window(length)

    assert window[-1] == length
    assert window[0] >= 1
    assert len(window) % PAGE_ENTRIES == 0
    assert length == min(LENGTHS) or len(window) % shape.turn == 0


@pytest.mark.parametrize("length", LENGTHS)
def test_the_window_of_a_naming_step_is_that_step(length: int) -> None:
    assert list(naming().window(length)) == [length]
    assert naming().definition.nodes[length - 1].actor == "name"


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1024])
def test_a_text_has_its_size(size: int) -> None:
    assert len(text_of(size)) == size
