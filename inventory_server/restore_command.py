"""`inventory-server restore`: makes a store in an empty Redis from its durable copy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

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
from inventory_server.copy_tools import CopyTools, redis_of
from inventory_server.domain.base_error import iso_time
from inventory_server.operations.restored_partition import CopyDamagedError
from inventory_server.operations.restoring import Reached, Restored, RestoreRefusedError
from inventory_server.settings import AWS, Settings

HOLDS_NAMED: Final = 20
"""Of the holds that a restore had to repair levels for, so many are named."""


def restore(
    redis_url: RedisUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dynamodb_endpoint: Endpoint = AWS,
    table_prefix: Prefix = DEFAULT_PREFIX,
    retention_s: Annotated[
        int,
        typer.Option(envvar="INVENTORY_RETENTION_S", min=60, help="How long ended holds are kept."),
    ] = Settings().retention_s,
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Restore from a copy that lacks movements.")
    ] = False,
) -> None:
    """Make the store anew in an empty Redis, as far as its durable copy has come.

    Stop all servers first. Levels, policies, holds and their deadlines come back; keys of
    calls that placed no hold are forgotten, and cursors of streams have expired. What was not
    copied is lost. If it breaks off, no server uses that Redis until it is run again.
    """
    work = partial(_restore, retention_s=retention_s, accepts_incomplete=accept_incomplete)
    try:
        done = run_command(work, redis_url, data_dir, dynamodb_endpoint, table_prefix)
    except (RestoreRefusedError, CopyDamagedError) as error:
        refuse(str(error))
    typer.echo(
        f"Restored store {done.store.store_id} at epoch {done.store.epoch}: {done.levels} levels,"
        f" {done.open_holds} open holds, {done.ended_holds} ended ones."
    )
    _tell_reached(done.reached)
    if done.repairs:
        typer.echo(
            f"{done.repairs} changes were made to levels, so that they fit holds over several"
            " partitions that were on their way; they are movements REPAIR, by restore."
        )
    if done.repaired_holds:
        more = len(done.repaired_holds) - HOLDS_NAMED
        named = ", ".join(done.repaired_holds[:HOLDS_NAMED])
        typer.echo(f"Look at these holds: {named}" + (f", and {more} more." if more > 0 else "."))
    typer.echo("Start the servers, and then run: inventory-server verify")


def _tell_reached(reached: Sequence[Reached]) -> None:
    """The moment that each partition came back to, and what is known of what came later."""
    for one in reached:
        came = f"up to movement {one.seq} of {iso_time(one.at_ms)}" if one.seq else "empty"
        past = f"; the last {one.past_mark} were past its watermark" if one.past_mark else ""
        typer.echo(f"Partition {one.number} came back {came}{past}.")
        lost = one.left_out
        if lost.copied:
            typer.echo(
                f"  It had come to movement {lost.last_seq} of {iso_time(lost.last_ms)} or"
                f" further: {lost.first_seq} to {lost.last_seq} were on their way and are lost."
                f" The copy has {lost.copied} of them, but not all those before them."
            )
    times = [one.at_ms for one in reached if one.seq]
    if times:
        typer.echo(
            f"The partitions' last movements are of {iso_time(min(times))} to"
            f" {iso_time(max(times))}; what came later and was not copied is lost."
        )


async def _restore(settings: Settings, *, retention_s: int, accepts_incomplete: bool) -> Restored:
    async with redis_of(settings) as url, CopyTools(settings, url) as tools:
        copied = await tools.copied_store()
        if copied is None:
            raise RestoreRefusedError("there is no copy to restore from: nothing was copied yet")
        tell = partial(typer.echo, err=True)
        work = tools.restore(copied, retention_ms=retention_s * 1000, tell=tell)
        done = await work.run(accepts_incomplete=accepts_incomplete)
        await tools.tell_activity()
        return done
