"""The things that the service speaks of, as immutable values."""

from __future__ import annotations

from collections.abc import Sequence
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


ITEM_MARK = "\0"
"""Stands between a call's key and the place of an item of its batch; in no caller's key."""


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

    def of_item(self, number: int, key: str) -> Origin:
        """The origin of an item of this call's batch: under its own key, or this call's."""
        is_minted = self.key_is_minted and not key
        key = key or f"{self.key}{ITEM_MARK}{number}"
        return Origin(self.caller, self.actor, key, is_minted, self.deadline)

    def until(self, deadline: float) -> Origin:
        """The same with another deadline."""
        return Origin(self.caller, self.actor, self.key, self.key_is_minted, deadline)


class Change(NamedTuple):
    """What a mutation answers: the levels as they became, and its place."""

    levels: tuple[Level, ...]
    cursor: str
    replayed: bool


class Movement(NamedTuple):
    """One change, as the journal has it. `level` is None where only the hold changed, or
    where the level was deleted; `actor` is empty for an anonymous one.
    """

    partition: int
    seq: int
    movement_id: str
    kind: str
    time_ms: int
    actor: str
    reason: str
    note: str
    reference: str
    location: str
    sku: str
    on_hand_delta: int
    held_delta: int
    level: Level | None
    hold_id: str


class MovementFilter(NamedTuple):
    """Which movements are wanted; what is empty or None lets all through."""

    location: str = ""
    sku: str = ""
    hold_id: str = ""
    reference: str = ""
    actor: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def takes(self, movement: Movement) -> bool:
        """Whether this one is wanted; its time is not looked at."""
        return (
            self.location in ("", movement.location)
            and self.sku in ("", movement.sku)
            and self.hold_id in ("", movement.hold_id)
            and self.reference in ("", movement.reference)
            and self.actor in (None, movement.actor)
        )


class Policy(NamedTuple):
    """A policy to set; None leaves what is there."""

    reorder_point: int | None = None
    rearm_point: int | None = None
    safety_stock: int | None = None
    backorder_limit: int | None = None

    @property
    def packed(self) -> str:
        """`reorder:rearm:safety:backorder`, each a number or nothing."""
        return ":".join(["" if value is None else str(value) for value in self])


class PolicyLine(NamedTuple):
    """The policy of a level; of a location's default where there is no SKU."""

    sku: str
    location: str
    policy: Policy


class PlaceRequest(NamedTuple):
    """What PlaceHold is asked; `ttl_ms` None means the default."""

    lines: Sequence[Line]
    ttl_ms: int | None = None
    reference: str = ""
    note: str = ""
    allow_partial: bool = False


class ConfirmRequest(NamedTuple):
    """What ConfirmHold is asked; no lines means all that is held."""

    hold_id: str
    lines: Sequence[Line] = ()
    keep_rest: bool = False
    rehold_if_expired: bool = False


class ReleaseRequest(NamedTuple):
    """What ReleaseHold is asked; no lines means all that is held."""

    hold_id: str
    lines: Sequence[Line] = ()


class Shortage(NamedTuple):
    """A level that gave a hold less than was asked of it."""

    sku: str
    location: str
    requested: int
    held: int


class HoldChange(NamedTuple):
    """The same for a verb on a hold; `reheld`: it had expired and was taken again."""

    hold: Hold
    levels: tuple[Level, ...]
    cursor: str
    replayed: bool
    reheld: bool = False
    shortages: tuple[Shortage, ...] = ()


class LineAvailability(NamedTuple):
    """How one level of a basket stands; `level` is None where there is none.

    `active`: whether the SKU's product is, or there is no product.
    """

    sku: str
    location: str
    requested: int
    level: Level | None
    earliest_expire_time_ms: int | None
    active: bool = True

    @property
    def sellable(self) -> int:
        """Units that a hold may take now; 0 without a level."""
        return self.level.sellable if self.level else 0

    @property
    def shortage(self) -> int:
        """Units asked for that cannot be sold."""
        return max(0, self.requested - self.sellable)

    @property
    def is_available(self) -> bool:
        """Whether a hold could take all that is asked for."""
        return self.level is not None and self.active and not self.shortage


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
    policy: Policy = Policy()


class ImportResult(NamedTuple):
    """What became of a chunk."""

    first_row: int
    accepted_rows: int
    refused_rows: tuple[RowRefusal, ...]
    next_row: int
    cursor: str
    replayed: bool
