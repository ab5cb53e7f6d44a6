"""`inventory-server`: runs the server, and asks one how it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import grpc
import typer
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inventory_server import __version__
from inventory_server.call_log import set_up_logging
from inventory_server.create_tables_command import create_tables_command
from inventory_server.reconcile_command import reconcile
from inventory_server.restore_command import restore
from inventory_server.resync_command import resync
from inventory_server.server import Server, StartError
from inventory_server.settings import Settings, SettingsError
from inventory_server.status_command import status
from inventory_server.verify_command import verify

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The inventory service: stock, holds and availability over gRPC.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DEFAULTS = Settings()

Env = typer.Option


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"inventory-server {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[
        str, Env(envvar="INVENTORY_HOST", help="Address to listen on.")
    ] = _DEFAULTS.host,
    port: Annotated[
        int, Env(envvar="INVENTORY_PORT", help="Port of the gRPC server; 0 takes a free one.")
    ] = _DEFAULTS.port,
    metrics_port: Annotated[
        int | None,
        Env(
            envvar="INVENTORY_METRICS_PORT",
            help="Port of the metrics, in Prometheus's form, at /metrics; 0 takes a free one."
            " Without it there are none.",
        ),
    ] = _DEFAULTS.metrics_port,
    redis_url: Annotated[
        str,
        Env(
            envvar="INVENTORY_REDIS_URL",
            help="A Redis to use: redis://, rediss:// or unix://. Without it the server runs"
            " its own, in the data folder.",
        ),
    ] = _DEFAULTS.redis_url,
    data_dir: Annotated[
        Path, Env(envvar="INVENTORY_DATA_DIR", help="Data folder of the server's own Redis.")
    ] = _DEFAULTS.data_dir,
    dynamodb_endpoint: Annotated[
        str,
        Env(
            envvar="INVENTORY_DYNAMODB_ENDPOINT",
            help="Where the catalogue is: an address, aws (by AWS's usual settings), embedded"
            " (a double that forgets at the stop) or off. Without it: embedded beside the"
            " server's own Redis, otherwise aws.",
        ),
    ] = _DEFAULTS.dynamodb_endpoint,
    table_prefix: Annotated[
        str,
        Env(
            envvar="INVENTORY_TABLE_PREFIX", help="What the names of DynamoDB's tables begin with."
        ),
    ] = _DEFAULTS.table_prefix,
    durable_copy: Annotated[
        str,
        Env(
            envvar="INVENTORY_DURABLE_COPY",
            help="Copy every movement to DynamoDB: on or off. Without it: on, but where"
            " DynamoDB is embedded or off.",
        ),
    ] = _DEFAULTS.durable_copy,
    journal_max_bytes: Annotated[
        int,
        Env(
            envvar="INVENTORY_JOURNAL_MAX_BYTES",
            help="How much memory journals may take while they wait for the durable copy.",
        ),
    ] = _DEFAULTS.journal_max_bytes,
    catalog_max_age_s: Annotated[
        float,
        Env(
            envvar="INVENTORY_CATALOG_MAX_AGE_S",
            help="How long products are still answered for while DynamoDB is out of reach.",
        ),
    ] = _DEFAULTS.catalog_max_age_s,
    durability: Annotated[
        str,
        Env(
            envvar="INVENTORY_DURABILITY",
            help="What to do with a Redis that may lose acknowledged changes: require (refuse"
            " it), warn, or declared (trust it unasked).",
        ),
    ] = _DEFAULTS.durability,
    partitions: Annotated[
        int,
        Env(envvar="INVENTORY_PARTITIONS", help="Partitions of the data; fixed once it is made."),
    ] = _DEFAULTS.partitions,
    sweeper: Annotated[
        bool, Env(envvar="INVENTORY_SWEEPER", help="Sweep holds whose deadline has passed.")
    ] = _DEFAULTS.sweeper,
    sample_data: Annotated[
        bool, Env(envvar="INVENTORY_SAMPLE_DATA", help="Fill an empty store with sample data.")
    ] = _DEFAULTS.sample_data,
    log_format: Annotated[
        str, Env(envvar="INVENTORY_LOG_FORMAT", help="Form of the log: text or json.")
    ] = _DEFAULTS.log_format,
    call_log: Annotated[
        bool, Env(envvar="INVENTORY_CALL_LOG", help="Write a JSON line for each call.")
    ] = _DEFAULTS.call_log,
    store_timeout_s: Annotated[
        float,
        Env(envvar="INVENTORY_STORE_TIMEOUT_S", help="Longest wait of a call for the store."),
    ] = _DEFAULTS.store_timeout_s,
    stall_timeout_s: Annotated[
        float,
        Env(
            envvar="INVENTORY_STALL_TIMEOUT_S",
            help="A connection to Redis that answers nobody for so long is cut.",
        ),
    ] = _DEFAULTS.stall_timeout_s,
    drain_notice_s: Annotated[
        float,
        Env(
            envvar="INVENTORY_DRAIN_NOTICE_S",
            help="How long a stopping server answers new calls with DRAINING.",
        ),
    ] = _DEFAULTS.drain_notice_s,
    drain_timeout_s: Annotated[
        float,
        Env(envvar="INVENTORY_DRAIN_TIMEOUT_S", help="Time for calls in flight at a stop."),
    ] = _DEFAULTS.drain_timeout_s,
    retention_s: Annotated[
        int,
        Env(
            envvar="INVENTORY_RETENTION_S",
            help="How long idempotency keys and ended holds are kept.",
        ),
    ] = _DEFAULTS.retention_s,
    journal_retention_s: Annotated[
        int,
        Env(
            envvar="INVENTORY_JOURNAL_RETENTION_S",
            help="How long movements and alerts are kept, for streams and the audit trail.",
        ),
    ] = _DEFAULTS.journal_retention_s,
    heartbeat_s: Annotated[
        float,
        Env(envvar="INVENTORY_HEARTBEAT_S", help="Longest silence of a stream."),
    ] = _DEFAULTS.heartbeat_s,
    max_streams: Annotated[
        int,
        Env(envvar="INVENTORY_MAX_STREAMS", help="Most open streams, of each kind."),
    ] = _DEFAULTS.max_streams,
    max_lines: Annotated[
        int, Env(envvar="INVENTORY_MAX_LINES", help="Most lines of a hold or a sale.")
    ] = _DEFAULTS.max_lines,
    max_ttl_s: Annotated[
        int, Env(envvar="INVENTORY_MAX_TTL_S", help="Longest ttl of a hold.")
    ] = _DEFAULTS.max_ttl_s,
    max_hold_life_s: Annotated[
        int,
        Env(
            envvar="INVENTORY_MAX_HOLD_LIFE_S",
            help="Longest life of a hold, extensions included.",
        ),
    ] = _DEFAULTS.max_hold_life_s,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Run the server. Every flag can be given as its environment variable instead."""
    if context.invoked_subcommand is not None:
        return
    given = {name: value for name, value in context.params.items() if name != "version"}
    try:
        settings = Settings(**given)
    except SettingsError as error:
        _refuse(str(error))
    set_up_logging(settings.log_format)
    # Processes that the server starts share nothing with it: gRPC need not look after them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        uvloop.run(run(settings))
    except StartError as error:
        _refuse(str(error))


