"""The streams in Redis: reading on from a place, and where that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from inventory_server.domain.errors import CursorExpired, InvalidRequest
from inventory_server.domain.limits import TRIMMED_A_RUN
from inventory_server.domain.stream import Alert, Event, Place
from inventory_server.stores.cursor import cursor_at, parse_cursor
from inventory_server.stores.movement_store import parse_movement
from inventory_server.stores.records import parse_level
from inventory_server.stores.redis_store import Command, RedisStore


class Trimmed(NamedTuple):
    """How many entries went, whether more are too old, and how many of them were not copied."""

    entries: int
    more: bool
    uncopied: int


class StreamStore:
    """Reads one of the streams, `journal` or `alerts`, of all partitions. Raises InventoryError."""

    TIMEOUT_S: Final = 5.0

    def __init__(self, store: RedisStore, name: str) -> None:
        self._store = store
        keys = store.keys
        of_partition = keys.journal if name == "journal" else keys.alerts
        self._keys = [of_partition(n) for n in range(keys.partitions)]
        self._number_of = {key: n for n, key in enumerate(self._keys)}
        self._parse: Callable[[int, list[Any]], Event] = (
            parse_movement if name == "journal" else _parse_alert
        )

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self._keys)

    async def places(self) -> list[Place]:
        """How far each partition has come."""
        keys = [self._store.keys.meta(n) for n in range(self.partitions)]
        reply = await self._store.read(Command("read_places", keys, tuple), self._deadline())
        return parse_places(reply)

    async def after(self, seqs: Sequence[int], count: int) -> list[Event]:
        """What comes after these seqs, one a partition; at most so many of each."""
        ids = [f"{seq}-0" for seq in seqs]
        reply = await self._store.command(
            "XREAD", "COUNT", count, "STREAMS", *self._keys, *ids, deadline=self._deadline()
        )
        return [
            self._parse(self._number_of[key], entry)
            for key, entries in reply or ()
            for entry in entries
        ]

    async def between(self, partition: int, after: int, last: int, count: int) -> list[Event]:
        """What a partition has after one seq, up to another."""
        reply = await self._store.command(
            "XRANGE", self._keys[partition], f"({after}-0", f"{last}-0", "COUNT", count,
            deadline=self._deadline(),
        )  # fmt: skip
        return [self._parse(partition, entry) for entry in reply]

    async def trim(
        self, partition: int, max_age_ms: int, max_entries: int, *, keeps_uncopied: bool = False
    ) -> Trimmed:
        """Takes the oldest entries of both streams out.

        `keeps_uncopied`: of those that are in the durable copy, but for the last.
        """
        store, keys = self._store, self._store.keys
        names = (keys.meta(partition), keys.journal(partition), keys.alerts(partition))
        keeps = "1" if keeps_uncopied else ""
        arguments = (store.now_ms, max_age_ms, max_entries, TRIMMED_A_RUN, keeps)
        command = Command("trim_streams", names, lambda: arguments)
        reply = await store.sweep(command, self._deadline())
        return Trimmed(reply[1], bool(reply[2]), reply[3])

    async def bytes(self, partition: int) -> int:
        """About how much memory a partition's journal takes, by a look at a few of its entries."""
        used = await self._store.command(
            "MEMORY", "USAGE", self._store.keys.journal(partition), deadline=self._deadline()
        )
        return int(used or 0)

    async def length(self, partition: int) -> int:
        """How many entries a partition's journal has."""
        return int(
            await self._store.command(
                "XLEN", self._store.keys.journal(partition), deadline=self._deadline()
            )
        )

    def cursor(self, seqs: Sequence[int]) -> str:
        """The cursor at these seqs."""
        return cursor_at(self._store.store_id, self._store.partitions[0].epoch, seqs)

    def resume(self, cursor: str, places: Sequence[Place]) -> list[int]:
        """The seqs of a cursor; of partitions that it does not name, where they are now.

        Raises InvalidRequest, or CursorExpired where it cannot be gone on from.
        """
        try:
            parsed = parse_cursor(cursor, self.partitions)
        except ValueError as error:
            raise InvalidRequest(("cursor", "not a cursor")) from error
        seqs = [place.seq for place in places]
        earliest = self.cursor([place.kept_from - 1 for place in places])
        for number, seq in parsed.places.items():
            place = places[number]
            is_ours = (parsed.store_id, parsed.epoch) == (place.store_id, place.epoch)
            if not is_ours or not place.kept_from - 1 <= seq <= place.seq:
                raise CursorExpired(earliest)
            seqs[number] = seq
        return seqs

    def check(self, seqs: Sequence[int], places: Sequence[Place]) -> None:
        """Raises CursorExpired where the store is behind these seqs, or has trimmed past them."""
        store = self._store
        for seq, place in zip(seqs, places, strict=True):
            is_ours = (store.store_id, store.partitions[0].epoch) == (place.store_id, place.epoch)
            if not is_ours or not place.kept_from - 1 <= seq <= place.seq:
                raise CursorExpired(self.cursor([p.kept_from - 1 for p in places]))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S


def parse_places(reply: list[Any]) -> list[Place]:
    """The places that `read_places` answers."""
    facts = reply[1:]
    return [
        Place(epoch, int(seq or 0), store_id, int(kept_from), int(copied))
        for epoch, seq, store_id, kept_from, copied in zip(*[iter(facts)] * 5, strict=True)
    ]


def _parse_alert(partition: int, entry: list[Any]) -> Alert:
    id_, flat = entry
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    sku, location, packed = fields["sku"], fields["location"], fields["level"]
    return Alert(
        partition=partition,
        seq=int(id_.partition("-")[0]),
        kind=fields["kind"],
        time_ms=int(fields["at_ms"]),
        location=location,
        sku=sku,
        available_before=int(fields["before"]),
        available_after=int(fields["after"]),
        level=parse_level(sku, location, packed) if packed else None,
        cause=fields["cause"],
        movement_id=fields["id"],
        hold_id=fields["hold_id"],
        reference=fields["reference"],
        actor=fields["actor"],
    )
