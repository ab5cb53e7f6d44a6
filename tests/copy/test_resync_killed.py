"""`inventory-server resync` as a process, killed at each of its steps: the copy is not called
complete before it is, and the next run makes it so.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from threading import Event
from typing import Any

import pytest
from inventory.v1 import hold_service_pb2 as hold_pb

from tests.calls import key, place, set_stock
from tests.copy.day import DELHI, ONLINE, PLACES
from tests.copy.losing import BOTH, a_day_that_is_lost, assert_restored, lacking, trim
from tests.faults.dynamo_proxy import Exchange, Reply
from tests.processes import stop_process
from tests.serving import PROGRAM

WRITES = ("BatchWriteItem", "UpdateItem")


class HeldUp:
    """Of a process's writes the n-th is held up, after it was done or before."""

    def __init__(self, step: int, *, is_done: bool) -> None:
        self._left, self._is_done = step, is_done
        self.has_come = Event()

    def __call__(self, exchange: Exchange) -> Reply | None:
        self._left -= 1
        if self._left:
            return exchange.forward(exchange.body)
        if self._is_done:
            exchange.forward(exchange.body)
        self.has_come.set()
        exchange.wait(None)
        return None


@pytest.fixture
def start_resync(
    redis_url: str, dynamo_proxy: Any, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Starts it as a process, whose requests go through the proxy."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "double")
    flags = ("--redis-url", redis_url, "--dynamodb-endpoint", dynamo_proxy.endpoint)
    command = [*PROGRAM, "resync", *flags, "--table-prefix", table_prefix]
    return lambda: subprocess.Popen(
        command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


async def until_killed(start_resync: Any, proxy: Any, step: int, *, is_done: bool) -> bool:
    """Runs it up to its n-th write, and kills it there; False where it has ended before."""
    held_up = HeldUp(step, is_done=is_done)
    for operation in WRITES:
        proxy.inject(held_up, operation=operation)
    process = start_resync()
    try:
        while process.poll() is None:
            if await asyncio.to_thread(held_up.has_come.wait, 0.1):
                process.kill()
                return True
        assert process.returncode == 0, process.stdout.read()
        return False
    finally:
        stop_process(process)
        process.stdout.close()
        proxy.heal()


async def test_a_killed_resync_is_not_called_complete_and_is_begun_anew(
    serve, db, copying, restore, leases_of, run_copy_command, start_resync, dynamo_proxy
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE, DELHI)
    await copying(first)
    was_killed, step = True, 1
    while was_killed:
        # Its writes go out together: of those of its first step some are done.
        was_killed = await until_killed(start_resync, dynamo_proxy, step, is_done=step % 2 == 0)
        told = await run_copy_command("status")
        lacks = await lacking(leases_of(first))
        is_said = "partitions are not complete in the copy" in told.output
        assert (told.exit_code, is_said) == ((1, True) if lacks else (0, False)), told.output
        assert lacks or not was_killed or step > 8
        # What it has written becomes old.
        for location in PLACES:
            await set_stock(first.stock, 900 + step, location=location)
        made = await place(first.holds, *BOTH, metadata=key(f"after-{step}"))
        await first.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=made.hold.hold_id))
        await copying(first)
        step += 4
    assert step > 12
    assert await lacking(leases_of(first)) == 0
    await assert_restored(first, db, restore, serve)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_killed_at_its_last_write_it_is_complete_if_that_was_done(
    serve, db, copying, restore, leases_of, run_copy_command, start_resync, dynamo_proxy, is_done
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE)
    await copying(first)
    held_up = HeldUp(1, is_done=is_done)
    dynamo_proxy.inject(held_up, operation="UpdateItem")
    process = start_resync()
    assert await asyncio.to_thread(held_up.has_come.wait, 60)
    process.kill()
    assert process.wait() != 0
    process.stdout.close()
    dynamo_proxy.heal()
    told = await run_copy_command("status")
    assert told.exit_code == (0 if is_done else 1), told.output
    if not is_done:
        again = start_resync()
        told, _ = await asyncio.to_thread(again.communicate)
        assert (again.returncode, "Resynced 1 partitions" in told) == (0, True), told
    assert await lacking(leases_of(first)) == 0
    await assert_restored(first, db, restore, serve)
