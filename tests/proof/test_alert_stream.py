"""What subscribers of WatchLowStock receive while stories are told is what the model derives."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import replace
from typing import Any, NamedTuple

import grpc
import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as story_settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from inventory.v1 import alert_service_pb2 as pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub

from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.cursor import parse_cursor
from inventory_server.stores.redis_store import RedisStore
from tests.proof.alerts import Alert
from tests.proof.messages import is_well_told, told_alert, told_level
from tests.proof.story import Story
from tests.scripts.direct import NOW, PARTITIONS

STORIES = story_settings(
    max_examples=10, stateful_step_count=20, deadline=None, database=None, derandomize=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


class Filter(NamedTuple):
    """What a subscriber asks for; what is empty lets all through."""

    locations: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def takes(self, alert: Alert) -> bool:
        named = zip(self, (alert.location, alert.sku, alert.kind), strict=True)
        return all(not wanted or name in wanted for wanted, name in named)

    def request(self, cursor: str = "") -> pb.WatchLowStockRequest:
        kinds = [pb.AlertKind.Value(f"ALERT_KIND_{kind}") for kind in self.kinds]
        return pb.WatchLowStockRequest(
            locations=self.locations, skus=self.skus, kinds=kinds, cursor=cursor
        )


EVERYTHING = Filter()
FILTERS = (
    Filter(locations=("online",)),
    Filter(locations=("store:D", "store:LEH"), skus=("A",)),
    Filter(skus=("B",)),
    Filter(kinds=("OUT",)),
    Filter(skus=("A",), kinds=("LOW", "RECOVERED")),
)


class Subscriber:
    """One that listens from its first message on, and may go away and come back."""

    def __init__(self, alerts: AlertServiceStub, wanted: Filter = EVERYTHING) -> None:
        self._alerts, self.wanted = alerts, wanted
        self.cursor = ""
        self.received: list[pb.Alert] = []
        self._moved = asyncio.Event()

    async def come(self) -> None:
        """Begins now, or goes on after what was received."""
        self._call = self._alerts.WatchLowStock(self.wanted.request(self.cursor))
        self._listening = asyncio.create_task(self._listen(self._call))
        if not self.cursor:
            await self.until({})

    async def leave(self) -> None:
        self._call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def _listen(self, call: Any) -> None:
        async for message in call:
            self.cursor = message.cursor
            if message.HasField("alert"):
                self.received.append(message.alert)
            self._moved.set()

    async def until(self, seqs: dict[int, int]) -> None:
        """Waits until its cursor has come so far."""
        async with asyncio.timeout(20):
            while not self._is_at(seqs):
                assert not self._listening.done(), await self._listening
                self._moved.clear()
                await self._moved.wait()

    def _is_at(self, seqs: dict[int, int]) -> bool:
        places = parse_cursor(self.cursor, PARTITIONS).places if self.cursor else {}
        return bool(places) and all(places[n] >= seq for n, seq in seqs.items())


class WatchedStory(Story):
    """A story on a server's store, with subscribers at that server's gRPC port."""

    def __init__(self, db: redis.Redis, settings: Settings) -> None:
        self.server = Server(settings)
        super().__init__(db)

    async def open_store(self) -> RedisStore:
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.server.port}")
        stub = AlertServiceStub(self.channel)
        self.all, self.restless = Subscriber(stub), Subscriber(stub)
        self.subscribers = [self.all, self.restless, *[Subscriber(stub, f) for f in FILTERS]]
        await asyncio.gather(*[subscriber.come() for subscriber in self.subscribers])
        self.stub = stub
        self.server.store.now_ms = str(NOW)
        return self.server.store

    @rule(is_late=st.booleans())
    def go_away_and_come_back(self, is_late: bool) -> None:
        """With the cursor of the last message: nothing is missed, nothing comes twice."""

        async def go_away_and_come_back() -> None:
            if is_late:
                await self.has_all(self.restless)
            await self.restless.leave()
            await self.restless.come()

        self.runner.run(go_away_and_come_back())

    async def has_all(self, subscriber: Subscriber) -> None:
        """Waits until it has got all that was sent up to now: a heartbeat says so too."""
        seqs = {n: int(self.db.hget(f"inv:{{{n}}}:meta", "seq")) for n in range(PARTITIONS)}
        await subscriber.until(seqs)

    def teardown(self) -> None:
        try:
            self.runner.run(self.compare())
        finally:
            self.runner.run(self.close())
            super().teardown()

    async def close(self) -> None:
        await asyncio.gather(*[subscriber.leave() for subscriber in self.subscribers])
        await self.channel.close()
        await self.server.stop()

    async def compare(self) -> None:
        # What is due would expire while low levels are listed.
        assert await self.sweeper.sweep() == self.model.sweep(self.now)
        for subscriber in self.subscribers:
            await self.has_all(subscriber)
            ids = [alert.movement_id for alert in subscriber.received]
            assert len(set(ids)) == len(ids), "an alert came twice"
            taken = [alert for alert in self.model.alerts if subscriber.wanted.takes(alert)]
            levels = [x.level for x in subscriber.received if x.HasField("level")]
            assert all(map(is_well_told, levels))
            received = [told_alert(alert) for alert in subscriber.received]
            assert by_location(received) == by_location(taken), subscriber.wanted
        low = [x for _, x in sorted(self.model.levels.items()) if x.alert_state != "OK"]
        listed = (await self.stub.ListLowStock(pb.ListLowStockRequest())).levels
        assert [told_level(x) for x in listed] == [x._replace(alert_state="") for x in low]


def by_location(alerts: list[Alert]) -> dict[str, list[Alert]]:
    """Order is promised for each location."""
    found = defaultdict(list)
    for alert in alerts:
        found[alert.location].append(alert)
    return found


# Hypothesis looks up to five minutes for the shortest story that fails.
@pytest.mark.timeout(400)
def test_subscribers_receive_what_the_model_derives(db: redis.Redis, settings: Settings) -> None:
    settings = replace(settings, heartbeat_s=0.05)
    run_state_machine_as_test(lambda: WatchedStory(db, settings), settings=STORIES)
