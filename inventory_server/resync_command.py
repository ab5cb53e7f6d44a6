"""`inventory-server resync`: makes an incomplete copy complete again, from Redis."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from inventory_server.copy_options import (
    DEFAULT_DATA_DIR,
    DEFAULT_PREFIX,
    DataDir,
    Endpoint,
    Prefix,
    RedisUrl,
    refuse,
    run_command,
)
from inventory_server.copy_tools import CopyTools, redis_url_of
from inventory_server.operations.resyncing import Resynced, ResyncRefusedError
from inventory_server.settings import AWS, Settings


def resync(
    redis_url: RedisUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dynamodb_endpoint: Endpoint = AWS,
    table_prefix: Prefix = DEFAULT_PREFIX,
    retention_s: Annotated[
        int,
        typer.Option(envvar="INVENTORY_RETENTION_S", min=60, help="How long ended holds are kept."),
    ] = Settings().retention_s,
) -> None:
    """Make an incomplete durable copy complete again, from what Redis has.

    Leave the servers running: they copy what changes meanwhile. Levels, policies and holds
    are written anew, of the partitions that lack movements; the movements themselves stay
    lost to histories. If it breaks off, run it again. Exit status 2 if it could not be done.
    """
    work = partial(_resync, retention_s=retention_s)
    try:
        done = run_command(work, redis_url, data_dir, dynamodb_endpoint, table_prefix)
    except ResyncRefusedError as error:
        refuse(str(error))
    if done.partitions:
        typer.echo(
            f"Resynced {done.partitions} partitions: {done.levels} levels, {done.holds} holds."
        )
    typer.echo("The copy is complete: a restore from it brings back all that the store has.")
    if done.lost:
        typer.echo(f"Histories lack {done.lost} movements for good.")


async def _resync(settings: Settings, *, retention_s: int) -> Resynced:
    async with CopyTools(settings, redis_url_of(settings)) as tools:
        if await tools.copied_store() is None:
            raise ResyncRefusedError("nothing was copied yet")
        tell = partial(typer.echo, err=True)
        return await tools.resync(retention_ms=retention_s * 1000, tell=tell).run()
