"""What gRPC alone costs: an empty handler in a bare grpc.aio server on uvloop.

`python -m benchmarks.bare_server PORT`. It takes a PlaceHoldRequest as bytes
and answers an empty PlaceHoldResponse; nothing stands around the handler.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import grpc
import uvloop


async def place_hold(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    """Answers an empty message."""
    return b""


async def serve(port: int) -> None:
    """Serves until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handlers: dict[str, Any] = {"PlaceHold": grpc.unary_unary_rpc_method_handler(place_hold)}
    generic = grpc.method_handlers_generic_handler("inventory.v1.HoldService", handlers)
    server.add_generic_rpc_handlers((generic,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await stopping.wait()
    await server.stop(1)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
