"""`inventory-server verify`: asks a server to check its store, and prints what it finds."""

from __future__ import annotations

import sys
from typing import Annotated

import grpc
import typer
from inventory.v1 import audit_service_pb2 as pb
from inventory.v1.audit_service_pb2_grpc import AuditServiceStub
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

_PREFIX = "DISCREPANCY_KIND_"


def verify(
    server: Annotated[
        str,
        typer.Option(
            envvar="INVENTORY_SERVER",
            help="The server's address. Without it, the port on this machine.",
        ),
    ] = "",
    port: Annotated[
        int,
        typer.Option(
            envvar="INVENTORY_PORT", min=1, max=65535, help="The server's port on this machine."
        ),
    ] = 8061,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="Longest wait.")] = 3600.0,
) -> None:
    """Check the store against itself; exit status 1 if something is wrong, 2 if it
    could not be found out.

    Every level, hold, index and journal entry is looked at, while the server
    goes on serving. What still moved after three tries is unsettled, not wrong.
    """
    server = server or f"127.0.0.1:{port}"
    found: list[pb.Discrepancy] = []
    summary, failure = pb.VerifySummary(), ""
    columns = (TextColumn("Checking"), BarColumn(), MofNCompleteColumn(), TextColumn("keys"))
    with (
        grpc.insecure_channel(server) as channel,
        Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as progress,
    ):
        task = progress.add_task("Checking", total=None)
        try:
            for part in AuditServiceStub(channel).VerifyInvariants(
                pb.VerifyInvariantsRequest(), timeout=timeout_s
            ):
                if part.HasField("discrepancy"):
                    found.append(part.discrepancy)
                elif part.HasField("progress"):
                    at = part.progress
                    progress.update(task, completed=at.keys, total=at.total_keys)
                else:
                    summary = part.summary
        except grpc.RpcError as error:
            failure = error.details() or error.code().name
    _print(found)
    if failure:
        typer.echo(f"inventory-server: {server}: {failure}", err=True)
        raise typer.Exit(2)
    typer.echo(
        f"{summary.levels} levels, {summary.holds} holds, {summary.movements} movements:"
        f" {summary.discrepancies or 'no'} discrepancies, {summary.unsettled} unsettled"
    )
    if summary.discrepancies:
        raise typer.Exit(1)


def _print(found: list[pb.Discrepancy]) -> None:
    if found:
        table = Table("what", "location", "sku", "hold", "found", box=None)
        for entry in found:
            kind = pb.DiscrepancyKind.Name(entry.kind).removeprefix(_PREFIX)
            kind = f"{kind} (unsettled)" if entry.unsettled else kind
            table.add_row(kind, entry.location, entry.sku, entry.hold_id, entry.message)
        # A pipe has no width: nothing is cut there.
        width = None if sys.stdout.isatty() else 1_000
        Console(width=width, highlight=False, markup=False).print(table)
