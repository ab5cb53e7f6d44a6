"""The drainer's own process: copies the store of the server that has started it.

boto3 takes the interpreter's lock for long; in the server's process it would keep
calls waiting (p99 of holds ten times as long, measured). The server sends its
settings as a line of JSON and keeps the pipe open: when that ends, however that
comes, the drainer copies what it has begun, gives its leases back, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from inventory_server.call_log import set_up_logging
from inventory_server.copy_tools import make_copy_dynamo
from inventory_server.domain.copy import CopiedStore, CopyReport
from inventory_server.domain.errors import InventoryError
from inventory_server.operations.draining import Drainer
from inventory_server.settings import Settings
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.opening import SCHEMA, StoreOpener, StoreRefusedError
from inventory_server.stores.redis_store import RedisStore

log = logging.getLogger(__name__)

STOP_S: Final = 10.0
"""So long it may take to end; what is not copied then is copied by who comes next."""
REPORT_S: Final = 0.5
NICENESS: Final = 10


def pack_order(settings: Settings, redis_url: str, store_id: str) -> bytes:
    """The line that says what is to be drained."""
    told = asdict(settings) | {"redis_url": redis_url, "data_dir": str(settings.data_dir)}
    return json.dumps({"settings": told, "store_id": store_id}).encode() + b"\n"


def parse_order(line: str) -> tuple[Settings, str]:
    """Its inverse: the settings, and which store it is."""
    order = json.loads(line)
    told = order["settings"] | {"data_dir": Path(order["settings"]["data_dir"])}
    return Settings(**told), order["store_id"]


def parse_report(line: bytes) -> CopyReport:
    """A line of what it says how it stands."""
    lags, *numbers = json.loads(line)
    return CopyReport(tuple(lags), *numbers)


class _Reports:
    """Says on stdout how the copy stands, for the server's metrics."""

    def __init__(self) -> None:
        self._said = CopyReport()
        self._said_at = 0.0

    def say(self, report: CopyReport) -> None:
        """Says it, where it is new."""
        now = monotonic()
        if report != self._said and now - self._said_at >= REPORT_S:
            self._said, self._said_at = report, now
            # Whoever does not listen any more has ended, and so will this.
            with contextlib.suppress(BrokenPipeError):
                os.write(1, json.dumps(report).encode() + b"\n")


class DrainRoot:
    """Builds a drainer, and runs it."""

    def __init__(
        self, settings: Settings, store: RedisStore,
        report: Callable[[CopyReport], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._store = store
        names = copy_table_names(settings.table_prefix)
        self.dynamo = make_copy_dynamo(settings)
        self._leases = CopyLeases(self.dynamo, names, store.store_id)
        copy = CopyStore(
            self.dynamo, names, store.store_id, retention_ms=settings.retention_s * 1000
        )
        reader = CopyReader(self.dynamo, names)
        source = CopySource(store)
        self.drainer = Drainer(source, copy, self._leases, reader, self._register, report)

    async def run(self) -> None:
        """Drains until `stop`. Raises StoreUnavailable where there is no way to DynamoDB."""
        await self.dynamo.open()
        try:
            await self.drainer.run()
        finally:
            self.dynamo.close()

    def stop(self) -> None:
        """Ends `run` after what it is doing."""
        self.drainer.stop()

    async def _register(self, deadline: float) -> None:
        store = self._store
        await self._leases.register(
            CopiedStore(
                store.store_id,
                store.secret.hex(),
                store.keys.partitions,
                SCHEMA,
                int(store.partitions[0].epoch),
            ),
            deadline,
        )


async def drain(settings: Settings, store_id: str) -> None:
    """Drains this store until stdin ends. Raises StoreRefusedError and InventoryError."""
    opener = StoreOpener(
        settings.redis_url,
        partitions=settings.partitions,
        durability="declared",
        stall_timeout_s=settings.stall_timeout_s,
        on_change=lambda _: None,
    )
    try:
        # It makes none: an empty Redis is for the server to judge.
        store = await opener.look()
        if store.store_id != store_id:
            raise StoreRefusedError(f"Redis has the store {store.store_id or '-'}, not {store_id}")
        root = DrainRoot(settings, store, _Reports().say)
        threading.Thread(
            target=_stop_with_stdin, args=(asyncio.get_running_loop(), root), daemon=True
        ).start()
        await root.run()
    finally:
        if opener.connection is not None:
            await opener.connection.close()


def _stop_with_stdin(loop: asyncio.AbstractEventLoop, root: DrainRoot) -> None:
    while os.read(0, 4096):
        pass
    end = threading.Timer(STOP_S, os._exit, (1,))
    end.daemon = True
    end.start()
    loop.call_soon_threadsafe(root.stop)


def main() -> None:
    """Drains until stdin ends; exit status 1 where it could not go on."""
    settings, store_id = parse_order(sys.stdin.readline())
    # Where processors are short, callers come first.
    os.nice(NICENESS)
    set_up_logging(settings.log_format)
    try:
        uvloop.run(drain(settings, store_id))
    except (StoreRefusedError, InventoryError, OSError) as error:
        log.error("the store is not copied: %s", error)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
