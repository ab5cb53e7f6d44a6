"""`inventory-server status`: says how the store and its durable copy stand."""

from __future__ import annotations

import asyncio
import sys
from typing import Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from inventory_server.copy_options import (
    DEFAULT_DATA_DIR,
    DEFAULT_PREFIX,
    DataDir,
    Endpoint,
    Prefix,
    RedisUrl,
    run_command,
)
from inventory_server.copy_tools import CopyTools, redis_url_of
from inventory_server.domain.copy import CopiedStore
from inventory_server.operations.copy_status import PartitionStatus
from inventory_server.settings import AWS, Settings

TIMEOUT_S: Final = 10.0


class _Found(NamedTuple):
    """What both stores say."""

    redis: str
    store_id: str
    partitions: int
    epoch: str
    copied: CopiedStore | None
    rows: list[PartitionStatus]


def status(
    redis_url: RedisUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dynamodb_endpoint: Endpoint = AWS,
    table_prefix: Prefix = DEFAULT_PREFIX,
) -> None:
    """Say how far the durable copy has come; exit status 1 if it is not complete, or not of
    this store, 2 if it could not be found out.

    It asks Redis and DynamoDB themselves, so no server need run.
    """
    found = run_command(_read, redis_url, data_dir, dynamodb_endpoint, table_prefix)
    typer.echo(
        f"Redis: {found.redis}, store {found.store_id or 'none'}, epoch {found.epoch or '-'},"
        f" {found.partitions} partitions"
    )
    copied = found.copied
    whose = "none" if copied is None else f"of store {copied.store_id}, epoch {copied.epoch}"
    typer.echo(f"Copy:  {whose}")
    rows = [row for row in found.rows if row.seq or row.copied_seq]
    if rows:
        _print(rows)
    is_ours = copied is not None and copied.store_id == found.store_id
    wrong = [row for row in found.rows if not row.is_complete]
    typer.echo(_verdict(found, is_ours=is_ours, wrong=len(wrong)))
    if wrong or not is_ours:
        raise typer.Exit(1)


async def _read(settings: Settings) -> _Found:
    url = redis_url_of(settings)
    async with CopyTools(settings, url) as tools:
        store = tools.store
        rows = []
        if store.store_id:
            rows = await tools.status().read(asyncio.get_running_loop().time() + TIMEOUT_S)
        # A password is nobody's business.
        where = url.rpartition("@")[2] if "@" in url else url
        return _Found(
            where, store.store_id, store.keys.partitions, store.partitions[0].epoch,
            await tools.reader.store(), rows,
        )  # fmt: skip


def _print(rows: list[PartitionStatus]) -> None:
    names = ("partition", "seq", "journal", "copied", "behind", "lag", "complete", "drained by")
    table = Table(*names, box=None)
    for row in rows:
        behind = f"{row.seq - row.copied_seq}" if row.seq >= row.copied_seq else "AHEAD"
        complete = "yes" if row.is_complete else f"no, lacks {row.lacking}"
        if row.is_behind_copy:
            complete = "the store went back"
        table.add_row(
            f"{row.number}", f"{row.seq}", f"{row.journal_entries}", f"{row.copied_seq}", behind,
            f"{row.lag_ms / 1000:.1f} s", complete, row.drainer or "nobody",
        )  # fmt: skip
    # A pipe has no width: nothing is cut there.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)


def _verdict(found: _Found, *, is_ours: bool, wrong: int) -> str:
    if not is_ours:
        return "The copy is not of this store." if found.copied else "Nothing was copied yet."
    behind = sum(max(0, row.seq - row.copied_seq) for row in found.rows)
    lag_s = max(row.lag_ms for row in found.rows) / 1000
    state = f"{wrong} partitions are not complete in the copy" if wrong else "the copy is complete"
    if lost := sum(row.not_copied for row in found.rows):
        state += f" (histories lack {lost} movements for good)"
    return f"{behind} movements are on their way, the oldest for {lag_s:.1f} s; {state}."
