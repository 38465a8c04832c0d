"""Tables as all commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def plain_table(*headings: str, wraps: tuple[str, ...] = ()) -> Table:
    """A heading that begins with '>' is that of a column of numbers; those in `wraps` break."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(
            heading.removeprefix(">"),
            no_wrap=heading not in wraps,
            justify="right" if heading.startswith(">") else "left",
        )
    return table
