"""The actors of the data job."""

from __future__ import annotations

from typing import Any

import msgspec

from tidestep import Context, Emit, actor


class Totals(msgspec.Struct):
    """What `collect` keeps from page to page: a node's own state, saved with each result."""

    pages: int = 0
    count: int = 0
    total: float = 0.0


@actor("pages.collect", outports=("next", "done"), state=Totals)
async def collect(response: dict[str, Any], context: Context) -> Emit:
    """Add a page to the totals; ask for the next one, or end with the totals."""
    page = response["body"]
    totals = context.state
    totals.pages += 1
    totals.count += len(page["items"])
    totals.total += sum(item["value"] for item in page["items"])
    if page["next"] is not None:
        return Emit("next", {"page": page["next"]})
    return Emit("done", msgspec.to_builtins(totals))


@actor("pages.report")
async def report(totals: Totals) -> dict[str, Any]:
    """The mean of all measurements."""
    return {
        "pages": totals.pages,
        "measurements": totals.count,
        "mean": round(totals.total / totals.count, 3),
    }
