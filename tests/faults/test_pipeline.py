"""The wire to Redis: what comes closely goes out together, in order, and is never said twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from inventory_server.stores.pipeline import Call, LostError, Pipeline, pack
from tests.eventually import eventually_async


class Peer:
    """The other end: keeps what arrives, piece by piece, and answers when told to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.Event()
        self.writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        with contextlib.suppress(ConnectionError):  # it is cut on purpose
            while piece := await reader.read(65536):
                self.pieces.append(piece)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.ended.set()

    async def arrived(self, expected: bytes) -> None:
        async def whole() -> bool:
            return b"".join(self.pieces) == expected

        await eventually_async(whole)


@pytest.fixture
async def peer() -> Peer:
    return Peer()


@pytest.fixture
async def pipeline(peer: Peer) -> AsyncIterator[Pipeline]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    lost: list[Pipeline] = []
    transport, _ = await asyncio.get_running_loop().create_connection(
        asyncio.Protocol, *server.sockets[0].getsockname()[:2]
    )
    running = Pipeline(transport, lost.append)
    running.take_over()
    yield running
    running.close()
    assert lost == [running]
    await asyncio.wait_for(peer.ended.wait(), 5)
    server.close()


def send(pipeline: Pipeline, *words: str) -> Call:
    call = Call(asyncio.get_running_loop().create_future(), float("inf"))
    pipeline.send(pack(words), call)
    return call


async def test_a_command_that_comes_alone_is_written_at_once(pipeline, peer) -> None:
    send(pipeline, "PING")
    assert pipeline._transport.get_write_buffer_size() == 0
    await peer.arrived(pack(("PING",)))


async def test_commands_that_come_closely_go_out_together_and_in_order(pipeline, peer) -> None:
    words = [("ECHO", str(n)) for n in range(40)]
    calls = [send(pipeline, *one) for one in words]
    await peer.arrived(b"".join(map(pack, words)))
    assert len(peer.pieces) <= 3
    peer.writer.write(b"".join(b"$2\r\n%02d\r\n" % n for n in range(40)))
    assert [await call.future for call in calls] == [f"{n:02}" for n in range(40)]


async def test_a_command_that_waits_to_go_out_counts_as_sent(pipeline, peer) -> None:
    calls = [send(pipeline, "ECHO", str(n)) for n in range(3)]
    pipeline.close()
    for call in calls:
        with pytest.raises(LostError):
            await call.future
    await asyncio.wait_for(peer.ended.wait(), 5)
    assert peer.pieces in ([], [pack(("ECHO", "0"))])


async def test_a_caller_that_goes_away_leaves_its_reply_in_its_place(pipeline, peer) -> None:
    calls = [send(pipeline, "ECHO", str(n)) for n in range(3)]
    calls[1].future.cancel()
    await peer.arrived(b"".join(pack(("ECHO", str(n))) for n in range(3)))
    peer.writer.write(b"+0\r\n+1\r\n+2\r\n")
    assert (await calls[0].future, await calls[2].future) == ("0", "2")
    assert await calls[1].wait_again() == "1"
