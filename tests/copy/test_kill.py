"""Servers as processes: killed under load, and their store made again from the copy."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Semaphore
from typing import Any

import grpc
import pytest
from inventory.v1 import hold_service_pb2 as hold_pb

from inventory_server.stores.copy_leases import CopyLeases
from tests.copy.entries import soon
from tests.copy.serving import assert_copy_is_the_fold, is_all_copied, marks
from tests.eventually import eventually, eventually_async
from tests.faults.dynamo_proxy import broken, partly, reply_lost, throttled
from tests.fold import stored_levels
from tests.processes import DurableRedis
from tests.serving import PROGRAM, Running

NAMES = map("k{}".format, count())  # not a generator: threads share it


AHEAD = 250
"""So many orders the callers may be ahead of the copy: the double copies a hundred a second."""


def order(server: Running, may_go_on: Semaphore) -> None:
    """Places and confirms, until nobody answers."""
    for name in NAMES:
        may_go_on.acquire()
        try:
            hold_id = server.place(name)
            if int(name[1:]) % 3:
                server.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id), timeout=10)
        except grpc.RpcError:
            return


async def test_a_killed_server_and_redis_leave_a_whole_copy_from_which_the_store_comes_back(
    start_quick: Any, store: DurableRedis, dynamo: Any, dynamo_proxy: Any, table_prefix: str,
    names: Any, reader: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "double")
    own = ("--dynamodb-endpoint", dynamo_proxy.endpoint, "--table-prefix", table_prefix)
    server: Running = start_quick(*own, "--partitions", "3")
    server.set_stock(100_000)
    for fault, operation in (
        (throttled(), ""), (broken, ""), (reply_lost, "UpdateItem"),
        (reply_lost, "BatchWriteItem"), (partly(1), "BatchWriteItem"),
    ):  # fmt: skip
        dynamo_proxy.inject(fault, operation=operation, times=4)
    may_go_on = Semaphore(AHEAD)
    with ThreadPoolExecutor(2) as callers, server.redis() as db:
        for _ in range(2):
            callers.submit(order, server, may_go_on)
        try:
            eventually(lambda: int(db.hget("inv:{2}:meta", "copied") or 0) > 40, timeout_s=60)
        finally:
            # The callers end with it.
            may_go_on.release(AHEAD)
            server.kill_with_redis(redis_first=False)
    server = start_quick(*own, "--partitions", "3")
    with server.redis() as db:
        store_id = db.hget("inv:{0}:meta", "store_id")
        leases = CopyLeases(dynamo, names, store_id)
        order_more = server.place("last")
        await eventually_async(lambda: is_all_copied(db, leases, soon()), timeout_s=60)
        assert await assert_copy_is_the_fold(db, reader) == sum(marks(db).values())
        before = stored_levels(db)
    server.close()
    environment = {**os.environ, "INVENTORY_REDIS_URL": store.url}
    told = subprocess.run(
        [*PROGRAM, "restore", *own], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert stored_levels(store.db) == before
    again: Running = start_quick(*own, "--partitions", "3", "--redis-url", store.url)
    assert again.place("last") == order_more
    told = subprocess.run(
        [*PROGRAM, "verify", "--port", str(again.port)], capture_output=True, text=True, check=False
    )
    assert (told.returncode, "no discrepancies" in told.stdout) == (0, True), told.stdout
