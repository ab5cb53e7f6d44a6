"""Every key of the store against the others: levels, holds, and the indexes over them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from typing import Final

from inventory_server.domain.audit import Finding
from inventory_server.operations.level_sum import LevelSum
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.keys import is_hold_id, partition_of
from inventory_server.stores.script_errors import ScriptError

_KEY = re.compile(
    r"inv:\{(?P<n>\d+)\}:(?:"
    r"(?P<of_level>level|due):(?P<location>(?:online|store:[^:]+)):(?P<sku>[^:]+)"
    r"|(?P<of_location>skus|low):(?P<place>.+)"
    r"|hold:(?P<hold>.+)"
    r"|(?P<of_partition>due|ended|refs|journal|meta|locations)"
    r"|key:(?P<record>.+))"
)
_KINDS: Final = {
    "skus": "zset", "low": "set", "due": "zset", "ended": "list", "refs": "zset",
    "journal": "stream", "meta": "hash", "locations": "hash",
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
            if await self._store.kind_of_ended(partition) == "list":
                async for page in self._store.ended(partition):
                    self._ended.update(page)

    async def verify(self, keys: Sequence[str]) -> list[Finding]:
        """What is wrong with what these keys hold."""
        findings: list[Finding] = []
        levels: list[tuple[str, str]] = []
        holds: dict[int, list[str]] = defaultdict(list)
        for key in keys:
            match = _KEY.fullmatch(key)
            if match is None or not self._is_at_home(match):
                findings.append(Finding("UNKNOWN_KEY", key))
            elif match["hold"]:
                holds[int(match["n"])].append(match["hold"])
            elif match["of_level"] == "level":
                levels.append((match["location"], match["sku"]))
            elif match["of_level"]:
                gone = await self._store.missing_levels(match["location"], [match["sku"]])
                levels += [(match["location"], sku) for sku in gone]
            elif name := match["of_location"] or match["of_partition"]:
                findings += await self._verify_index(key, name, match["place"], int(match["n"]))
        self.levels += len(levels)
        findings += await _readable(self._verify_levels(levels))
        for home, hold_ids in holds.items():
            self.holds += len(hold_ids)
            findings += await _readable(self._verify_holds(home, hold_ids))
        return findings

    def _is_at_home(self, match: re.Match[str]) -> bool:
        number, partitions = int(match["n"]), self._store.partitions
        if match["hold"]:
            hold_id = match["hold"]
            return bool(is_hold_id(hold_id)) and hold_id.partition("-")[0] == match["n"]
        location = match["location"] or match["place"]
        return number == partition_of(location, partitions) if location else number < partitions

    async def _verify_levels(self, levels: Sequence[tuple[str, str]]) -> list[Finding]:
        findings = []
        for finding in await self._store.verify_levels(levels):
            if finding.kind == "LARGE":
                findings += await self._sums.verify(finding.location, finding.sku)
            else:
                findings.append(finding)
        return findings

    async def _verify_holds(self, home: int, hold_ids: Sequence[str]) -> list[Finding]:
        found = await self._store.verify_holds(home, hold_ids)
        findings = [finding for finding in found if finding.kind != "ENDED"]
        ended = {finding.hold_id for finding in found if finding.kind == "ENDED"}
        for hold_id in hold_ids:
            # The list has moved on since it was read: only what differs is asked for again.
            if (hold_id in ended) == (hold_id in self._ended):
                continue
            is_listed = await self._store.is_ended(hold_id)
            again = await self._store.verify_holds(home, [hold_id])
            is_ended = any(finding.kind == "ENDED" for finding in again)
            if is_listed != is_ended and not await self._store.missing_holds([hold_id]):
                message = "ended lacks the hold" if is_ended else "ended names an open hold"
                findings.append(Finding("INDEX", message, hold_id=hold_id))
        return findings

    async def _verify_index(self, key: str, name: str, place: str | None, n: int) -> list[Finding]:
        kind = await self._store.kind_of(key)
        if kind not in (_KINDS[name], "none"):
            return [Finding("DAMAGED", f"{key} is a {kind}, not a {_KINDS[name]}")]
        findings: list[Finding] = []
        if name in ("skus", "low") and place:
            async for skus in self._store.members(key, kind):
                gone = await self._store.missing_levels(place, skus)
                findings += await self._verify_levels([(place, sku) for sku in gone])
            if name == "skus" and kind == "zset" and not await self._store.has_location(place):
                findings.append(Finding("INDEX", "locations lacks the location", location=place))
        elif name in ("due", "refs"):
            async for members in self._store.members(key, kind):
                findings += await self._verify_members(n, name, members)
        elif name == "ended":
            async for hold_ids in self._store.ended(n):
                findings += await self._verify_members(n, name, hold_ids)
        return findings

    async def _verify_members(self, n: int, name: str, members: Sequence[str]) -> list[Finding]:
        """Entries for holds that are not there, and still stand in the index."""
        ids = {member.rpartition("\0")[2]: member for member in members}
        findings = []
        for hold_id in await self._store.missing_holds(list(ids)):
            if await self._store.is_indexed(n, name, ids[hold_id]):
                message = f"{name} names a hold that is not there"
                findings.append(Finding("INDEX", message, hold_id=hold_id))
        return findings


async def _readable(work: Awaitable[list[Finding]]) -> list[Finding]:
    """What a check finds; or that a key in its way is of another type."""
    try:
        return await work
    except ScriptError as error:
        return [Finding("DAMAGED", str(error))]
