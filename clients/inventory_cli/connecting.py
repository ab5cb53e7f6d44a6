"""Whether anybody answers at an address, which is asked before the first call: a wrong one is told
at once, and not after all the retries that a call may have.
"""

from __future__ import annotations

import asyncio

import grpc
from inventory_client.loop_thread import LoopThread

from inventory_cli.errors import unreachable


def connect(server: str, timeout_s: float | None = None) -> None:
    """Makes sure that somebody answers. Raises ServerError."""
    # A synchronous channel that was watched takes a fifth of a second to close.
    thread = LoopThread.shared()
    try:
        is_there = thread.run(_is_there(server, timeout_s))
    finally:
        thread.leave()
    if not is_there:
        raise unreachable(server)


async def _is_there(server: str, timeout_s: float | None) -> bool:
    async with grpc.aio.insecure_channel(server) as channel:
        try:
            async with asyncio.timeout(timeout_s):
                return await _becomes_ready(channel)
        except TimeoutError:
            return False


async def _becomes_ready(channel: grpc.aio.Channel) -> bool:
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return False
        await channel.wait_for_state_change(state)
    return True
