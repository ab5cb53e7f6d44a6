"""The connection to Redis: a silent, odd or crowded other end is noticed and got over."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from inventory_server.domain.model import Origin
from inventory_server.stores import connection as connections
from inventory_server.stores.connection import PipelinedConnection
from inventory_server.stores.opening import StoreOpener, StoreRefusedError
from inventory_server.stores.pipeline import pack
from inventory_server.stores.redis_store import Command, RedisStore
from tests.eventually import eventually_async
from tests.faults.proxy import ReplyProxy

Answer = Callable[[int, bytes], bytes]


@contextlib.asynccontextmanager
async def other_end(answer: Answer) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """A server that answers what it likes; given the connection's number and what came."""
    writers: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        writers.append(writer)
        number = len(writers)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(answer(number, data))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", writers
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*serving)


def commands_in(data: bytes) -> int:
    return data.count(b"\r\n*") + 1


def opener(url: str, stall_timeout_s: float, on_change=lambda ready: None) -> StoreOpener:
    return StoreOpener(
        url,
        partitions=16,
        durability="warn",
        stall_timeout_s=stall_timeout_s,
        on_change=on_change,
    )


async def test_a_redis_that_falls_silent_after_the_handshake_is_refused() -> None:
    def answer(number: int, data: bytes) -> bytes:
        return b"" if b"\r\nINFO\r\n" in data else b"+OK\r\n" * commands_in(data)

    async with other_end(answer) as (url, _):
        opening = opener(url, 0.2)
        with pytest.raises(StoreRefusedError, match="does not answer"):
            await asyncio.wait_for(opening.open(), 10)
        assert opening.connection is not None
        await opening.connection.close()


async def test_a_connection_that_is_lost_while_it_is_made_ready_is_made_anew() -> None:
    def answer(number: int, data: bytes) -> bytes:
        # The second time something that nobody asked for comes with the last answer.
        odd = b"+ODD\r\n" if number == 2 and b"LAST" in data else b""
        return b"+OK\r\n" * commands_in(data) + odd

    async def prepare(connection: PipelinedConnection) -> None:
        await connection.command("ECHO", "LAST", timeout_s=5)

    async with other_end(answer) as (url, writers):
        pool = redis.asyncio.ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0))
        connection = PipelinedConnection(
            pool.make_connection,
            stall_timeout_s=5,
            connect_timeout_s=5,
            prepare=prepare,
            on_change=lambda ready: None,
        )
        await connection.open()
        writers[0].transport.abort()

        async def third_time_ready() -> bool:
            return len(writers) == 3 and connection.is_ready

        await eventually_async(third_time_ready)
        assert await connection.command("PING", timeout_s=5) == "OK"
        await connection.close()


async def test_lost_calls_are_settled_where_there_is_room_for_all_but_one(
    redis_socket: str, db, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = 50
    monkeypatch.setattr(connections, "MAX_CALLS_IN_FLIGHT", crowd)
    loop = asyncio.get_running_loop()
    stores: list[RedisStore] = []

    def comes_first(ready: bool) -> None:
        # What takes one place before those that ask again.
        if ready and stores:
            stores[0]._connection.start(pack(("PING",)), loop.time() + 5)

    def release(number: int) -> Awaitable[list[str]]:
        store, hold_id = stores[0], "3-" + "a" * 20
        fixed = ("", f"op{number}", "print", "", hold_id)
        keys = (store.keys.hold(hold_id), store.keys.due(3), store.keys.ended(3))
        command = Command("release_hold", keys, lambda: (*fixed, store.guards(), ""))
        return store.mutate(command, Origin("", "", f"k{number}", False, loop.time() + 20))

    async with ReplyProxy(redis_socket) as proxy:
        opening = opener(f"redis://127.0.0.1:{proxy.port}", 5, comes_first)
        store = await opening.open()
        proxy.swallowing = True
        stores.append(store)
        calls = [asyncio.ensure_future(release(n)) for n in range(crowd)]

        async def swallowed() -> bool:
            return proxy.swallowed_bytes > 0

        await eventually_async(swallowed)
        proxy.swallowing = False
        proxy.cut()
        replies = await asyncio.gather(*calls)
        assert Counter(reply[0] for reply in replies) == {"hold_not_found": crowd}
        assert opening.connection is not None
        await opening.connection.close()
