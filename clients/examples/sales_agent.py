"""Sales agents that fill random baskets; payments succeed, fail, or come late.

    python -m examples.sales_agent 100       # as many orders, ten agents at once

A basket is held while its payment runs. A payment that fails gives the units
back at once. One that comes after the hold's deadline sells them all the same
if they are all still there, else the buyer gets the money back: a unit is
never sold twice, whatever payments do.

Server: INVENTORY_SERVER. It sells what there is online.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import count

from inventory_client import AsyncInventoryClient, HoldExpired, InsufficientStock

TTL_S = 2.0
"""Much too short for people; it is so that late payments are seen soon."""
AGENTS = 10


class PaymentFailedError(Exception):
    """The bank said no."""


async def pay(ttl_s: float) -> None:
    """A payment: most go well, some fail, and some come after the hold's deadline."""
    luck = random.random()  # noqa: S311 - not a secret
    if luck < 0.2:
        raise PaymentFailedError
    if luck < 0.3:
        await asyncio.sleep(ttl_s * 1.2)


async def sell(
    client: AsyncInventoryClient, skus: Sequence[str], order_id: str, ttl_s: float
) -> str:
    """Sells one random basket, and says what became of it."""
    some = random.sample(skus, k=min(len(skus), random.randint(1, 3)))  # noqa: S311
    basket = [(sku, "online", random.randint(1, 3)) for sku in some]  # noqa: S311
    try:
        async with client.hold(
            basket, ttl=ttl_s, reference=order_id, idempotency_key=order_id
        ) as hold:
            await pay(ttl_s)
            sold = await hold.confirm(rehold_if_expired=True)
    except InsufficientStock as refused:
        # The facts say what a buyer could still get.
        return "sold out" if all(line.sellable == 0 for line in refused.lines) else "too few"
    except PaymentFailedError:
        return "payment failed, units given back"
    except HoldExpired:
        return "paid too late, money given back"
    return "paid late, sold" if sold.reheld else "sold"


async def run(client: AsyncInventoryClient, orders: int, ttl_s: float = TTL_S) -> Counter[str]:
    """Sells as many baskets, and counts what became of them."""
    skus = [level.sku async for level in client.list_stock_levels("online")]
    run_id = f"{random.getrandbits(64):016x}"
    numbers, outcomes = count(1), Counter[str]()

    async def agent() -> None:
        while (number := next(numbers)) <= orders:
            outcomes[await sell(client, skus, f"order-{run_id}-{number}", ttl_s)] += 1

    async with asyncio.TaskGroup() as agents:
        for _ in range(AGENTS):
            agents.create_task(agent())
    return outcomes


async def main() -> None:
    """Runs the agents and prints what became of their orders."""
    server = os.environ.get("INVENTORY_SERVER", "localhost:8061")
    async with AsyncInventoryClient(server, actor="sales-agent") as client:
        outcomes = await run(client, int(sys.argv[1]))
    for outcome, number in outcomes.most_common():
        sys.stdout.write(f"{number:6} {outcome}\n")


if __name__ == "__main__":
    asyncio.run(main())
