"""The seed's design, rebuilt to be measured: how holds were placed before.

`python -m benchmarks.seed_design PORT REDIS_SOCKET`. FastAPI on uvicorn, one
process, plain `def` endpoints over a blocking redis-py client, and five
commands a hold, each a round trip of its own: read the kept answer, read the
stock, take the units, write the hold (which dies by its own TTL), keep the
answer for an hour. It has the seed's faults on purpose: the check and the
write are apart, and so are the look for a kept answer and its keeping.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any
from uuid import uuid4

import redis
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

KEPT_S = 3600
app = FastAPI()
client: redis.Redis


class HoldRequest(BaseModel):
    """What is asked for."""

    sku: str
    location: str = "online"
    qty: int = 1
    ttl: int = 300


@app.post("/hold")
def place_hold(
    request: HoldRequest, x_idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    """Takes the units and writes the hold, in separate steps."""
    kept = client.get(f"idempotency:{x_idempotency_key}") if x_idempotency_key else None
    if kept:
        answer: dict[str, Any] = json.loads(kept)
        return answer
    stock_key = f"stock:{request.location}:{request.sku}"
    if int(client.get(stock_key) or 0) < request.qty:
        raise HTTPException(409, "not enough stock")
    left = client.decrby(stock_key, request.qty)
    hold_id = uuid4().hex
    expires_at = time.time() + request.ttl
    hold = {**request.model_dump(), "hold_id": hold_id, "expires_at": expires_at}
    client.setex(f"hold:{hold_id}", request.ttl, json.dumps(hold))
    answer = {"hold_id": hold_id, "expires_at": expires_at, "available": left}
    if x_idempotency_key:
        client.setex(f"idempotency:{x_idempotency_key}", KEPT_S, json.dumps(answer))
    return answer


if __name__ == "__main__":
    client = redis.Redis(unix_socket_path=sys.argv[2], decode_responses=True)
    # "auto" takes httptools where it is installed, else h11.
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="auto",
        access_log=False, log_level="warning",
    )  # fmt: skip
