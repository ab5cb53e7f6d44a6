"""Health tells the truth about the store and the sweep; reflection describes every service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.health import SERVICES
from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.calls import place, refused, set_stock
from tests.eventually import eventually
from tests.processes import start_redis, stop_process

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NOW = 1_800_000_000_000


@pytest.fixture
def health(channel: grpc.aio.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


async def statuses(health) -> dict[str, int]:
    listed = await health.List(health_pb2.HealthListRequest())
    return {name: answer.status for name, answer in listed.statuses.items()}


async def test_check_and_list_name_every_service_and_the_whole(health) -> None:
    names = ("", *SERVICES)
    for name in names:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING
    assert await statuses(health) == dict.fromkeys(names, SERVING)


async def test_a_service_that_is_not_there_is_not_found(health) -> None:
    refusal = await refused(health.Check(health_pb2.HealthCheckRequest(service="none")))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_holds_that_nobody_sweeps_make_the_hold_service_ill_after_30_s(
    server, stock, holds, health
) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    await place(holds, ttl_s=1)
    server.store.now_ms = str(NOW + 31_000)
    await server.health.check()
    assert server.health.sweep_lag_ms == 30_000
    assert set((await statuses(health)).values()) == {SERVING}
    server.store.now_ms = str(NOW + 31_001)
    await server.health.check()
    said = await statuses(health)
    assert {name for name, status in said.items() if status == NOT_SERVING} == {
        "",
        "inventory.v1.HoldService",
    }
    assert await server.sweeper.sweep() == 1
    await server.health.check()
    assert set((await statuses(health)).values()) == {SERVING}


@pytest.fixture
async def own_redis(tmp_path: Path, settings: Settings) -> AsyncIterator[tuple[list, Server]]:
    """A server on a redis-server that may be ended and started again."""
    socket = str(tmp_path / "own.sock")
    flags = ("--unixsocket", socket, "--port", "0", "--dir", str(tmp_path), "--appendonly", "yes")
    process = [start_redis(*flags)]
    eventually(Path(socket).exists)
    running = Server(replace(settings, redis_url=f"unix://{socket}"))
    await running.start()

    def restart() -> None:
        process[0] = start_redis(*flags)

    yield process, running, restart
    await running.stop()
    stop_process(process[0])


async def test_watchers_are_told_when_the_store_goes_and_when_it_comes_back(own_redis) -> None:
    process, server, restart = own_redis
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert (await watch.read()).status == SERVING
        stop_process(process[0])
        assert (await watch.read()).status == NOT_SERVING
        assert set((await statuses(health)).values()) == {NOT_SERVING}
        restart()
        assert (await watch.read()).status == SERVING
        watch.cancel()


REFLECTIONS = [f"grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha")]


async def ask_reflection(channel: grpc.aio.Channel, name: str, **question: str):
    call = channel.stream_stream(
        f"/{name}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(timeout=10)
    await call.write(reflection_pb2.ServerReflectionRequest(**question))
    answer = await call.read()
    await call.done_writing()
    return answer


@pytest.mark.parametrize("name", REFLECTIONS)
async def test_reflection_lists_every_service(channel, name) -> None:
    answer = await ask_reflection(channel, name, list_services="")
    listed = {service.name for service in answer.list_services_response.service}
    assert listed == {*SERVICES, "grpc.health.v1.Health", *REFLECTIONS}


@pytest.mark.parametrize("name", REFLECTIONS)
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("inventory.v1.HoldService.PlaceHold", "hold_service"),
        ("inventory.v1.StockService.GetStock", "stock_service"),
        ("inventory.v1.ErrorReason", "error_reason"),
    ],
)
async def test_reflection_describes_methods_and_reasons(channel, name, symbol, file) -> None:
    answer = await ask_reflection(channel, name, file_containing_symbol=symbol)
    packed = answer.file_descriptor_response.file_descriptor_proto[0]
    described = descriptor_pb2.FileDescriptorProto.FromString(packed)
    assert described.name == f"inventory/v1/{file}.proto"


@pytest.mark.parametrize("symbol", ["inventory.v1.StockService.None", "None", "a.b.c", ""])
async def test_reflection_knows_what_it_does_not_know(channel, symbol) -> None:
    answer = await ask_reflection(channel, REFLECTIONS[0], file_containing_symbol=symbol)
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize("name", REFLECTIONS)
@pytest.mark.parametrize("service", SERVICES)
async def test_reflection_describes_every_service(channel, name, service) -> None:
    answer = await ask_reflection(channel, name, file_containing_symbol=service)
    described = [
        descriptor_pb2.FileDescriptorProto.FromString(packed)
        for packed in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert any(
        service == f"{file.package}.{one.name}" for file in described for one in file.service
    )


async def test_who_comes_to_a_stopping_server_is_told_that_nothing_was_done(settings, db) -> None:
    running = Server(replace(settings, drain_notice_s=1))
    await running.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stock, holds = StockServiceStub(channel), HoldServiceStub(channel)
        await set_stock(stock, 10)
        stopping = asyncio.create_task(running.stop())
        await asyncio.sleep(0)  # the stop begins
        assert (await refused(place(holds))).reason == "DRAINING"
        assert (await statuses(health_pb2_grpc.HealthStub(channel)))[""] == NOT_SERVING
        await stopping
    assert not db.keys("inv:*:hold:*")
