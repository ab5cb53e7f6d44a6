"""Subscribers whose streams are cut and resumed, and the whole that they should have been told.

A subscriber keeps what it was told, in the order in which it came, over all of
its streams, and a fold of it. The whole is read from Redis, behind the servers.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from math import inf
from random import Random
from typing import Any, Final, NamedTuple

import grpc
import redis
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.stores.cursor import cursor_at, parse_cursor
from tests.calls import Refusal
from tests.proof.load import CHANNEL_OPTIONS
from tests.proof.steady_load import SteadyLoad

PARTITIONS: Final = 16
A_FEW: Final = 5
"""Of so many events' cursors one is kept."""
SMALL_WINDOW: Final = (("grpc.http2.lookahead_bytes", 16_384), ("grpc.http2.bdp_probe", 0))
"""Little is on its way to who does not read: the rest waits at the server, and that is bounded."""
RESUMABLE: Final = frozenset(
    {"UNAVAILABLE", "CANCELLED", "DRAINING", "STORE_UNAVAILABLE", "SLOW_CONSUMER"}
)
"""What may end a stream here; without a reason it is gRPC's own word."""

Place = tuple[str, str]


class Entry(NamedTuple):
    """What the journal or the alerts stream has, as far as it is compared."""

    partition: int
    seq: int
    kind: str
    location: str
    sku: str
    id: str
    version: int

    @property
    def group(self) -> str:
        """Within a group the order counts: a location, or a partition where there is none."""
        return self.location or f"partition {self.partition}"


class Query(NamedTuple):
    """What a subscriber asks for. An empty filter lets all through."""

    stream: str
    start: str
    """`now`, `snapshot` or `beginning`."""
    locations: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def takes(self, entry: Entry) -> bool:
        return (
            (not self.locations or entry.location in self.locations)
            and (not self.skus or entry.sku in self.skus)
            and (not self.kinds or entry.kind in self.kinds)
        )


class Differences(NamedTuple):
    """How what was told differs from the whole."""

    gaps: int = 0
    doubles: int = 0
    turned: int = 0
    """Groups in which all is there once, in another order."""
    untrue_cursors: int = 0

    def __add__(self, other: Any) -> Differences:
        return Differences(*map(sum, zip(self, other, strict=True)))


def differences(
    told: Iterable[tuple[str, str]], whole: Iterable[tuple[str, str]], untrue_cursors: int = 0
) -> Differences:
    """Compares (group, id) pairs, group by group."""
    groups: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, pairs in enumerate((told, whole)):
        for group, id_ in pairs:
            groups[group][side].append(id_)
    gaps = doubles = turned = 0
    for mine, theirs in groups.values():
        missing, extra = Counter(theirs) - Counter(mine), Counter(mine) - Counter(theirs)
        gaps, doubles = gaps + missing.total(), doubles + extra.total()
        turned += not missing and not extra and mine != theirs
    return Differences(gaps, doubles, turned, untrue_cursors)


def read_whole(db: redis.Redis, stream: str) -> list[Entry]:
    """All of a stream, partition by partition."""
    entries = []
    for n in range(PARTITIONS):
        for id_, fields in db.xrange(f"inv:{{{n}}}:{stream}"):
            packed = fields["level"]
            version = int(packed.split(" ")[2]) if packed else 0
            names = [fields[name] for name in ("kind", "location", "sku", "id")]
            entries.append(Entry(n, int(id_.partition("-")[0]), *names, version))
    return entries


def read_seqs(db: redis.Redis) -> list[int]:
    """How far the partitions have come."""
    return [int(db.hget(f"inv:{{{n}}}:meta", "seq") or 0) for n in range(PARTITIONS)]


def seqs_of(cursor: str) -> list[int]:
    places = parse_cursor(cursor, PARTITIONS).places
    return [places[n] for n in range(PARTITIONS)]


