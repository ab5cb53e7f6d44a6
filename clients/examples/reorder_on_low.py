"""A subscriber that reorders what runs low, once for each time that it does.

    python -m examples.reorder_on_low 100    # fill up to 100 available units

It begins with what is low now, and then hears of each level that becomes low
or runs out. The idempotency key of a reorder is the level's version, so an
alert that is seen again, after a crash or by a second subscriber, orders
nothing again. (Here the goods arrive at once; a real one would send an order
to a supplier under that key, and book the receipt when the goods are there.)

Server: INVENTORY_SERVER. It runs until it is interrupted.
"""

from __future__ import annotations

import asyncio
import os
import sys

from inventory_client import (
    AlertEvent,
    AsyncInventoryClient,
    SnapshotLevel,
    StockLevel,
    StockLevelNotFound,
)


async def run(client: AsyncInventoryClient, fill_to: int) -> None:
    """Reorders until it is cancelled; it never ends by a server that is restarted."""
    async with client.watch_low_stock(kinds=["LOW", "OUT"], snapshot=True) as watch:
        async for event in watch:
            match event:
                case SnapshotLevel(level=level):
                    await reorder(client, level, fill_to)
                case AlertEvent(alert=alert):
                    await reorder(client, alert.level, fill_to)


async def reorder(client: AsyncInventoryClient, level: StockLevel, fill_to: int) -> None:
    """Takes in as many units as are missing, as far as the alert knew."""
    units = fill_to - level.available
    if units <= 0:
        return
    key = f"reorder/{level.location}/{level.sku}/{level.version}"
    try:
        await client.adjust_stock(
            [(level.sku, level.location, units)],
            reason="RECEIPT",
            reference=key[:128],
            idempotency_key=key,
        )
    except StockLevelNotFound:
        return  # deleted since: nobody wants it any more
    sys.stdout.write(f"{level.location}/{level.sku}: {level.available}, ordered {units}\n")


async def main() -> None:
    """Runs until it is interrupted."""
    server = os.environ.get("INVENTORY_SERVER", "localhost:8061")
    async with AsyncInventoryClient(server, actor="reorder") as client:
        await run(client, int(sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
