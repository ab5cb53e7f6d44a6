"""Every key of the store against the others: levels, holds, and the indexes over them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from inventory_server.domain.audit import Discrepancy
from inventory_server.domain.rules import is_sku
from inventory_server.operations.level_sum import LevelSum
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.keys import is_hold_id, match_key, partition_of
from inventory_server.stores.script_errors import ScriptError

T = TypeVar("T")

_KINDS: Final = {
    "skus": "zset", "low": "zset", "due": "zset", "ended": "list", "refs": "zset",
    "journal": "stream", "alerts": "stream", "meta": "hash", "locations": "hash",
    "inactive": "set",
}  # fmt: skip
"""What type of value each index has, in Redis's words."""


class KeyAudit:
    """Checks pages of keys. Counts what it has looked at."""

    def __init__(self, store: AuditStore, sums: LevelSum) -> None:
        self._store = store
        self._sums = sums
        self._ended: set[str] = set()
        self.levels = 0
        self.holds = 0

    async def prepare(self) -> None:
        """Reads the lists of ended holds, which cannot be asked for one entry cheaply."""
        for partition in range(self._store.partitions):
            # One that is no list is told of when its key is looked at.
            with suppress(ScriptError):
                async for page in self._store.ended(partition):
                    self._ended.update(filter(is_hold_id, page))

    async def verify(self, keys: Sequence[str]) -> list[Discrepancy]:
        """What is wrong with what these keys hold."""
        found: list[Discrepancy] = []
        levels: list[tuple[str, str]] = []
        holds: dict[int, list[str]] = defaultdict(list)
        for key in keys:
            match = match_key(key)
            if match is None or not self._is_at_home(match):
                found.append(Discrepancy("UNKNOWN_KEY", key))
            elif match["hold"]:
                holds[int(match["n"])].append(match["hold"])
            elif match["of_level"] == "level":
                levels.append((match["location"], match["sku"]))
            elif match["of_level"]:
                gone = await self._store.missing_levels(match["location"], [match["sku"]])
                levels += [(match["location"], sku) for sku in gone]
            elif name := match["of_location"] or match["of_partition"]:
                found += await self._verify_index(key, name, match["place"], int(match["n"]))
            elif await self._store.kind_of(key) not in ("string", "none"):
                found.append(Discrepancy("DAMAGED", f"{key} is no idempotency record"))
        self.levels += len(levels)
        found += await self._each(levels, self._verify_levels, _name_of_level)
        for home, hold_ids in holds.items():
            self.holds += len(hold_ids)

            async def verify(part: Sequence[str], home: int = home) -> list[Discrepancy]:
                return await self._verify_holds(home, part)

            found += await self._each(hold_ids, verify, _name_of_hold)
        return found

    async def verify_metas(self) -> list[Discrepancy]:
        """Partitions whose meta is not that of this store."""
        return [
            Discrepancy("DAMAGED", f"partition {n} has no meta of this store: {meta}")
            for n, meta in enumerate(await self._store.metas())
            if not self._store.is_own_meta(meta)
        ]

    async def _each(
        self,
        things: Sequence[T],
        verify: Callable[[Sequence[T]], Awaitable[list[Discrepancy]]],
        name: Callable[[T], Discrepancy],
    ) -> list[Discrepancy]:
        """What is wrong with these; where something cannot be read, one after another."""
        try:
            return await verify(things) if things else []
        except ScriptError as error:
            if len(things) == 1:
                return [name(things[0])._replace(message=_plain(error))]
        found = []
        for thing in things:
            found += await self._each([thing], verify, name)
        return found

    def _is_at_home(self, match: re.Match[str]) -> bool:
        number, partitions = int(match["n"]), self._store.partitions
        if match["n"] != str(number) or number >= partitions:
            return False
        if match["hold"]:
            hold_id = match["hold"]
            return bool(is_hold_id(hold_id)) and hold_id.partition("-")[0] == match["n"]
        location = match["location"] or match["place"]
        return number == partition_of(location, partitions) if location else number < partitions

    async def _verify_levels(self, levels: Sequence[tuple[str, str]]) -> list[Discrepancy]:
        found = []
        for discrepancy in await self._store.verify_levels(levels):
            if discrepancy.kind == "LARGE":
                found += await self._sums.verify(discrepancy.location, discrepancy.sku)
            else:
                found.append(discrepancy)
        return found

    async def _verify_holds(self, home: int, hold_ids: Sequence[str]) -> list[Discrepancy]:
        told = await self._store.verify_holds(home, hold_ids)
        found = [discrepancy for discrepancy in told if discrepancy.kind != "ENDED"]
        ended = {discrepancy.hold_id for discrepancy in told if discrepancy.kind == "ENDED"}
        for hold_id in hold_ids:
            # The list has moved on since it was read: only what differs is asked for again.
            if (hold_id in ended) == (hold_id in self._ended):
                continue
            is_listed = await self._store.is_ended(hold_id)
            again = await self._store.verify_holds(home, [hold_id])
            is_ended = any(discrepancy.kind == "ENDED" for discrepancy in again)
            if is_listed != is_ended and not await self._store.missing_holds([hold_id]):
                message = "ended lacks the hold" if is_ended else "ended names an open hold"
                found.append(Discrepancy("INDEX", message, hold_id=hold_id))
        return found

    async def _verify_index(
        self, key: str, name: str, place: str | None, n: int
    ) -> list[Discrepancy]:
        kind = await self._store.kind_of(key)
        if kind == "none":
            return []
        if kind != _KINDS[name]:
            return [Discrepancy("DAMAGED", f"{key} is a {kind}, not a {_KINDS[name]}")]
        found: list[Discrepancy] = []
        if name in ("skus", "low") and place:
            async for skus in self._store.members(key, kind):
                gone = await self._store.missing_levels(place, skus)
                found += await self._verify_levels([(place, sku) for sku in gone])
            has_location = await self._store.has_location(place)
            if name == "skus" and kind == "zset" and not has_location:
                found.append(Discrepancy("INDEX", "locations lacks the location", location=place))
        elif name in ("due", "refs"):
            async for members in self._store.members(key, kind):
                found += await self._verify_members(n, name, members)
        elif name == "inactive":
            async for skus in self._store.members(key, kind):
                found += [
                    Discrepancy("INDEX", f"inactive of partition {n} names {sku!r}, no SKU")
                    for sku in skus
                    if not is_sku(sku)
                ]
        elif name == "ended":
            async for hold_ids in self._store.ended(n):
                found += await self._verify_members(n, name, hold_ids)
        return found

    async def _verify_members(self, n: int, name: str, members: Sequence[str]) -> list[Discrepancy]:
        """Entries for holds that are not there or not theirs, and still stand in the index."""
        ids: dict[str, str] = {}
        found = []
        for member in members:
            hold_id = member.rpartition("\0")[2]
            if is_hold_id(hold_id) and hold_id.startswith(f"{n}-"):
                ids[hold_id] = member
            else:
                found.append(Discrepancy("INDEX", f"{name} of partition {n} names {member!r}"))
        if name == "refs":
            for hold_id, reference in (await self._store.references(list(ids))).items():
                if ids[hold_id] != f"{reference}\0{hold_id}":
                    message = f"refs names the hold under {ids[hold_id].rpartition(chr(0))[0]!r}"
                    found.append(Discrepancy("INDEX", message, hold_id=hold_id))
        for hold_id in await self._store.missing_holds(list(ids)):
            if await self._store.is_indexed(n, name, ids[hold_id]):
                message = f"{name} names a hold that is not there"
                found.append(Discrepancy("INDEX", message, hold_id=hold_id))
        return found


def _name_of_level(place: tuple[str, str]) -> Discrepancy:
    return Discrepancy("DAMAGED", "", place[1], place[0])


def _name_of_hold(hold_id: str) -> Discrepancy:
    return Discrepancy("DAMAGED", "", hold_id=hold_id)


def _plain(error: ScriptError) -> str:
    """What an operator can use of what Redis says."""
    text = str(error).partition(" script:")[0].partition(":")[2] or str(error)
    is_type = "WRONGTYPE" in str(error)
    return "one of its keys is of another type" if is_type else f"it cannot be read: {text}"
