"""Actors that compute values from values."""

from __future__ import annotations

from typing import Any

from engine.actors.actor import actor


@actor("transform.map")
async def map_value(message: Any, **fields: Any) -> Any:
    """Send out the node's config, its expressions evaluated: `{total: "{{ message.a + 1 }}"}`."""
    return fields
