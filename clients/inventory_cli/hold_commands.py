"""`inventory hold`: commands on holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, cast

import typer
from inventory.v1.hold_service_pb2 import Hold, LineShortage
from inventory_client.words import StateName, datetime_of

from inventory_cli.choices import State, choice
from inventory_cli.command import DEFAULT_LIMIT, KeyOption, LimitOption, command
from inventory_cli.errors import UsageError
from inventory_cli.json_form import json_of, word_of
from inventory_cli.lines import DEFAULT_LOCATION, LINE_HELP, level_of, lines_of
from inventory_cli.session import Session, page_size_of
from inventory_cli.spans import seconds_of, span_text
from inventory_cli.tables import Cell, Column, Grid, local_text, plain_text, show_facts

app = typer.Typer(no_args_is_help=True)

HoldArgument = Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")]
PartsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="LINE", help="Only so much: SKU[@LOCATION]=QUANTITY."),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the id alone; not with --output json.")
]

LINE_COLUMNS = (
    Column("SKU"),
    Column("Location"),
    Column("Quantity", "number"),
    Column("Held", "number"),
    *(Column(name, "number", spared=1) for name in ("Confirmed", "Released", "Expired")),
)
HOLD_COLUMNS = (
    Column("Hold"),
    Column("State", "word"),
    Column("Lines", "number"),
    Column("Units", "number"),
    Column("Expires"),
    Column("Reference", spared=1),
    Column("Actor", spared=2),
)


@app.callback()
def hold() -> None:
    """Holds: units kept for a while, and then sold or given back."""


@command(
    app,
    "place",
    examples="""
inventory hold place A-1=2
inventory hold place A-1=2 B-2@store:S1=1 --ttl 10m --reference order-17
hold=$(inventory hold place A-1=2 --quiet)
""",
)
def place(
    session: Session,
    lines: Annotated[list[str], typer.Argument(metavar="LINE", help=LINE_HELP)],
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="How long, as 90s or 10m; else 5m.")
    ] = "",
    reference: Annotated[
        str, typer.Option(help="An order or a cart that it belongs to.", show_default=False)
    ] = "",
    note: Annotated[
        str, typer.Option(help="Words that are kept with it.", show_default=False)
    ] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="Hold what there is, where not all is there.")
    ] = False,
    quiet: QuietOption = False,
    key: KeyOption = "",
) -> None:
    """Holds units: every line, or nothing."""
    parts, seconds = lines_of(lines), seconds_of(ttl, "--ttl") if ttl else None
    answer = session.change(
        key,
        lambda client, key: client.place_hold(
            parts, ttl=seconds, reference=reference, note=note, allow_partial=partial,
            idempotency_key=key,
        ),
    )  # fmt: skip
    _show_change(session, answer, quiet=quiet, shortages=answer.shortages)


@command(app, "get", examples="inventory hold get 3-2gizxps6n7gyscqaxr4y")
def get(session: Session, hold_id: HoldArgument) -> None:
    """Shows a hold, open or ended."""
    found = session.client.get_hold(hold_id)
    if session.is_json:
        session.write(json_of(found))
    else:
        _show_hold(session, found)


@command(
    app,
    "list",
    examples="""
inventory hold list --reference order-17
inventory hold list A-1@store:S1
inventory hold list A-1 --by agent-7 --output json
""",
)
def list_(
    session: Session,
    level: Annotated[
        str,
        typer.Argument(
            metavar="SKU[@LOCATION]", help="A level: its open holds.", show_default=False
        ),
    ] = "",
    reference: Annotated[
        str, typer.Option(help="Those of a reference, ended ones too.", show_default=False)
    ] = "",
    state: Annotated[State | None, choice("--state", help="Only holds in this state.")] = None,
    by: Annotated[
        str, typer.Option(metavar="ACTOR", help="Only holds of this actor.", show_default=False)
    ] = "",
    limit: LimitOption = DEFAULT_LIMIT,
    quiet: QuietOption = False,
) -> None:
    """Lists the holds of a level, soonest deadline first, or those of a reference."""
    if bool(level) == bool(reference):
        raise UsageError("say whose holds: a level as A-1@store:S1, or --reference")
    sku, location = level_of(level) if level else ("", "")
    holds = session.client.list_holds(
        reference=reference,
        sku=sku,
        location=(location or DEFAULT_LOCATION) if sku else "",
        state=cast(StateName, state.name) if state else None,
        actor=by,
        page_size=page_size_of(limit),
    )
    if quiet and not session.is_json:
        for one in islice(holds, limit or None):
            session.results.print(one.hold_id)
    else:
        session.show_list("holds", holds, limit, hold_grid)


@command(
    app,
    "confirm",
    examples="""
