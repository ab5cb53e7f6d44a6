"""`inventory verify`: has the server check its store, and shows what it finds."""

from __future__ import annotations

from typing import Any

import grpc
import typer
from inventory.v1 import audit_service_pb2 as pb
from inventory.v1.audit_service_pb2_grpc import AuditServiceStub
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from inventory_cli.command import command
from inventory_cli.connecting import connect
from inventory_cli.errors import ExitStatus, server_error_of
from inventory_cli.json_form import json_of, word_of
from inventory_cli.session import Session
from inventory_cli.tables import Column, Grid

COLUMNS = (Column("What"), Column("Location"), Column("SKU"), Column("Hold"), Column("Found"))
EXAMPLES = """
inventory verify
inventory verify --timeout 10m --output json
"""


def add_to(app: typer.Typer) -> None:
    """Makes it a command of this group."""
    command(app, "verify", examples=EXAMPLES)(verify)


def verify(session: Session) -> ExitStatus:
    """Has the server check its store.

    Every level, hold, index and journal entry is looked at, while it serves on. What still moved
    after three tries is unsettled, not wrong. Exit status 1 if something is
    wrong. It has no time limit but --timeout.
    """
    settings = session.settings
    connect(settings.server, settings.timeout_s)
    found: list[pb.Discrepancy] = []
    summary = pb.VerifySummary()
    columns = (TextColumn("Checking"), BarColumn(), MofNCompleteColumn(), TextColumn("keys"))
    with (
        grpc.insecure_channel(settings.server) as channel,
        Progress(
            *columns, console=session.notes, transient=True, disable=not session.notes.is_terminal
        ) as progress,
    ):
        task = progress.add_task("Checking", total=None)
        call = AuditServiceStub(channel).VerifyInvariants(
            pb.VerifyInvariantsRequest(), timeout=settings.timeout_flag_s
        )
        try:
            for part in call:
                if part.HasField("discrepancy"):
                    found.append(part.discrepancy)
                elif part.HasField("progress"):
                    at = part.progress
                    progress.update(task, completed=at.keys, total=at.total_keys)
                else:
                    summary = part.summary
        except grpc.RpcError as error:
            raise server_error_of(call, settings.server) from error
        finally:
            call.cancel()
    _show(session, found, summary)
    return ExitStatus.REFUSED if summary.discrepancies else ExitStatus.DONE


def _show(session: Session, found: list[pb.Discrepancy], summary: pb.VerifySummary) -> None:
    if session.is_json:
        told: dict[str, Any] = {"discrepancies": [json_of(one) for one in found]}
        session.write({**told, "summary": json_of(summary)})
        return
    if found:
        Grid(COLUMNS, [_row(one) for one in found]).show(session.results)
    session.results.print(
        f"{summary.levels} levels, {summary.holds} holds, {summary.movements} movements:"
        f" {summary.discrepancies or 'no'} discrepancies, {summary.unsettled} unsettled",
        soft_wrap=True,
    )


def _row(one: pb.Discrepancy) -> list[str]:
    kind = word_of(one, "kind") + (" (unsettled)" if one.unsettled else "")
    return [kind, one.location, one.sku, one.hold_id, one.message]
