"""Imports: chunks of rows, good ones together, bad ones reported."""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.limits import MAX_QUANTITY
from inventory_server.domain.model import ImportResult, ImportRow, Line, Origin, Policy, RowRefusal
from inventory_server.domain.rules import (
    LOCATION_FORM,
    SKU_FORM,
    is_location,
    is_sku,
    last_lines,
    sum_lines,
)
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.stock_store import ImportRefusal, LineRefusal, StockStore

_SENTENCES = {
    "rearm_below_reorder": (
        "REARM_BELOW_REORDER",
        "rearm point {requested} is below the reorder point, {fact}",
    ),
    "below_held": ("BELOW_HELD", "count {requested} is below what is held, {fact}"),
    "total_too_large": ("TOTAL_TOO_LARGE", "{requested} more than {fact} is too large"),
}


class ImportOperations:
    """Takes in chunks of an import."""

    def __init__(self, stock: StockStore, expiry: Expiry) -> None:
        self._stock = stock
        self._expiry = expiry

    async def take_chunk(
        self, rows: Sequence[ImportRow], *, mode: str, reference: str, origin: Origin
    ) -> ImportResult:
        """Takes in the good rows together; `mode` is SET or ADD."""
        first_row, next_row = rows[0].row_number, rows[-1].row_number + 1
        refused = [refusal for row in rows if (refusal := _judge(row))]
        bad = {refusal.row_number for refusal in refused}
        good = [row for row in rows if row.row_number not in bad] if bad else rows
        given = [Line(row.sku, row.location, row.quantity) for row in good]
        lines = last_lines(given) if mode == "SET" else sum_lines(given)
        print_ = fingerprint(
            "ImportStock", mode, reference,
            *[
                f"{row.sku!r} {row.location!r} {row.quantity} {row.policy.packed}" for row in rows
            ],
        )  # fmt: skip
        # Of several rows of a level, the last one that says something of its policy counts.
        policies = {(row.sku, row.location): row.policy for row in good if row.policy != Policy()}
        try:
            refusals, cursor, replayed = await self._expiry.settled(
                lambda: self._stock.import_lines(
                    lines,
                    [policies.get((line.sku, line.location), Policy()) for line in lines],
                    mode=mode,
                    rows=(first_row, next_row),
                    reference=reference,
                    fingerprint=print_,
                    origin=origin,
                ),
                origin.deadline,
            )
        except ImportRefusal as refusal:
            sentence = f"{refusal}, under this idempotency key; resume from {refusal.next_row}"
            raise InvalidRequest(("first_row", sentence)) from refusal
        refused += _rows_of(refusals, lines, good)
        refused.sort(key=lambda refusal: refusal.row_number)
        return ImportResult(
            first_row, len(rows) - len(refused), tuple(refused), next_row, cursor, replayed
        )


def _judge(row: ImportRow) -> RowRefusal | None:
    if not is_sku(row.sku):
        return RowRefusal(row.row_number, "sku", "INVALID_REQUEST", f"a SKU is {SKU_FORM}")
    if not is_location(row.location):
        sentence = f"a location is {LOCATION_FORM}"
        return RowRefusal(row.row_number, "location", "INVALID_REQUEST", sentence)
    if not 0 <= row.quantity <= MAX_QUANTITY:
        sentence = f"a quantity is 0 to {MAX_QUANTITY}, not {row.quantity}"
        return RowRefusal(row.row_number, "quantity", "INVALID_REQUEST", sentence)
    for name, value in zip(row.policy._fields, row.policy, strict=True):
        if value is not None and not 0 <= value <= MAX_QUANTITY:
            sentence = f"0 to {MAX_QUANTITY}, not {value}"
            return RowRefusal(row.row_number, name, "INVALID_REQUEST", sentence)
    return None


def _rows_of(
    refusals: Sequence[LineRefusal], lines: Sequence[Line], rows: Sequence[ImportRow]
) -> list[RowRefusal]:
    """Every row of a refused line: what several rows came to did not go in."""
    refused = []
    by_level = {(lines[r.number - 1].sku, lines[r.number - 1].location): r for r in refusals}
    for row in rows if refusals else ():
        refusal = by_level.get((row.sku, row.location))
        if refusal:
            reason, sentence = _SENTENCES[refusal.status]
            text = sentence.format(requested=refusal.requested, fact=refusal.fact)
            field = "rearm_point" if reason == "REARM_BELOW_REORDER" else "quantity"
            refused.append(RowRefusal(row.row_number, field, reason, text))
    return refused
