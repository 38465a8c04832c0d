"""What a caller was told is so: whether the run that is stored is the one that was asked for.

A start that is repeated, a fork that is asked for twice, are granted as long as they are the same;
who is granted another one would work with a run that is not his (DESIGN §4 rule 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.definition import Definition, encode_definition
from engine.forking import UNCHANGED
from engine.snapshot import Entry, Head


def started_by(head: Head, input: Any, definition: Definition, asked: Any) -> bool:
    """Whether this head, with this input, is what the start asked for."""
    same = head.definition == encode_definition(definition)[1]
    return head.lineage is None and same and input == asked


def forked_by(
    head: Head,
    input: Any,
    definition: Definition,
    original: Sequence[Entry],
    run: str,
    step: int | str,
    message: Any,
    asked: Any,
) -> bool:
    """Whether this head, with this input, is the fork that was asked for; whether its messages are
    shows in the results that are made of them."""
    lineage = head.lineage
    if lineage is None or lineage.parent != run:
        return False
    if step not in (lineage.step, definition.nodes[original[lineage.step - 1].node].id):
        return False
    return asked is UNCHANGED or input == asked
