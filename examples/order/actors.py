"""The actors of the order. They pretend to talk to a shop's systems, and take about as long."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from tidestep import Context, Retry, actor

PRICES = {"teapot": 24.5, "cup": 4.0, "whale": 9_000_000.0}
STOCK = {"teapot": 12, "cup": 80}


class Order(msgspec.Struct):
    sku: str
    quantity: int
    customer: str


class Reservation(msgspec.Struct):
    reserved: bool
    sku: str
    quantity: int
    price: float


class Receipt(msgspec.Struct):
    sku: str
    quantity: int
    amount: float
    currency: str


@actor("orders.reserve")
async def reserve(order: Order) -> Reservation:
    """Take the goods from the stock, if it has enough of them."""
    await asyncio.sleep(0.3)
    enough = STOCK.get(order.sku, 0) >= order.quantity
    return Reservation(enough, order.sku, order.quantity, PRICES.get(order.sku, 0.0))


@actor("orders.charge", retry=Retry(max_attempts=3, interval=1), timeout=10)
async def charge(
    reservation: Reservation, context: Context, *, customer: str, currency: str = "EUR"
) -> Receipt:
    """Charge the customer; the payment provider does not answer the first time."""
    await asyncio.sleep(0.4)
    if context.attempt == 1:
        raise ConnectionError("the payment provider did not answer")
    # A real provider is given context.idempotency_key: it is the same for every attempt.
    amount = reservation.quantity * reservation.price
    return Receipt(reservation.sku, reservation.quantity, amount, currency)


@actor("orders.pack")
async def pack(receipt: Receipt) -> dict[str, Any]:
    """Put the goods into a parcel."""
    await asyncio.sleep(0.8)
    return {"sku": receipt.sku, "weight_kg": round(0.4 * receipt.quantity, 1)}


@actor("orders.label")
async def label(receipt: Receipt, *, customer: str) -> dict[str, str]:
    """Print the label."""
    await asyncio.sleep(0.5)
    return {"to": customer, "service": "insured" if receipt.amount > 100 else "standard"}


@actor("orders.ship")
async def ship(parcel: dict[str, Any], label: dict[str, str], context: Context) -> dict[str, str]:
    """Hand parcel and label to the carrier: this node waits until it has both."""
    await asyncio.sleep(0.3)
    return {"tracking": f"TS-{context.run_id[:8].upper()}", "service": label["service"]}


@actor("orders.apologise")
async def apologise(reason: dict[str, Any], *, customer: str) -> dict[str, str]:
    """Say sorry, whatever the reason."""
    await asyncio.sleep(0.2)
    why = "it could not be paid for" if "error" in reason else "we have run out of it"
    return {"text": f"Dear {customer}, we cannot send {reason.get('sku', 'your order')}: {why}."}
