"""The actor that joins the answers."""

from __future__ import annotations

from typing import Any

from tidestep import actor

Response = dict[str, Any]


@actor("overview.summary")
async def summary(weather: Response, air: Response, events: Response, *, city: str) -> str:
    """One sentence out of three answers; this node fires when all three are there."""
    degrees = weather["body"]["degrees"]
    titles = " and ".join(event["title"] for event in events["body"]["events"])
    return f"{city}: {degrees} degrees, {air['body']['quality']} air; today {titles}."
