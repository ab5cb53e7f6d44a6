"""A subscriber that posts each alert to a webhook, and goes on where it was after a crash.

    python -m examples.webhook_subscriber https://example.com/hook cursor.txt

What "exactly once" means here: the cursor is stored after the post was
answered. A crash between the two posts that alert again, under the same
`webhook-id`; nothing in the world can prevent that. So it is *delivered* at
least once, and *takes effect* exactly once where the receiver drops an id
that it has seen. No alert is left out: where some are not kept any more
(the subscriber was away for longer than the journal is), it posts the levels
that are low now, each under an id of its own, as `level` messages.

Server: INVENTORY_SERVER. It runs until it is interrupted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from inventory_client import AlertEvent, AsyncInventoryClient, SnapshotEnded, SnapshotLevel

PAUSE_S = 1.0
"""Between two tries to reach the receiver."""


class CursorFile:
    """Where the subscriber stands; on disk before it goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """The cursor; empty at the first start."""
        return self._path.read_text() if self._path.exists() else ""

    def write(self, cursor: str) -> None:
        """Replaces it at once and whole."""
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            file.write(cursor)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


async def post(url: str, webhook_id: str, body: dict[str, object]) -> None:
    """Posts until the receiver has taken it."""
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        url,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "webhook-id": webhook_id},
    )
    while True:
        try:
            with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            sys.stderr.write(f"{url}: {error}\n")
            await asyncio.sleep(PAUSE_S)


async def run(client: AsyncInventoryClient, url: str, cursors: CursorFile) -> None:
    """Posts until it is cancelled."""
    stored = cursors.read()
    async with client.watch_low_stock(cursor=stored, snapshot=not stored) as watch:
        async for event in watch:
            match event:
                case AlertEvent(alert=alert):
                    await post(url, alert.movement_id, {"alert": MessageToDict(alert)})
                case SnapshotLevel(level=level):
                    webhook_id = f"{level.location}/{level.sku}/{level.version}"
                    await post(url, webhook_id, {"level": MessageToDict(level)})
            if isinstance(event, AlertEvent | SnapshotEnded):
                cursors.write(event.cursor)


async def main() -> None:
    """Runs until it is interrupted."""
    server = os.environ.get("INVENTORY_SERVER", "localhost:8061")
    async with AsyncInventoryClient(server, actor="webhook") as client:
        await run(client, sys.argv[1], CursorFile(Path(sys.argv[2])))


if __name__ == "__main__":
    asyncio.run(main())
