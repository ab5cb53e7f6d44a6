"""`inventory stock`: commands on stock levels."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import typer
from inventory.v1.stock_service_pb2 import SetStockLine
from inventory_client.words import ReasonName, StatusName

from inventory_cli.choices import Reason, Status, choice
from inventory_cli.command import DEFAULT_LIMIT, KeyOption, LimitOption, command
from inventory_cli.errors import UsageError
from inventory_cli.json_form import json_of
from inventory_cli.level_grid import level_grid, stock_grid
from inventory_cli.lines import (
    LINE_HELP,
    deltas_of,
    level_of,
    lines_of,
    quantities_of,
)
from inventory_cli.session import Session, page_size_of
from inventory_cli.watch_options import (
    CountOption,
    CursorOption,
    LocationsOption,
    SkusOption,
    SnapshotOption,
)
from inventory_cli.watch_stock import watch_movements

app = typer.Typer(no_args_is_help=True)

LinesArgument = Annotated[
    list[str], typer.Argument(metavar="LINE", help=LINE_HELP, show_default=False)
]
NoteOption = Annotated[str, typer.Option(help="Words that are kept with it.", show_default=False)]
ReferenceOption = Annotated[
    str, typer.Option(help="An order or document that it belongs to.", show_default=False)
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would become of it; change nothing.")
]
REASON_HELP: Final = "Why the count changes."


@app.callback()
def stock() -> None:
    """Stock levels: read, count, adjust, move, import, watch."""


@command(
    app,
    "get",
    examples="""
inventory stock get A-1
inventory stock get A-1@store:S1
inventory stock get A-1 --location online --location store:S1 --output json
""",
)
def get(
    session: Session,
    level: Annotated[str, typer.Argument(metavar="SKU[@LOCATION]", help="What to read.")],
    location: LocationsOption = None,
) -> None:
    """Shows a SKU's levels, everywhere or at some locations, and their sum."""
    sku, at = level_of(level)
    found = session.client.get_stock(sku, locations=[*([at] if at else []), *(location or ())])
    if session.is_json:
        session.write(json_of(found))
    else:
        session.show(stock_grid(found), "no stock levels")


@command(
    app,
    "list",
    examples="""
inventory stock list online
inventory stock list store:S1 --status low
inventory stock list online --prefix A- --limit 0 --output json
""",
)
def list_(
    session: Session,
    location: Annotated[str, typer.Argument(metavar="LOCATION", help="online or store:<id>.")],
    status: Annotated[
        Status | None, choice("--status", help="Only levels with this status.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Only SKUs that begin with it.", show_default=False)
    ] = "",
    limit: LimitOption = DEFAULT_LIMIT,
) -> None:
    """Lists the levels of one location, by SKU."""
    levels = session.client.list_stock_levels(
        location,
        status=cast(StatusName, status.name) if status else None,
        sku_prefix=prefix,
        page_size=page_size_of(limit),
    )
    session.show_list("levels", levels, limit, level_grid)


@command(
    app,
    "set",
    examples="""
inventory stock set A-1=40
inventory stock set A-1@store:S1=40 B-2@store:S1=0 --note 'count of May'
inventory stock set A-1=40 --expect 38
""",
)
def set_(
    session: Session,
    lines: LinesArgument,
    reason: Annotated[Reason, choice("--reason", help=REASON_HELP)] = Reason.COUNT,
    expect: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only if the count of the one line is still N."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also below what is held; some of that is lost then.")
    ] = False,
    note: NoteOption = "",
    reference: ReferenceOption = "",
    dry_run: DryRunOption = False,
    key: KeyOption = "",
) -> None:
    """Sets counts, all lines or none; a level that is not there is made."""
    parts = [SetStockLine(sku=sku, location=at, on_hand=n) for sku, at, n in lines_of(lines)]
    if expect is not None:
        if len(parts) != 1:
            raise UsageError("--expect goes with exactly one line")
        parts[0].expected_on_hand = expect
    answer = session.change(
        key,
        lambda client, key: client.set_stock(
            parts, reason=_reason(reason), note=note, reference=reference, force=force,
            validate_only=dry_run, idempotency_key=key,
        ),
    )  # fmt: skip
    _show_change(session, answer, dry_run=dry_run)


@command(
    app,
    "adjust",
    examples="""
inventory stock adjust A-1=+12 --reason receipt --reference delivery-7
inventory stock adjust A-1@store:S1=-1 B-2@store:S1=-2 --reason damage
""",
)
def adjust(
    session: Session,
    lines: Annotated[
        list[str],
        typer.Argument(metavar="LINE", help="SKU[@LOCATION]=+N or =-N: units more, or fewer."),
    ],
    reason: Annotated[Reason, choice("--reason", help=REASON_HELP)],
    note: NoteOption = "",
    reference: ReferenceOption = "",
    dry_run: DryRunOption = False,
    key: KeyOption = "",
) -> None:
    """Changes counts by so many units, all lines or none."""
    deltas = deltas_of(lines)
    answer = session.change(
        key,
        lambda client, key: client.adjust_stock(
            deltas, reason=_reason(reason), note=note, reference=reference,
            validate_only=dry_run, idempotency_key=key,
        ),
    )  # fmt: skip
    _show_change(session, answer, dry_run=dry_run)


@command(
    app,
    "transfer",
    examples="""
inventory stock transfer A-1=5 --from online --to store:S1
inventory stock transfer A-1=5 B-2=1 --from store:S1 --to store:S2 --reference van-3
""",
)
def transfer(
    session: Session,
    lines: Annotated[list[str], typer.Argument(metavar="LINE", help="SKU=QUANTITY.")],
    from_: Annotated[str, typer.Option("--from", metavar="LOCATION", help="Where they are.")],
    to: Annotated[str, typer.Option("--to", metavar="LOCATION", help="Where they go.")],
    reference: ReferenceOption = "",
    key: KeyOption = "",
) -> None:
    """Moves units from one location to another, all lines or none."""
    parts = quantities_of(lines)
    answer = session.change(
        key,
        lambda client, key: client.transfer_stock(
            parts, from_location=from_, to_location=to, reference=reference, idempotency_key=key
        ),
    )
    _show_change(session, answer)


@command(
    app,
    "watch",
    examples="""
inventory stock watch
inventory stock watch --sku A-1 --location online
inventory stock watch --output json --count 1
""",
)
def watch(
    session: Session,
    sku: SkusOption = None,
    location: LocationsOption = None,
    snapshot: SnapshotOption = False,
    cursor: CursorOption = "",
    count: CountOption = 0,
) -> None:
    """Shows every movement as it happens, until Ctrl-C.

    On a terminal the last movements stand in a table that moves; elsewhere
    each movement is a line. A lost connection is made again, and nothing is
    left out or told twice.
    """
    watch_movements(
        session,
        skus=sku or (),
        locations=location or (),
        snapshot=snapshot,
        cursor=cursor,
        count=count,
    )


def _reason(reason: Reason) -> ReasonName:
    return cast(ReasonName, reason.name)


def _show_change(session: Session, answer: Any, *, dry_run: bool = False) -> None:
    if session.is_json:
        session.write({**json_of(answer), "idempotency_key": session.key})
        return
    session.show(level_grid(answer.levels), "no stock levels")
    if dry_run:
        session.note("Nothing was changed: this is what would become of it.")
