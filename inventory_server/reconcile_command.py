"""`inventory-server reconcile`: gives a store that went back in time what it lost."""

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
from inventory_server.copy_tools import CopyTools, redis_of
from inventory_server.domain.base_error import iso_time
from inventory_server.operations.reconcile_checks import ReconcileRefusedError
from inventory_server.operations.reconciling import Reconciled
from inventory_server.operations.restored_partition import CopyDamagedError
from inventory_server.settings import AWS, Settings

_ANEW = "this store can be used by no server now; empty its Redis, and run inventory-server restore"


def reconcile(
    redis_url: RedisUrl = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dynamodb_endpoint: Endpoint = AWS,
    table_prefix: Prefix = DEFAULT_PREFIX,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Go on also where the copy has nothing more: what it lacks is lost.",
        ),
    ] = False,
) -> None:
    """Give a store that went back in time (an old snapshot, a failover) what it lost.

    Servers may go on running: they refuse changes until it is done. Movements that the
    durable copy has and Redis does not are made once more, as they were; keys of calls that
    placed no hold are not known again, and cursors of streams have expired. If it breaks off,
    no server uses the store until it is run again. Exit status 2 if it could not be done.
    """
    work = partial(_reconcile, accepts_loss=accept_loss)
    try:
        done = run_command(work, redis_url, data_dir, dynamodb_endpoint, table_prefix)
    except ReconcileRefusedError as error:
        refuse(str(error))
    except CopyDamagedError as error:
        refuse(f"{error}; {_ANEW}")
    typer.echo(
        f"Reconciled store {done.store.store_id} at epoch {done.store.epoch}: {done.movements}"
        f" movements came back, in {done.partitions} partitions."
    )
    if done.movements:
        typer.echo(
            f"They are of {iso_time(done.oldest_ms)} to {iso_time(done.newest_ms)}; what came"
            " later and was not copied is lost."
        )
    if done.repairs:
        typer.echo(
            f"{done.repairs} changes were made to levels, so that they fit holds over several"
            " partitions that were on their way; they are movements REPAIR, by reconcile."
        )
    typer.echo("Servers take it over by themselves. Then run: inventory-server verify")


async def _reconcile(settings: Settings, *, accepts_loss: bool) -> Reconciled:
    async with redis_of(settings) as url, CopyTools(settings, url) as tools:
        copied = await tools.copied_store()
        if copied is None:
            raise ReconcileRefusedError(
                "there is no copy to give back from: nothing was copied yet"
            )
        work = tools.reconcile(copied, tell=partial(typer.echo, err=True))
        done = await work.run(accepts_loss=accepts_loss)
        await tools.tell_activity()
        return done
