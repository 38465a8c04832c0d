"""Actors for the functions' tests: an order's, without its pauses."""

from __future__ import annotations

from typing import Any

from tidestep import Context, Retry, actor

PRICED: list[str] = []
"""The `sku` of every order that was priced, as often as it was."""
BOMB = "bomb"
"""The `sku` that is the end of the process."""


@actor("shop.price")
async def price(order: dict[str, Any]) -> float:
    PRICED.append(order["sku"])
    return float(order["quantity"]) * 24.5


@actor("shop.charge", retry=Retry(max_attempts=3, interval=0))
def charge(amount: float, context: Context) -> dict[str, Any]:
    if context.attempt == 1:
        raise ConnectionError("the payment provider did not answer")
    return {"amount": amount, "key": context.idempotency_key}


@actor("shop.pack")
async def pack(receipt: dict[str, Any]) -> str:
    return "parcel"


@actor("shop.ship")
async def ship(receipt: dict[str, Any], parcel: str) -> dict[str, Any]:
    return {**receipt, "sent": parcel}