@app.command()
def healthcheck(
    server: Annotated[
        str,
        Env(
            envvar="INVENTORY_SERVER",
            help="The server's address. Without it, the port on this machine.",
        ),
    ] = "",
    port: Annotated[
        int, Env(envvar="INVENTORY_PORT", help="The server's port on this machine.")
    ] = _DEFAULTS.port,
    service: Annotated[str, typer.Option(help="A service; without it, all of them.")] = "",
    timeout_s: Annotated[float, typer.Option(help="Longest wait.")] = 3.0,
) -> None:
    """Ask a server whether it serves; exit status 1 if it does not."""
    server = server or f"127.0.0.1:{port}"
    with grpc.insecure_channel(server) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
        except grpc.RpcError as error:
            why = error.details() or error.code().name
            typer.echo(f"inventory-server: {server}: {why}", err=True)
            raise typer.Exit(1) from error
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    typer.echo(f"{server}: {name}")
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise typer.Exit(1)


app.command()(verify)
app.command()(status)
app.command()(restore)
app.command()(reconcile)
app.command()(resync)
app.command("create-tables")(create_tables_command)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    log = logging.getLogger(__name__)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(settings)
    await server.start()
    where = settings.data_dir if settings.is_embedded else "the given Redis"
    # What is there now stays: it need not be looked through again and again. Calls leave few
    # cycles behind, so these are looked for less often (14 % of a batch's time, measured).
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    log.info("serving on %s:%d, data in %s", settings.host, server.port, where)
    await stopping.wait()
    log.info("stopping: calls in flight may finish")
    await server.stop()
    log.info("stopped")


def _refuse(sentence: str) -> None:
    typer.echo(f"inventory-server: {sentence}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """The console script."""
    app()
