"""Thousands of operations at once on two servers: every answer and every alert is true."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.proof.load import Load, outcomes
from tests.proof.witness import assert_told_as_it_happened, without_collections
from tests.serving import Running

OPERATIONS = int(os.environ.get("INVENTORY_WITNESS_OPERATIONS", "30000"))
"""How many; the full size is 100000."""
CALLERS, BATCH_CALLERS = 300, 12


@pytest.mark.timeout(480)
async def test_thousands_of_operations_are_told_as_they_happened(
    start: Callable[..., Running], redis_url: str, db: redis.Redis, tmp_path: Path
) -> None:
    flags = ("--redis-url", redis_url, "--durability", "warn")
    servers = await asyncio.gather(
        *[asyncio.to_thread(start, *flags, data_dir=tmp_path / f"server{n}") for n in range(2)]
    )
    load = Load([f"127.0.0.1:{server.port}" for server in servers])
    await load.stock_up()
    with without_collections():
        await load.run(OPERATIONS, callers=CALLERS, batch_callers=BATCH_CALLERS)
    assert not load.unanswered()
    await load.close()
    for server in servers:
        server.close()

    seen = assert_told_as_it_happened(load.askings, db)
    assert seen.counts["operations asked for"] + seen.counts["reads"] >= OPERATIONS
    # The load is of every kind: much is refused, repeated, read and left to expire, and levels
    # become low, run out and recover in every way.
    assert seen.refusals.keys() >= {
        *("INSUFFICIENT_STOCK", "BELOW_HELD", "HOLD_EXPIRED", "QUANTITY_EXCEEDS_HELD"),
        *("HOLD_ALREADY_CONFIRMED", "HOLD_ALREADY_RELEASED"),
    }
    assert seen.alerts.keys() >= {
        *(("LOW", "HOLD"), ("OUT", "HOLD"), ("RECOVERED", "RELEASE"), ("RECOVERED", "EXPIRE")),
        *(("LOW", "POLICY"), ("RECOVERED", "POLICY"), ("LOW", "SALE"), ("RECOVERED", "ADJUST")),
    }
    assert seen.counts["alerts"] > OPERATIONS / 100
    assert (
        min(seen.counts[name] for name in ("of them replays", "reads", "expiries"))
        > OPERATIONS / 200
    )
    assert outcomes(load.askings)["OK"] > OPERATIONS / 2
