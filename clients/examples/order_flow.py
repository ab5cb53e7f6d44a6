"""An order and its stock: both or neither, wherever this program may crash.

    python -m examples.order_flow place order-17 TEA:online:2 CUP:store:DELHI:1
    python -m examples.order_flow recover

The steps, and what a crash after each leaves behind:

1. check the basket       nothing
2. place one hold         a hold that its deadline gives back
3. save the order PENDING an order that `recover` finishes: its hold is confirmed, or has ended
4. confirm the hold       the same: confirming again under the same key changes nothing
5. mark it CONFIRMED      the end

A PENDING order is no sale yet. It becomes CONFIRMED only after its hold was
confirmed, and CANCELLED only after its hold has ended otherwise, which no
later confirm can undo. An order id is tried once: all keys are made from it.
Run `recover` at each start and every minute; it must come within the time
that ended holds are kept (24 h), after which nobody knows what became of them.

Server: INVENTORY_SERVER. Table `orders` (key `order_id`): as boto3 finds it, or AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import boto3
from inventory_client import (
    HoldAlreadyReleased,
    HoldEnded,
    HoldExpired,
    InsufficientStock,
    InventoryClient,
)

from examples.orders_table import Line, Orders

TTL_S = 120.0


def place_order(
    client: InventoryClient, orders: Orders, order_id: str, lines: Sequence[Line], ttl: float
) -> str:
    """Runs an order to its end, and answers how it ended. May be repeated after any error."""
    if not client.check_availability(lines).available:
        return "NOT AVAILABLE"  # spares a hold; it is the hold that decides
    held = client.place_hold(lines, ttl=ttl, reference=order_id, idempotency_key=order_id)
    try:
        orders.save(order_id, held.hold.hold_id, lines)
    except Exception:
        # Where it was saved all the same, `recover` finds its hold released and cancels it.
        with suppress(HoldEnded):
            client.release_hold(held.hold.hold_id, idempotency_key=order_id)
        raise
    return finish(client, orders, order_id, held.hold.hold_id)


def finish(client: InventoryClient, orders: Orders, order_id: str, hold_id: str) -> str:
    """Confirms a saved order, or cancels it where its hold is gone."""
    status = "CONFIRMED"
    try:
        client.confirm_hold(hold_id, idempotency_key=order_id)
    except (HoldExpired, HoldAlreadyReleased):
        status = "CANCELLED"
    except InsufficientStock:  # a recount has found less than was held
        client.release_hold(hold_id, idempotency_key=order_id)
        status = "CANCELLED"
    orders.mark(order_id, status)
    return status


def recover(client: InventoryClient, orders: Orders) -> dict[str, str]:
    """Brings every order to its end that a crash has left PENDING."""
    return {
        order["order_id"]: finish(client, orders, order["order_id"], order["hold_id"])
        for order in orders.pending()
    }


def _line(text: str) -> Line:
    sku, _, rest = text.partition(":")
    location, _, quantity = rest.rpartition(":")
    return sku, location, int(quantity)


if __name__ == "__main__":
    table = Orders(boto3.resource("dynamodb").Table("orders"))
    with InventoryClient(os.environ.get("INVENTORY_SERVER", "localhost:8061")) as inventory:
        if sys.argv[1] == "recover":
            sys.stdout.write(f"{recover(inventory, table)}\n")
        else:
            basket = [_line(text) for text in sys.argv[3:]]
            ended = place_order(inventory, table, sys.argv[2], basket, TTL_S)
            sys.stdout.write(f"{sys.argv[2]}: {ended}\n")