inventory hold confirm 3-2gizxps6n7gyscqaxr4y
inventory hold confirm 3-2gizxps6n7gyscqaxr4y A-1=1 --keep-rest
inventory hold confirm 3-2gizxps6n7gyscqaxr4y --rehold
""",
)
def confirm(
    session: Session,
    hold_id: HoldArgument,
    lines: PartsArgument = None,
    keep_rest: Annotated[
        bool, typer.Option("--keep-rest", help="Keep held what is not sold; else it goes back.")
    ] = False,
    rehold: Annotated[
        bool,
        typer.Option("--rehold", help="Of an expired one: take its units again, if all are there."),
    ] = False,
    key: KeyOption = "",
) -> None:
    """Sells what is held, or so much of it as the lines say."""
    parts = lines_of(lines or ())
    answer = session.change(
        key,
        lambda client, key: client.confirm_hold(
            hold_id, lines=parts, keep_rest=keep_rest, rehold_if_expired=rehold,
            idempotency_key=key,
        ),
    )  # fmt: skip
    _show_change(session, answer)


@command(
    app,
    "release",
    examples="""
inventory hold release 3-2gizxps6n7gyscqaxr4y
inventory hold release 3-2gizxps6n7gyscqaxr4y A-1=1
""",
)
def release(
    session: Session,
    hold_id: HoldArgument,
    lines: PartsArgument = None,
    key: KeyOption = "",
) -> None:
    """Gives back what is held, or so much of it as the lines say."""
    parts = lines_of(lines or ())
    answer = session.change(
        key,
        lambda client, key: client.release_hold(hold_id, lines=parts, idempotency_key=key),
    )
    _show_change(session, answer)


@command(app, "extend", examples="inventory hold extend 3-2gizxps6n7gyscqaxr4y --ttl 10m")
def extend(
    session: Session,
    hold_id: HoldArgument,
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long from now, as 90s or 10m.")],
    key: KeyOption = "",
) -> None:
    """Moves a hold's deadline to so long from now; never to an earlier time."""
    seconds = seconds_of(ttl, "--ttl")
    answer = session.change(
        key,
        lambda client, key: client.extend_hold(hold_id, ttl=seconds, idempotency_key=key),
    )
    _show_change(session, answer)


def hold_grid(holds: Sequence[Hold]) -> Grid:
    """A table with a row a hold."""
    return Grid(HOLD_COLUMNS, [_hold_row(one) for one in holds])


def _hold_row(one: Hold) -> list[Cell]:
    return [
        one.hold_id,
        word_of(one, "state"),
        len(one.lines),
        sum(line.quantity for line in one.lines),
        datetime_of(one.expire_time),
        one.reference,
        one.actor,
    ]


def _show_change(
    session: Session, answer: Any, *, quiet: bool = False, shortages: Sequence[LineShortage] = ()
) -> None:
    if session.is_json:
        session.write({**json_of(answer), "idempotency_key": session.key})
    elif quiet:
        session.results.print(answer.hold.hold_id)
    else:
        _show_hold(session, answer.hold)
    for line in shortages:
        session.note(
            f"{line.sku}@{line.location}: {line.held} of {line.requested} held,"
            f" {line.shortage} short"
        )


def _show_hold(session: Session, one: Hold) -> None:
    lines: list[Sequence[Cell]] = [
        [
            *(line.sku, line.location, line.quantity),
            *(line.held, line.confirmed, line.released, line.expired),
        ]
        for line in one.lines
    ]
    ended = datetime_of(one.resolve_time) if one.HasField("resolve_time") else None
    show_facts(
        session.results,
        [
            ("Hold", one.hold_id),
            ("State", word_of(one, "state")),
            ("Expires", _expiry(session, one)),
            ("Ended", ended),
            ("Reference", one.reference),
            ("Note", one.note),
            ("Actor", one.actor),
        ],
    )
    Grid(LINE_COLUMNS, lines).show(session.results)


def _expiry(session: Session, one: Hold) -> str:
    at = datetime_of(one.expire_time)
    if not session.results.is_terminal:
        return plain_text(at)
    left_s = (at - datetime.now(UTC)).total_seconds()
    is_open = word_of(one, "state") == "HELD"
    return local_text(at) + (f" (in {span_text(left_s)})" if is_open and left_s > 0 else "")
