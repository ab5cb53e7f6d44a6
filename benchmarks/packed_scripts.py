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
from typing import Any, Final

from benchmarks.payloads import CHUNK_ROWS, LOCATION, ON_HAND, TTL_S
from inventory_server.domain.model import Line, Origin
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import partition_of
from inventory_server.stores.opening import StoreOpener
from inventory_server.stores.operation_id import operation_id
from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.stock_store import StockStore

PARTITIONS: Final = 16
HOME: Final = partition_of(LOCATION, PARTITIONS)
RETENTION_MS: Final = 24 * 3600 * 1000
_TIMEOUT_S: Final = 60.0
_serial = count(1)


class _Packed(Exception):
    """A call that was packed and not sent."""

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self.packed = packed


class _PackingStore:
    """A store that packs a mutation and stops there."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def mutate(self, command: Command, _origin: Origin) -> list[Any]:
        """Raises the packed call."""
        raise _Packed(self._store._pack(command))


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


def prepare(url: str, skus: Sequence[str], reference: str = "") -> list[HoldCall]:
    """Opens the store at this address, sets these SKUs' stock, and makes a call for each."""
    return asyncio.run(_prepare(url, skus, reference))


def set_levels(url: str, skus: Sequence[str]) -> None:
    """Sets these SKUs' stock."""

    async def run() -> None:
        async with _open(url) as store:
            await _set_levels(store, skus)

    asyncio.run(run())


async def _prepare(url: str, skus: Sequence[str], reference: str) -> list[HoldCall]:
    async with _open(url) as store:
        await _set_levels(store, skus)
        return [await _make(store, sku, reference) for sku in skus]


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
    stock = StockStore(store, retention_ms=RETENTION_MS)
    for at in range(0, len(skus), CHUNK_ROWS):
        lines = [Line(sku, LOCATION, ON_HAND) for sku in sorted(skus[at : at + CHUNK_ROWS])]
        await stock.import_lines(
            lines,
            mode="SET",
            rows=(at + 1, at + len(lines) + 1),
            reference="",
            fingerprint="-",
            origin=_origin(f"levels-{skus[0]}"),
        )


async def _make(store: RedisStore, sku: str, reference: str) -> HoldCall:
    packing: Any = _PackingStore(store)
    holds = HoldStore(packing, retention_ms=RETENTION_MS, max_hold_life_ms=RETENTION_MS)
    origin = _origin("")
    hold_op = operation_id(store._secret, "PlaceHold", "", "")
    placing = holds.place(
        [Line(sku, LOCATION, 1)],
        ttl_ms=TTL_S * 1000,
        reference=reference,
        note="",
        fingerprint="A" * 16,
        origin=origin,
    )
    confirming = holds.confirm(f"{HOME}-{hold_op}", fingerprint="A" * 16, origin=origin)
    confirm_op = operation_id(store._secret, "ConfirmHold", "", "")
    return HoldCall(await _pack(placing), await _pack(confirming), hold_op, confirm_op)


async def _pack(call: Any) -> bytes:
    try:
        await call
    except _Packed as packed:
        return packed.packed
    raise RuntimeError("the store answered without a call")


def _origin(key: str) -> Origin:
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    return Origin("", "", key, False, deadline)


def _new_op() -> bytes:
    """An id in the form of the store's own."""
    return b32encode(next(_serial).to_bytes(12, "big"))[:20].lower()
