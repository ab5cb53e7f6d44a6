"""`inventory-server create-tables`: makes the tables in DynamoDB."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from inventory_server.catalog_root import make_dynamo
from inventory_server.domain.errors import InventoryError
from inventory_server.settings import AWS, Settings, SettingsError
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import LostError
from inventory_server.stores.tables import Tables, create_tables

TIMEOUT_S: Final = 120.0


def create_tables_command(
    dynamodb_endpoint: Annotated[
        str,
        typer.Option(
            envvar="INVENTORY_DYNAMODB_ENDPOINT",
            help="DynamoDB's address; without it, AWS by its usual settings.",
        ),
    ] = AWS,
    table_prefix: Annotated[
        str,
        typer.Option(
            envvar="INVENTORY_TABLE_PREFIX", help="What the names of the tables begin with."
        ),
    ] = Settings().table_prefix,
) -> None:
    """Make the tables of the catalogue and of the durable copy in DynamoDB, those that are
    not there yet.
    """
    try:
        settings = Settings(dynamodb_endpoint=dynamodb_endpoint or AWS, table_prefix=table_prefix)
        if settings.catalog_store != AWS and "://" not in settings.catalog_store:
            raise SettingsError("--dynamodb-endpoint must be an address, or aws")
        made = asyncio.run(_create(settings))
    except (SettingsError, InventoryError, LostError) as error:
        typer.echo(f"inventory-server: {error}", err=True)
        raise typer.Exit(2) from error
    for name in _tables(table_prefix):
        typer.echo(f"{name}: {'made' if name in made else 'was there'}")


async def _create(settings: Settings) -> list[str]:
    dynamo = make_dynamo(settings)
    try:
        await dynamo.open()
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        return await create_tables(dynamo, _tables(settings.table_prefix), deadline)
    finally:
        dynamo.close()


def _tables(prefix: str) -> Tables:
    return {**table_names(prefix).keys, **copy_table_names(prefix).keys}
