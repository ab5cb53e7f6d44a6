"""What a check of the store says, as immutable values."""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.domain.model import Level


class Discrepancy(NamedTuple):
    """Something that is not as it should be; `kind` is a DiscrepancyKind by its short name."""

    kind: str
    message: str
    sku: str = ""
    location: str = ""
    hold_id: str = ""
    unsettled: bool = False


class VerifyProgress(NamedTuple):
    """How far a check is."""

    keys: int
    total_keys: int
    movements: int


class VerifySummary(NamedTuple):
    """What a check came to."""

    levels: int
    holds: int
    movements: int
    discrepancies: int
    unsettled: int


class LevelHold(NamedTuple):
    """A level's open hold; `units` is None where the level's index is wrong about it."""

    hold_id: str
    deadline_ms: int
    units: int | None


class Repair(NamedTuple):
    """What a repair did, or would do."""

    before: Level
    after: Level
    repairs: tuple[str, ...]
    cursor: str
    replayed: bool