class Subscriber:
    """Somebody who watches for as long as it takes, over any number of streams."""

    def __init__(
        self, query: Query, addresses: Callable[[], list[str]], chance: Random, store_id: str
    ) -> None:
        self.query = query
        self.told: list[tuple[str, str]] = []
        self.cursors: list[tuple[int, str]] = []
        """Cursors, and how much it had been told with each: heartbeats', and some events'."""
        self.counts: Counter[str] = Counter()
        """Messages of each kind, and what ended streams."""
        self.ends: list[str] = []
        """What may not end a stream, and did."""
        self.out_of_turn = 0
        """Versions that did not follow on the one before, or on the snapshot's."""
        self.cursor = cursor_at(store_id, "1", [0] * PARTITIONS)
        self.origin = self.cursor
        """What was told came after this."""
        self.snapshot: dict[Place, int] = {}
        """The versions of its levels."""
        self.levels: dict[Place, Any] = {}
        """The fold: levels, or what alerts said last; None is low, and nobody said how."""
        self._addresses, self._chance = addresses, chance
        self._has_begun = query.start == "beginning"
        self._is_with_snapshot = False
        self._last = ""
        self._final: list[int] | None = None
        self._channel: grpc.aio.Channel | None = None
        self._call: Any = None
        self._cut = ""
        self._rest: Callable[[], Awaitable[None]] | None = None

    # What is done to it

    @property
    def is_open(self) -> bool:
        """Whether it has a stream that can be cut."""
        return self._call is not None and not self._cut

    async def cut(self, how: str) -> None:
        """Ends its stream: `cancelled` or `closed`, with the channel."""
        self._cut = how
        if how == "cancelled":
            self._call.cancel()
        elif self._channel is not None:
            await self._channel.close()

    def rest(self, changes: int, load: SteadyLoad) -> None:
        """Reads no more while so many changes are made."""
        self._rest = lambda: load.until(load.changes + changes)

    def finish(self, seqs: list[int]) -> None:
        """Lets it go on until it has come there."""
        self._final = seqs

    # What it does

    async def run(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Watches, and resumes at any server, until it has come to where it may finish."""
        is_done = False
        while not is_done and not self.ends:
            channel = grpc.aio.insecure_channel(
                self._chance.choice(self._addresses()), options=(*CHANNEL_OPTIONS, *SMALL_WINDOW)
            )
            self._channel, self._last = channel, ""
            before = sum(self.counts.values())
            try:
                is_done = await self._watch(channel)
            except grpc.aio.AioRpcError as error:
                self._end(Refusal(error))
            except (asyncio.CancelledError, grpc.aio.UsageError):
                if not self._cut:
                    raise
                self.counts[self._cut] += 1
            finally:
                self._call, self._cut = None, ""
                await channel.close()
            if sum(self.counts.values()) <= before + 1:
                await pause(0.02)

    async def _watch(self, channel: grpc.aio.Channel) -> bool:
        run, request = self._ask(channel)
        self._call = run(request)
        while True:
            message = await self._call.read()
            assert message is not grpc.aio.EOF, "a stream of this kind has no other end"
            self._take(message)
            if self._final is not None and self._has_begun and self._has_come():
                return True
            rest, self._rest = self._rest, None
            if rest is not None:
                await rest()

    def _ask(self, channel: grpc.aio.Channel) -> tuple[Any, Any]:
        """The method, and the request: to go on, or to begin."""
        query = self.query
        request: Any = stock_pb.WatchStockRequest(skus=query.skus, locations=query.locations)
        run = StockServiceStub(channel).WatchStock
        if query.stream == "alerts":
            run = AlertServiceStub(channel).WatchLowStock
            kinds = [alert_pb.AlertKind.Value(f"ALERT_KIND_{kind}") for kind in query.kinds]
            request = alert_pb.WatchLowStockRequest(
                skus=query.skus, locations=query.locations, kinds=kinds
            )
        self._is_with_snapshot = query.start == "snapshot" and not self._has_begun
        if self._has_begun:
            request.cursor = self.cursor
        elif self._is_with_snapshot:
            # One that broke off has no cursor: it is begun anew.
            request.snapshot = True
            self.snapshot, self.levels = {}, {}
        return run, request

    def _take(self, message: Any) -> None:
        self._last = message.WhichOneof("event")
        self.counts[self._last] += 1
        self.cursor = message.cursor or self.cursor
        if self._last in ("movement", "alert"):
            self._take_event(getattr(message, self._last))
        elif self._last == "snapshot_level":
            level = message.snapshot_level
            self.snapshot[level.location, level.sku] = level.version
            self.levels[level.location, level.sku] = (
                level if self.query.stream == "journal" else None
            )
        elif not self._has_begun:
            self._has_begun, self.origin = True, self.cursor
        if message.cursor and (self._last == "heartbeat" or self.counts[self._last] % A_FEW == 0):
            self.cursors.append((len(self.told), self.cursor))

    def _take_event(self, event: Any) -> None:
        place = (event.location, event.sku)
        if event.HasField("level") and 0 < event.level.version <= self.snapshot.get(place, 0):
            # Once the tail is cut off from its snapshot, no server knows what that had.
            assert not self._is_with_snapshot, "what the snapshot had is left out"
            self.counts["in the snapshot already"] += 1
            return
        home = event.hold_id.partition("-")[0]
        group = event.location or f"partition {home}"
        self.told.append((group, event.movement_id))
        if self.query.stream == "alerts":
            self.levels[place] = alert_pb.AlertKind.Name(event.kind).removeprefix("ALERT_KIND_")
        elif event.sku:
            # Each movement raises its level's version by one.
            before = self.levels.get(place)
            self.out_of_turn += before is not None and event.level.version != before.version + 1
            self.levels[place] = event.level

    def _end(self, refusal: Refusal) -> None:
        """A stream was ended by a server, or with one."""
        reason = refusal.reason or refusal.code.name
        self.counts[self._cut or reason] += 1
        if reason not in RESUMABLE:
            self.ends.append(reason)
        if reason == "SLOW_CONSUMER" and refusal.facts["cursor"] != self.cursor:
            self.ends.append("SLOW_CONSUMER with another cursor than the last one")
        if reason == "DRAINING" and self._last not in ("", "heartbeat", "snapshot_level"):
            self.ends.append("DRAINING without a last heartbeat")

    def _has_come(self) -> bool:
        return all(map(int.__ge__, seqs_of(self.cursor), self._final or ()))

    # What it should have been told

    def expected(self, whole: Iterable[Entry]) -> list[Entry]:
        """Its part of the whole, without what its snapshot had."""
        origin = seqs_of(self.origin)
        return [
            entry
            for entry in whole
            if entry.seq > origin[entry.partition]
            and self.query.takes(entry)
            and not 0 < entry.version <= self.snapshot.get((entry.location, entry.sku), 0)
        ]

    def missing(self, whole: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """What it was not told of the whole."""
        return sorted((Counter(whole) - Counter(self.told)).elements())

    def extra(self, whole: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """What it was told too often, or without its being part of the whole."""
        return sorted((Counter(self.told) - Counter(whole)).elements())

    def untrue_cursors(self, expected: Iterable[Entry]) -> int:
        """How many cursors claim more or less than it had been told: whoever is cut after one
        of these and resumes from it misses something, or is told it twice.
        """
        of_partition: list[list[int]] = [[0] for _ in range(PARTITIONS)]
        found: dict[str, tuple[int, int]] = {}
        for entry in expected:
            seqs = of_partition[entry.partition]
            found[entry.id] = (entry.partition, len(seqs))
            seqs.append(entry.seq)
        ends = [(*seqs, inf) for seqs in of_partition]
        had, told, untrue = [0] * PARTITIONS, iter(self.told), 0
        at = 0
        for count, cursor in self.cursors:
            for _, id_ in islice(told, count - at):
                partition, had_now = found.get(id_, (0, 0))
                had[partition] = max(had[partition], had_now)
            at = count
            untrue += not all(
                ends[n][had[n]] <= seq < ends[n][had[n] + 1]
                for n, seq in enumerate(seqs_of(cursor))
            )
        return untrue
