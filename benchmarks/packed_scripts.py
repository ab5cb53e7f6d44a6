"""Script calls exactly as our store sends them, made fast.

The store itself builds one call a SKU; from then on only the ids in it change,
which all have the same length. So thousands of true calls, KEYS and ARGV and
all, are made in the time that the store would take for a few.
"""

from __future__ import annotations

import asyncio
from base64 import b32encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from benchmarks.payloads import CHUNK_ROWS, LOCATION, ON_HAND, TTL_S
from inventory_server.domain.model import ConfirmRequest, Line, Origin, PlaceRequest, Policy
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import partition_of
from inventory_server.stores.opening import StoreOpener
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore

PARTITIONS: Final = 16
HOME: Final = partition_of(LOCATION, PARTITIONS)
RETENTION_MS: Final = 24 * 3600 * 1000
_TIMEOUT_S: Final = 60.0
_CHUNKS_AT_A_TIME: Final = 8
_serial = count(1)


class HoldCall:
    """A place_hold of one SKU, and the confirm_hold that ends it, without their ids."""

    def __init__(self, place: bytes, confirm: bytes, hold_op: str, confirm_op: str) -> None:
        self._place = place.split(hold_op.encode())
        self._confirm = [
            part.split(hold_op.encode()) for part in confirm.split(confirm_op.encode())
        ]

    def place(self, hold_op: bytes) -> bytes:
        """The call that places this hold."""
        return hold_op.join(self._place)

    def confirm(self, hold_op: bytes) -> bytes:
        """The call that confirms it."""
        return _new_op().join([hold_op.join(part) for part in self._confirm])


def new_holds(calls: Sequence[HoldCall], how_many: int) -> Iterator[tuple[HoldCall, bytes]]:
    """The next holds, as (call, op), over the SKUs in turn; no op comes twice in a process."""
    for n in range(how_many):
        yield calls[n % len(calls)], _new_op()


def hold_id_of(hold_op: bytes) -> str:
    """The id of the hold that was placed under this op."""
    return f"{HOME}-{hold_op.decode()}"


def prepare(
    url: str,
    skus: Sequence[str],
    reference: str = "",
    *,
    ttl_ms: int = TTL_S * 1000,
    placed_ms: int | None = None,
) -> list[HoldCall]:
    """Opens the store at this address, sets these SKUs' stock, and makes a call for each.

    With `placed_ms` all holds are placed at that time, and so have one deadline.
    """

    async def run() -> list[HoldCall]:
        async with _open(url) as store:
            await _set_levels(store, skus)
            store.now_ms = "" if placed_ms is None else str(placed_ms)
            return [_make(store, sku, reference, ttl_ms) for sku in skus]

    return asyncio.run(run())


def set_levels(url: str, skus: Sequence[str]) -> None:
    """Sets these SKUs' stock."""

    async def run() -> None:
        async with _open(url) as store:
            await _set_levels(store, skus)

    asyncio.run(run())


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[RedisStore]:
    opener = StoreOpener(
        url,
        partitions=PARTITIONS,
        durability="declared",
        stall_timeout_s=_TIMEOUT_S,
        on_change=lambda _is_ready: None,
    )
    store = await opener.open()
    try:
        yield store
    finally:
        if opener.connection is not None:
            await opener.connection.close()


async def _set_levels(store: RedisStore, skus: Sequence[str]) -> None:
    """Several chunks are under way at a time; they go in in their order."""
    stock = StockStore(store, retention_ms=RETENTION_MS)

    async def set_chunk(at: int) -> None:
        lines = [Line(sku, LOCATION, ON_HAND) for sku in sorted(skus[at : at + CHUNK_ROWS])]
        await stock.import_lines(
            lines,
            [Policy()] * len(lines),
            mode="SET",
            rows=(at + 1, at + len(lines) + 1),
            reference="",
            fingerprint="-",
            origin=_origin(f"levels-{skus[0]}"),
        )

    step = CHUNK_ROWS * _CHUNKS_AT_A_TIME
    for start in range(0, len(skus), step):
        end = min(start + step, len(skus))
        await asyncio.gather(*map(set_chunk, range(start, end, CHUNK_ROWS)))


def _make(store: RedisStore, sku: str, reference: str, ttl_ms: int) -> HoldCall:
    holds = HoldStore(store, retention_ms=RETENTION_MS, max_hold_life_ms=RETENTION_MS)
    origin, fingerprint = _origin(""), "A" * 16
    request = PlaceRequest((Line(sku, LOCATION, 1),), ttl_ms, reference)
    placing = holds.place_command(request, fingerprint, origin)
    confirming = holds.confirm_command(ConfirmRequest(placing.hold_id), fingerprint, origin)
    hold_op = placing.hold_id.partition("-")[2]
    confirm_op = store.operation_id("ConfirmHold", origin)
    place, confirm = store._pack(placing.command), store._pack(confirming)
    return HoldCall(place, confirm, hold_op, confirm_op)


def _origin(key: str) -> Origin:
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    return Origin("", "", key, False, deadline)


def _new_op() -> bytes:
    """An id in the form of the store's own."""
    return b32encode(next(_serial).to_bytes(12, "big"))[:20].lower()
