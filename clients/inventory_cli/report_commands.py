"""`inventory check`, `summary` and `movements`: what can be sold, what there is, what happened."""

from __future__ import annotations

from typing import Annotated

import typer
from inventory.v1.availability_service_pb2 import LineAvailability
from inventory.v1.catalog_service_pb2 import GetInventorySummaryResponse
from inventory_client.words import datetime_of

from inventory_cli.command import DEFAULT_LIMIT, LimitOption, command
from inventory_cli.errors import ExitStatus, UsageError
from inventory_cli.json_form import json_of
from inventory_cli.lines import DEFAULT_LOCATION, LINE_HELP, level_of, lines_of
from inventory_cli.money import money_text
from inventory_cli.movement_grid import movement_grid
from inventory_cli.session import Session, page_size_of
from inventory_cli.spans import instant_of
from inventory_cli.tables import Cell, Column, Grid, show_facts

CHECK_COLUMNS = (
    Column("SKU"),
    Column("Location"),
    Column("Requested", "number"),
    Column("Available", "number", spared=2),
    Column("Sellable", "number", spared=1),
    Column("Short", "number"),
    Column("Can be held", "word"),
    Column("Why not"),
)
CHECK_EXAMPLES = """
inventory check A-1=2
inventory check A-1=2 B-2@store:S1=1 && echo all there
"""
SUMMARY_EXAMPLES = """
inventory summary
inventory summary --location online --output json
"""
MOVEMENTS_EXAMPLES = """
inventory movements --limit 20
inventory movements A-1@store:S1
inventory movements --reference order-17 --since 2h
"""


def add_to(app: typer.Typer) -> None:
    """Makes them commands of this group."""
    command(app, "check", examples=CHECK_EXAMPLES)(check)
    command(app, "summary", examples=SUMMARY_EXAMPLES)(summary)
    command(app, "movements", examples=MOVEMENTS_EXAMPLES)(movements)


def check(
    session: Session,
    lines: Annotated[list[str], typer.Argument(metavar="LINE", help=LINE_HELP)],
) -> ExitStatus:
    """Says whether a basket could be held now.

    It holds nothing.

    Exit status 0 where all of it could be, 1 where not.
    """
    answer = session.client.check_availability(lines_of(lines))
    if session.is_json:
        session.write(json_of(answer))
    else:
        session.show(Grid(CHECK_COLUMNS, [_check_row(one) for one in answer.lines]), "no lines")
    return ExitStatus.DONE if answer.available else ExitStatus.REFUSED


def summary(
    session: Session,
    location: Annotated[
        str, typer.Option(metavar="LOCATION", help="Only here.", show_default=False)
    ] = "",
) -> None:
    """Sums up products, levels, units and value."""
    answer = session.client.get_inventory_summary(location=location)
    if session.is_json:
        session.write(json_of(answer))
    else:
        show_facts(session.results, _summary_facts(session, answer))


def movements(
    session: Session,
    level: Annotated[
        str, typer.Argument(metavar="SKU[@LOCATION]", help="Only of a level.", show_default=False)
    ] = "",
    location: Annotated[
        str, typer.Option(metavar="LOCATION", help="Only here.", show_default=False)
    ] = "",
    hold: Annotated[
        str, typer.Option(metavar="HOLD", help="Only of this hold.", show_default=False)
    ] = "",
    reference: Annotated[str, typer.Option(help="Only with this one.", show_default=False)] = "",
    by: Annotated[
        str, typer.Option(metavar="ACTOR", help="Only by this actor.", show_default=False)
    ] = "",
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Only from then on: a time, or how long ago, as 2h."),
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Only before then.")] = "",
    limit: LimitOption = DEFAULT_LIMIT,
) -> None:
    """Lists the changes of stock, newest first.

    They are told as long as the server keeps them, a day by default.
    """
    sku, at = level_of(level) if level else ("", "")
    if at and location:
        raise UsageError("the location stands in the level already: leave out --location")
    if sku and not (at or location):
        location = DEFAULT_LOCATION
    found = session.client.list_movements(
        sku=sku,
        location=at or location,
        hold_id=hold,
        reference=reference,
        actor=by,
        from_time=instant_of(since, "--since") if since else None,
        to_time=instant_of(until, "--until") if until else None,
        page_size=page_size_of(limit),
    )
    session.show_list("movements", found, limit, movement_grid)


def _check_row(one: LineAvailability) -> list[Cell]:
    why_not = ""
    if not one.found:
        why_not = "no such level"
    elif not one.active:
        why_not = "inactive"
    elif one.shortage:
        why_not = "not enough stock"
    numbers = [one.requested, one.available, one.sellable, one.shortage]
    return [one.sku, one.location, *numbers, "no" if why_not else "yes", why_not]


def _summary_facts(session: Session, answer: GetInventorySummaryResponse) -> list[tuple[str, Cell]]:
    is_grouped = session.results.is_terminal
    values = [
        money_text(value.value_minor, value.currency, grouped=is_grouped) for value in answer.values
    ]
    return [
        ("Products", answer.products),
        ("Active products", answer.active_products),
        ("Levels", answer.levels),
        ("Low", answer.low_levels),
        ("Out", answer.out_levels),
        ("On hand", answer.on_hand),
        ("Held", answer.held),
        ("Value", ", ".join(values)),
        ("Levels without a price", answer.unpriced_levels),
        ("As of", datetime_of(answer.end_time)),
    ]
