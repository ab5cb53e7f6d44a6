"""The things that the service speaks of, as immutable values."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """A quantity (or a count, or a delta) of one SKU at one location."""

    sku: str
    location: str
    quantity: int


class CountLine(NamedTuple):
    """A count to set, and the count that is expected to be there (None: any)."""

    sku: str
    location: str
    on_hand: int
    expected_on_hand: int | None


class Level(NamedTuple):
    """The counts of one SKU at one location, at one instant."""

    sku: str
    location: str
    on_hand: int
    held: int
    version: int
    safety_stock: int = 0
    backorder_limit: int = 0
    reorder_point: int = 0
    rearm_point: int = 0
    alert_state: str = "OK"

    @property
    def available(self) -> int:
        """Units not held and not kept back; may be negative."""
        return self.on_hand - self.held - self.safety_stock

    @property
    def sellable(self) -> int:
        """Units that a hold may take now."""
        return self.standing()[1]

    @property
    def status(self) -> str:
        """OUT, LOW or OK."""
        return self.standing()[2]

    def standing(self) -> tuple[int, int, str]:
        """available, sellable and status, of one look."""
        available = self.on_hand - self.held - self.safety_stock
        sellable = available + self.backorder_limit
        if available <= 0:
            return available, sellable if sellable > 0 else 0, "OUT"
        return available, sellable, "LOW" if available <= self.reorder_point else "OK"


class HoldLine(NamedTuple):
    """One level's part of a hold; quantity = held + confirmed + released + expired."""

    sku: str
    location: str
    quantity: int
    held: int
    confirmed: int
    released: int
    expired: int


class Hold(NamedTuple):
    """A hold as it is, or was at some time. Times are in ms since the epoch."""

    hold_id: str
    state: str
    lines: tuple[HoldLine, ...]
    create_time_ms: int
    expire_time_ms: int
    resolve_time_ms: int | None
    reference: str
    note: str
    actor: str


class Origin:
    """Who asks, under which idempotency key, and until when an answer is of use.

    `caller` scopes keys; `actor` goes into movements. `deadline` is in the
    event loop's time, in seconds.
    """

    __slots__ = ("actor", "caller", "deadline", "key", "key_is_minted")

    def __init__(
        self, caller: str, actor: str, key: str, key_is_minted: bool, deadline: float
    ) -> None:
        self.caller = caller
        self.actor = actor
        self.key = key
        self.key_is_minted = key_is_minted
        self.deadline = deadline

    def until(self, deadline: float) -> Origin:
        """The same with another deadline."""
        return Origin(self.caller, self.actor, self.key, self.key_is_minted, deadline)


class Change(NamedTuple):
    """What a mutation answers: the levels as they became, and its place."""

    levels: tuple[Level, ...]
    cursor: str
    replayed: bool


class HoldChange(NamedTuple):
    """The same for a verb on a hold."""

    hold: Hold
    levels: tuple[Level, ...]
    cursor: str
    replayed: bool


class LineAvailability(NamedTuple):
    """How one level of a basket stands; `level` is None where there is none."""

    sku: str
    location: str
    requested: int
    level: Level | None
    earliest_expire_time_ms: int | None

    @property
    def sellable(self) -> int:
        """Units that a hold may take now; 0 without a level."""
        return self.level.sellable if self.level else 0

    @property
    def shortage(self) -> int:
        """Units asked for that cannot be sold."""
        return max(0, self.requested - self.sellable)


class RowRefusal(NamedTuple):
    """A row of an import that stayed out. `reason` is an error reason by name."""

    row_number: int
    field: str
    reason: str
    message: str


class ImportRow(NamedTuple):
    """A row of an import, with its number in the caller's counting."""

    row_number: int
    sku: str
    location: str
    quantity: int


class ImportResult(NamedTuple):
    """What became of a chunk."""

    first_row: int
    accepted_rows: int
    refused_rows: tuple[RowRefusal, ...]
    next_row: int
    cursor: str
    replayed: bool
