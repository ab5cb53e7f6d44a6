"""docs/backup.md, command by command: a snapshot is tried, and put under a running server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
import redis
from inventory.v1 import hold_service_pb2 as hold_pb

from tests.calls import Refusal
from tests.docs import markdown
from tests.eventually import eventually
from tests.processes import free_port, start_redis, stop_process
from tests.serving import Running

PAGE = markdown.read("docs/backup.md")
SCHEDULE, KEEP, DRILL, TRY, LOOK, GO_BACK, LOG, RECONCILE = markdown.blocks(PAGE, "sh")


class Place:
    """The folder that the page speaks of, with its Redis, and ports of this test for its ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {"6379": str(free_port()), "6380": str(free_port()), "8071": str(free_port())}
        (folder / "data").mkdir()
        self._first = start_redis(
            *("--port", self.port("6379"), "--dir", str(folder / "data"), "--appendonly", "yes"),
            *("--appendfsync", "always", "--maxmemory-policy", "noeviction"),
        )
        self.variables = os.environ | {
            "INVENTORY_REDIS_URL": self.url,
            # At the end: a redis-server of this Python's is another one.
            "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
        }
        self.db = redis.Redis(port=int(self.port("6379")), decode_responses=True)
        eventually(self.db.ping)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port('6379')}"

    def port(self, shown: str) -> str:
        return self._ports[shown]

    def own(self, commands: str) -> str:
        for shown, port in self._ports.items():
            commands = commands.replace(shown, port)
        return commands

    def run(self, commands: str) -> str:
        """Runs commands of the page, of which none may fail; what they print."""
        done = subprocess.run(
            ["bash", "-ec", self.own(commands)], cwd=self.folder, env=self.variables,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        self.db.close()
        stop_process(self._first)
        for shown in ("6379", "6380"):
            with redis.Redis(port=int(self.port(shown))) as client:
                try:
                    client.shutdown(nosave=True)
                except redis.ConnectionError:
                    continue


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def test_a_snapshot_is_taken_and_tried(page: Place, start: Any) -> None:
    page.run(SCHEDULE)
    assert page.db.config_get("save") == {"save": "3600 1"}
    server: Running = start("--redis-url", page.url)
    server.set_stock(7)
    page.db.save()
    page.run(KEEP)
    server.set_stock(9)
    page.run(DRILL)
    command = page.own(TRY).split()
    assert command[0] == "inventory-server"
    command[0:1] = [sys.executable, "-m", "inventory_server"]
    with (page.folder / "drill.log").open("w") as log:
        tried = subprocess.Popen(command, env=page.variables, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{page.port('8071')}") as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        told = page.run(LOOK)
    finally:
        stop_process(tried)
    assert "no discrepancies" in told
    (level,) = [line for line in told.splitlines() if "SKU1" in line]
    assert "7" in level.split()


class Callers:
    """Place holds all the time, and keep what they are told."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._names = (f"late-{n}" for n in count())
        self._ending = Event()
        self.placed: list[str] = []
        self.refusals: list[str] = []
        self._pool = ThreadPoolExecutor(2)

    def __enter__(self) -> Callers:
        for _ in range(2):
            self._pool.submit(self._work)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._pool.shutdown()

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                self.placed.append(self._server.place(next(self._names), timeout=10))
            except grpc.RpcError as error:
                self.refusals.append(Refusal(error).reason)  # type: ignore[arg-type]


def test_a_snapshot_under_a_running_server_is_noticed_and_what_was_lost_comes_back(
    page: Place, start: Any, dynamo_endpoint: str, table_prefix: str
) -> None:
    own = {
        "INVENTORY_DYNAMODB_ENDPOINT": dynamo_endpoint, "INVENTORY_TABLE_PREFIX": table_prefix,
        "AWS_ACCESS_KEY_ID": "double", "AWS_SECRET_ACCESS_KEY": "double",
        "INVENTORY_PARTITIONS": "3",
    }  # fmt: skip
    page.variables |= own
    page.run("inventory-server create-tables")
    server: Running = start("--redis-url", page.url, **own)
    page.variables |= own | {"INVENTORY_PORT": str(server.port)}
    server.set_stock(100_000)
    early = [server.place(f"early-{n}") for n in range(30)]
    page.db.save()
    page.run(KEEP)
    for n, hold_id in enumerate(early[:20]):
        end = hold_pb.ConfirmHoldRequest if n % 2 else hold_pb.ReleaseHoldRequest
        verb = server.holds.ConfirmHold if n % 2 else server.holds.ReleaseHold
        verb(end(hold_id=hold_id))
    early += [server.place(f"more-{n}") for n in range(300)]
    before = {id_: server.holds.GetHold(hold_pb.GetHoldRequest(hold_id=id_)) for id_ in early}
    held = server.held()
    meta = "inv:{2}:meta"
    eventually(lambda: page.db.hget(meta, "copied") == page.db.hget(meta, "seq"), timeout_s=60)
    stop, rest = GO_BACK.split("\n", 1)
    page.run(stop)
    with Callers(server) as callers:
        page.run(rest)
        page.run(LOG)
        eventually(lambda: "STORE_REWOUND" in callers.refusals, timeout_s=60)
        assert not server.is_serving()
        assert not callers.placed
        assert set(callers.refusals) <= {
            *("STORE_UNAVAILABLE", "STORE_REWOUND", "OUTCOME_UNKNOWN"),
            # The caller's own deadline has none.
            "",
        }
        told = page.run(RECONCILE)
        assert "320 movements came back" in told
        assert "no discrepancies" in told
        eventually(lambda: len(callers.placed) > 20, timeout_s=60)
    assert server.is_serving()
    for hold_id, was in before.items():
        assert server.holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold_id)) == was
    # Whoever was not answered in time may have placed one too.
    unknown = sum(reason in ("OUTCOME_UNKNOWN", "") for reason in callers.refusals)
    assert 0 <= server.held() - held - len(callers.placed) <= unknown
