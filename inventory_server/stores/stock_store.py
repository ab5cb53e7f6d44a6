"""Stock levels in Redis: one typed call a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inventory_server.domain.limits import MAX_TOTAL, MINTED_KEY_RETENTION_MS
from inventory_server.domain.model import (
    Change,
    CountLine,
    Level,
    Line,
    Origin,
    Policy,
    PolicyLine,
)
from inventory_server.stores.cursor import make_cursor
from inventory_server.stores.keys import partition_of
from inventory_server.stores.outcomes import Due, lines_error
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.records import parse_level, parse_levels
from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.scope import Scope


class ImportRefusal(Exception):
    """A chunk that cannot be taken: its first row went in with another chunk."""

    def __init__(self, next_row: int) -> None:
        super().__init__(f"rows before {next_row} went in with another chunk")
        self.next_row = next_row


class LineRefusal(NamedTuple):
    """A line of a chunk that stayed out: its number, and what its status word compares."""

    number: int
    status: str
    requested: int
    fact: int


class StockStore:
    """What the scripts do with levels. Raises InventoryError; answers Due where
    holds have to be expired before the script can judge.
    """

    def __init__(self, store: RedisStore, *, retention_ms: int) -> None:
        self._store = store
        self._retention_ms = retention_ms

    async def read_levels(
        self, levels: Sequence[tuple[str, str]], deadline: float
    ) -> list[tuple[Level | None, int | None]] | Due:
        """Levels named (location, sku), each with its holds' earliest deadline, at one instant."""
        store = self._store
        keys: list[str] = []
        for location, sku in levels:
            keys += (store.keys.level(location, sku), store.keys.level_due(location, sku))
        reply = await store.read(Command("read_levels", keys, lambda: (store.now_ms,)), deadline)
        if reply[0] == "due":
            return Due(tuple([levels[i - 1] for i in reply[1:]]))
        return [
            (
                parse_level(sku, location, packed) if packed else None,
                int(earliest) if earliest else None,
            )
            for (location, sku), packed, earliest in zip(
                levels, reply[2::2], reply[3::2], strict=True
            )
        ]

    async def read_basket(
        self, levels: Sequence[tuple[str, str]], deadline: float
    ) -> dict[tuple[str, str], tuple[Level | None, int | None, bool]] | Due:
        """The same by their names, each with whether its product is active."""
        store, keyspace = self._store, self._store.keys
        # Those of a partition together: the script asks once for all of them.
        levels = sorted(levels, key=lambda level: keyspace.partition(level[0]))
        keys: list[str] = []
        for location, sku in levels:
            number, level, level_due, _, _ = keyspace.at(location)
            keys += (level + sku, level_due + sku, keyspace.inactive(number))
        arguments = (store.now_ms, *[sku for _, sku in levels])
        reply = await store.read(Command("read_basket", keys, lambda: arguments), deadline)
        if reply[0] == "due":
            return Due(tuple([levels[i - 1] for i in reply[1:]]))
        inactive = set(reply[2].split(","))
        return {
            (location, sku): (
                parse_level(sku, location, packed) if packed else None,
                int(earliest) if earliest else None,
                str(i) not in inactive,
            )
            for i, ((location, sku), packed, earliest) in enumerate(
                zip(levels, reply[3::2], reply[4::2], strict=True), 1
            )
        }

    async def locations(self, deadline: float) -> list[str]:
        """Every location that has levels: online first, then the stores by name."""
        found: list[str] = []
        for number in range(self._store.keys.partitions):
            key = self._store.keys.locations(number)
            found += await self._store.command("HKEYS", key, deadline=deadline)
        return sorted(found)

    async def skus(
        self, location: str, after: str, prefix: str, count: int, deadline: float
    ) -> list[str]:
        """The location's next SKUs in order, after this one, that start with `prefix`."""
        low = f"({after}" if after else f"[{prefix}"
        high = f"({prefix}\x7f" if prefix else "+"
        key = self._store.keys.skus(location)
        skus: list[str] = await self._store.command(
            "ZRANGEBYLEX", key, low, high, "LIMIT", 0, count, deadline=deadline
        )
        return skus

    async def low_skus(self, location: str, after: str, count: int, deadline: float) -> list[str]:
        """The location's next SKUs, in order, whose levels are low or out, after this one."""
        low = f"({after}" if after else "-"
        key = self._store.keys.low(location)
        skus: list[str] = await self._store.command(
            "ZRANGEBYLEX", key, low, "+", "LIMIT", 0, count, deadline=deadline
        )
        return skus

    async def set(
        self,
        lines: Sequence[CountLine],
        *,
        reason: str,
        note: str,
        reference: str,
        force: bool,
        validate_only: bool,
        fingerprint: str,
        origin: Origin,
    ) -> Change | Due:
        """Sets counts; `lines` are sorted by location and SKU, each level once."""
        counts = [Line(line.sku, line.location, line.on_hand) for line in lines]
        expected = [
            "" if line.expected_on_hand is None else str(line.expected_on_hand) for line in lines
        ]
        scope = Scope(self._store, counts, makes_levels=True, expected=expected)
        texts = (reference, note, reason)
        own: tuple[Argument, ...] = (
            self._kept_ms(origin),
            "1" if force else "",
            "1" if validate_only else "",
        )
        return await self._run(
            "set_stock", "SetStock", scope, counts, texts, own, fingerprint, origin
        )

    async def adjust(
        self,
        lines: Sequence[Line],
        *,
        reason: str,
        note: str,
        reference: str,
        validate_only: bool,
        fingerprint: str,
        origin: Origin,
    ) -> Change | Due:
        """Changes counts by deltas; `lines` are summed and sorted."""
        scope, texts = Scope(self._store, lines), (reference, note, reason)
        own = (self._kept_ms(origin), MAX_TOTAL, "1" if validate_only else "")
        return await self._run(
            "adjust_stock", "AdjustStock", scope, lines, texts, own, fingerprint, origin
        )

    async def sell(
        self, lines: Sequence[Line], *, reference: str, fingerprint: str, origin: Origin
    ) -> Change | Due:
        """Sells units without a hold; `lines` are summed and sorted."""
        scope, own = Scope(self._store, lines), (self._kept_ms(origin),)
        return await self._run(
            "record_sale", "RecordSale", scope, lines, (reference,), own, fingerprint, origin
        )

    async def transfer(
        self, deltas: Sequence[Line], *, reference: str, fingerprint: str, origin: Origin
    ) -> Change | Due:
        """Moves units; `deltas` are one line a level, sorted, below 0 where units leave."""
        scope, own = Scope(self._store, deltas, makes_levels=True), (self._kept_ms(origin),)
        return await self._run(
            "transfer_stock", "TransferStock", scope, deltas, (reference,), (*own, MAX_TOTAL),
            fingerprint, origin,
        )  # fmt: skip

    async def delete(
        self, levels: Sequence[Line], *, fingerprint: str, origin: Origin
    ) -> Change | Due:
        """Deletes empty levels; `levels` are sorted, and their quantities mean nothing."""
        scope = Scope(self._store, levels, makes_levels=True, amounts=False)
        own = (self._kept_ms(origin),)
        return await self._run(
            "delete_levels", "DeleteStockLevels", scope, levels, (), own, fingerprint, origin
        )

    async def set_policies(
        self, lines: Sequence[PolicyLine], *, fingerprint: str, origin: Origin
    ) -> Change | Due:
        """Sets policies; `lines` are sorted, each level and each location's default once."""
        levels = [Line(line.sku, line.location, 0) for line in lines]
        packed = [line.policy.packed for line in lines]
        scope = Scope(self._store, levels, makes_levels=True, expected=packed)
        own = (self._kept_ms(origin),)
        return await self._run(
            "set_policy", "SetStockPolicy", scope, levels, (), own, fingerprint, origin
        )

    async def import_lines(
        self,
        lines: Sequence[Line],
        policies: Sequence[Policy],
        *,
        mode: str,
        rows: tuple[int, int],
        reference: str,
        fingerprint: str,
        origin: Origin,
    ) -> tuple[list[LineRefusal], str, bool] | Due:
        """Takes in a chunk's lines: SET or ADD, one a level, sorted, each with its policy.

        `rows` is (first_row, next_row). Answers the lines that stayed out, the
        cursor, and whether it is a replay. Raises ImportRefusal.
        """
        store = self._store
        whole = store.operation_id("ImportStock", origin)
        op = store.operation_id("ImportStock", origin, f"\0{rows[0]}")
        home = partition_of(whole, store.keys.partitions)
        packed = [policy.packed for policy in policies]
        scope = Scope(store, lines, makes_levels=True, expected=packed, home=home)
        keys = [store.keys.record(home, op), store.keys.record(home, whole), *scope.keys]
        scope.fixed = (
            store.now_ms, op, fingerprint, origin.actor, reference, mode, self._kept_ms(origin),
            MAX_TOTAL, *rows, scope.counts,
        )  # fmt: skip
        reply = await store.mutate(Command("import_stock", keys, scope.arguments), origin)
        if reply[0] == "row_taken":
            raise ImportRefusal(int(reply[1]))
        if reply[0] not in ("ok", "replay"):
            return lines_error(reply, lines, origin)
        _, epoch, places, refusals = reply[1].split(" ")
        return _parse_refusals(refusals), self._cursor(epoch, places), reply[0] == "replay"

    async def _run(
        self,
        script: str,
        method: str,
        scope: Scope,
        lines: Sequence[Line],
        texts: tuple[str, ...],
        own: tuple[Argument, ...],
        fingerprint: str,
        origin: Origin,
    ) -> Change | Due:
        store = self._store
        op = store.operation_id(method, origin)
        scope.fixed = (store.now_ms, op, fingerprint, origin.actor, *texts, *own, scope.counts)
        keys = [store.keys.record(scope.partitions[0], op), *scope.keys]
        reply = await store.mutate(Command(script, keys, scope.arguments), origin)
        if reply[0] == "valid":
            return Change(parse_levels(lines, reply[1]), "", False)
        if reply[0] not in ("ok", "replay"):
            return lines_error(reply, lines, origin)
        _, epoch, places, levels = reply[1].split(" ", 3)
        cursor = self._cursor(epoch, places)
        return Change(parse_levels(lines, levels), cursor, reply[0] == "replay")

    def _kept_ms(self, origin: Origin) -> int:
        return MINTED_KEY_RETENTION_MS if origin.key_is_minted else self._retention_ms

    def _cursor(self, epoch: str, places: str) -> str:
        self._store.see(places)
        return make_cursor(self._store.store_id, epoch, "journal", places)


def _parse_refusals(packed: str) -> list[LineRefusal]:
    if packed == "-":
        return []
    parts = [part.split(":") for part in packed.split(",")]
    return [
        LineRefusal(int(number), status, int(requested), int(fact))
        for number, status, requested, fact in parts
    ]
