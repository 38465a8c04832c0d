"""The transition tables as pictures and tables for people: drawn from the tables, never by hand.

    python -m engine.allocation.diagrams docs/actors.md

rewrites the blocks of a page that lie between `<!-- generated: NAME -->` and `<!-- end -->`. NAME
is one of `BLOCKS`. What a state ignores is not drawn; what keeps it stands in its box.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.allocation import actor_table, frames, pool_table, runner_table
from engine.allocation.rules import Cell, Ignored, Rule, Table

REPORTS: dict[type, str] = {
    frames.Running: "is Running",
    frames.Sleep: "wants Sleep",
    frames.Stop: "wants Stop",
    frames.Alarm: "sets Alarm",
    frames.Stopped: "has Stopped",
}
"""What a runner says of an actor, told from the signals of the same names."""
NOTHING = "·"
STAYS = "stays"
_BLOCK = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def label(signal: type) -> str:
    """What a column of a table is called."""
    return REPORTS.get(signal, signal.__name__)


def diagram(table: Table) -> str:
    """The table's transitions, as Mermaid's `stateDiagram-v2`."""
    first, *_ = table
    lines = ["stateDiagram-v2", f"    [*] --> {first.__name__}"]
    for phase, row in table.items():
        arrows: dict[str, list[str]] = {}
        for signal, cell in row.items():
            for to in cell.to if isinstance(cell, Rule) else ():
                arrows.setdefault(to.__name__, []).append(label(signal))
        me = phase.__name__
        if loop := arrows.pop(me, ()):
            lines += [f"    {me}: {me}", f"    {me}: {_said(loop, row)}"]
        lines += [f"    {me} --> {to}: {_said(labels, row)}" for to, labels in arrows.items()]
        if not arrows:
            lines.append(f"    {me} --> [*]")
    return "\n".join(["```mermaid", *lines, "```"])


def _said(labels: Sequence[str], row: Mapping[type, Cell]) -> str:
    return "any signal" if len(labels) == len(row) else ", ".join(labels)


def matrix(table: Table) -> str:
    """Signal by state: where the state goes, `stays`, or `·` where the signal is ignored."""
    states = list(table)
    signals = list(table[states[0]])
    rows = [["", *(state.__name__ for state in states)], ["---"] * (len(states) + 1)]
    for signal in signals:
        rows.append([f"**{label(signal)}**", *(_goes(table, state, signal) for state in states)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _goes(table: Table, state: type, signal: type) -> str:
    cell = table[state][signal]
    if isinstance(cell, Ignored):
        return NOTHING
    return ", ".join(STAYS if to is state else to.__name__ for to in cell.to)


_TABLES = {"actor": actor_table.TABLE, "runner": runner_table.TABLE, "pool": pool_table.TABLE}
_DRAWN: dict[str, Callable[[Table], str]] = {"diagram": diagram, "table": matrix}
BLOCKS = {
    f"{party} {kind}": draw(table)
    for party, table in _TABLES.items()
    for kind, draw in _DRAWN.items()
}


def redrawn(page: str) -> str:
    """The page with its generated blocks as the tables are now. Raises KeyError for other names."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{BLOCKS[found[2]]}\n\n{found[3]}"

    return _BLOCK.sub(block, page)


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(redrawn(page.read_text()))


if __name__ == "__main__":
    main()
