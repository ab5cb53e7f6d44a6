"""Whatever dies, and whatever becomes of requests on their way: the copy is the fold.

Three servers copy one store under a load. At every step of a drainer the server
that takes it, Redis, or the way to DynamoDB dies, and requests fail, come twice,
come late, or come when another drainer has long taken over. Afterwards the copy has each
movement of the journals once, and what follows from them, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import redis

from inventory_server.stores.copy_leases import CopyLeases
from tests.copy import keyed_double
from tests.copy.copying_servers import CopyingServers, QuickServer, Seat, environment, starter
from tests.copy.entries import soon
from tests.copy.mixed_load import MixedLoad
from tests.copy.serving import PARTITIONS, assert_copy_is_the_fold, is_all_copied
from tests.copy.steps import STEPS, StepNames
from tests.copy.troubles import (
    DELIVERIES,
    VICTIMS,
    Troubles,
    each_step_in_every_way,
    each_step_once,
)
from tests.copy.whole_copy import (
    assert_all_histories_are_whole,
    assert_marks_are_at_the_end,
    counted,
)
from tests.dynamo import moto_server
from tests.eventually import eventually_async
from tests.faults.dynamo_proxy import DynamoProxy
from tests.fold import assert_journal_folds_to_state
from tests.processes import DurableRedis
from tests.proof.two_servers import address
from tests.serving import Running

MOVEMENTS = int(os.environ.get("INVENTORY_COPY_MOVEMENTS", "1500"))
"""How many are made; the full size, with every death at every step, is 100000."""
IS_FULL = MOVEMENTS >= 20_000
SERVERS = 3
SETTINGS = environment(fold_s=5, batch=1_000) if IS_FULL else environment(fold_s=0.5, batch=100)


@pytest.fixture(scope="module")
def dynamo_endpoint() -> Iterator[str]:
    """A DynamoDB that finds things in large tables too."""
    with moto_server(keyed_double.__file__) as endpoint:
        yield endpoint


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers with short times; ends them after the test."""
    with contextlib.ExitStack() as running:

        def starts(*flags: str, **variables: str) -> Running:
            server = QuickServer(tmp_path / "data", *flags, **variables)
            running.callback(server.close)
            return server

        yield starts


@pytest.fixture
def proxies(dynamo_endpoint: str) -> Iterator[list[DynamoProxy]]:
    """Each server's own way to DynamoDB."""
    with contextlib.ExitStack() as open_ones:
        yield [open_ones.enter_context(DynamoProxy(dynamo_endpoint)) for _ in range(SERVERS)]


@pytest.fixture
def on_the_way(proxies: Any) -> Iterator[contextlib.ExitStack]:
    """Takes what lets requests through that are held back: a proxy waits for them to end."""
    with contextlib.ExitStack() as held:
        yield held


@pytest.mark.timeout(180 + MOVEMENTS // 50)
async def test_whatever_dies_at_any_step_the_copy_has_each_movement_once(
    start: Any, store: DurableRedis, proxies: Any, table_prefix: str, dynamo: Any, names: Any,
    reader: Any, on_the_way: contextlib.ExitStack,
) -> None:  # fmt: skip
    begun_at = perf_counter()
    begin = starter(start, store.url, table_prefix, SETTINGS)
    seats = [Seat(proxy, begin) for proxy in proxies]
    await asyncio.gather(*[asyncio.to_thread(seat.start) for seat in seats])
    store_id = store.db.hget("inv:{0}:meta", "store_id")
    leases = CopyLeases(dynamo, names, store_id)
    load = MixedLoad([address(seat.server) for seat in seats], store.connect(timeout_s=1))
    servers = CopyingServers(seats, store, load, leases)
    deaths = each_step_in_every_way() if IS_FULL else each_step_once()
    troubles = servers.troubles = Troubles(
        StepNames(names), deaths, 40 if IS_FULL else 8, store.die, servers.on_death
    )
    on_the_way.callback(troubles.end)
    for seat in seats:
        seat.proxy.inject(partial(troubles.meet, seat))

    await load.stock_up()
    async with asyncio.TaskGroup() as both:
        both.create_task(load.run_on())
        await servers.suffer(MOVEMENTS)
        load.stopping.set()
    await load.settle()
    store.db.connection_pool.disconnect()
    troubles.heal()
    await eventually_async(partial(is_whole, store.db, leases), timeout_s=60 + MOVEMENTS // 300)
    # What is on its way yet comes when all is done.
    late = troubles.late.waiting
    troubles.end()
    await eventually_async(partial(is_whole, store.db, leases), timeout_s=30)
    await load.close()
    await asyncio.gather(*[asyncio.to_thread(seat.close) for seat in seats])
    copied_s = perf_counter() - begun_at

    await assert_marks_are_at_the_end(store.db, leases)
    count = await assert_copy_is_the_fold(store.db, reader)
    tables = await counted(dynamo, names)
    assert tables.movements == count, "an item that is no movement's"
    levels = await assert_all_histories_are_whole(store.db, dynamo, names, store_id)
    assert_journal_folds_to_state(store.db, PARTITIONS)
    tell(troubles, servers, {
        "movements": count, "levels with a history": levels, **tables._asdict(),
        "late to the last": late, "seconds": int(copied_s),
        "seconds of judging": int(perf_counter() - begun_at - copied_s),
    })  # fmt: skip
    # It was all that it was to be.
    assert count >= MOVEMENTS
    assert not troubles.left
    assert {death.step for death in troubles.deaths} == set(STEPS)
    assert {death.victim for death in troubles.deaths} == set(VICTIMS)
    assert {death.delivery for death in troubles.deaths} == set(DELIVERIES)
    assert all(troubles.seen[step] for step in STEPS)


async def is_whole(db: redis.Redis, leases: CopyLeases) -> bool:
    """Whether no hold waits for its end, and all is copied, as every part of it knows."""
    if any(db.zcount(f"inv:{{{n}}}:due", 0, db.time()[0] * 1000 + 60_000) for n in range(3)):
        return False
    if not await is_all_copied(db, leases, soon()):
        return False
    metas = [db.hmget(f"inv:{{{n}}}:meta", "seq", "copied") for n in range(PARTITIONS)]
    return all(int(seq or 0) == int(copied or 0) for seq, copied in metas)


def tell(troubles: Troubles, servers: CopyingServers, figures: dict[str, int]) -> None:
    """Writes out all counts, to be quoted."""
    parts: dict[str, Any] = {
        "counts": figures,
        "deaths": Counter(f"{death.victim} {death.delivery}" for death in troubles.deaths),
        "at steps": Counter(death.step for death in troubles.deaths),
        "so that another takes over": Counter(servers.extra),
        "faults": troubles.faults,
        "requests": troubles.seen,
    }
    for name, counts in parts.items():
        told = ", ".join(f"{what}: {number:,}" for what, number in sorted(counts.items()))
        sys.stdout.write(f"{name}: {told}\n")
