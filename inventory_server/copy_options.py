"""The options of the commands that look at the store and its durable copy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from redis.exceptions import RedisError

from inventory_server.domain.errors import InventoryError
from inventory_server.settings import AWS, Settings, SettingsError
from inventory_server.stores.copy_leases import OtherStoreError
from inventory_server.stores.copy_store import COPY_ERRORS
from inventory_server.stores.opening import StoreRefusedError
from inventory_server.stores.script_errors import ScriptError

T = TypeVar("T")
_DEFAULTS = Settings()

RedisUrl = Annotated[
    str,
    typer.Option(
        envvar="INVENTORY_REDIS_URL",
        help="The Redis: redis://, rediss:// or unix://. Without it, that of the data folder.",
    ),
]
DataDir = Annotated[
    Path,
    typer.Option(
        envvar="INVENTORY_DATA_DIR",
        help="A server's data folder, with its own Redis.",
    ),
]
Endpoint = Annotated[
    str,
    typer.Option(
        envvar="INVENTORY_DYNAMODB_ENDPOINT",
        help="DynamoDB's address; without it, AWS by its usual settings.",
    ),
]
Prefix = Annotated[
    str,
    typer.Option(envvar="INVENTORY_TABLE_PREFIX", help="What the names of the tables begin with."),
]
DEFAULT_DATA_DIR: Final = _DEFAULTS.data_dir
DEFAULT_PREFIX: Final = _DEFAULTS.table_prefix
FAILED: Final = 2
"""The exit status of a command that could not find out, or do, what it should."""


def run_command(
    work: Callable[[Settings], Coroutine[Any, Any, T]], redis_url: str, data_dir: Path,
    dynamodb_endpoint: str, table_prefix: str,
) -> T:  # fmt: skip
    """Runs a command's work; what keeps it from being done is said in a sentence."""
    try:
        settings = Settings(
            redis_url=redis_url, data_dir=data_dir, table_prefix=table_prefix,
            dynamodb_endpoint=dynamodb_endpoint or AWS,
        )  # fmt: skip
        if settings.catalog_store != AWS and "://" not in settings.catalog_store:
            raise SettingsError("--dynamodb-endpoint must be an address, or aws")
        return asyncio.run(work(settings))
    except (
        *(SettingsError, InventoryError, StoreRefusedError, OtherStoreError, ScriptError),
        *(RedisError, OSError, *COPY_ERRORS),
    ) as error:
        refuse(str(error))


def refuse(sentence: str) -> NoReturn:
    """Ends the command with a sentence."""
    typer.echo(f"inventory-server: {sentence}", err=True)
    raise typer.Exit(FAILED)
