"""Places in the streams of changes, and what the streams bring."""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.domain.model import Level, Movement


class Place(NamedTuple):
    """How far a partition has come; `kept_from` is the first seq that its streams still have,
    `copied` the last that is in the durable copy.
    """

    epoch: str
    seq: int
    store_id: str
    kept_from: int
    copied: int = 0


class Alert(NamedTuple):
    """A crossing. `kind` is LOW, OUT or RECOVERED; `level` is None where it was deleted."""

    partition: int
    seq: int
    kind: str
    time_ms: int
    location: str
    sku: str
    available_before: int
    available_after: int
    level: Level | None
    cause: str
    movement_id: str
    hold_id: str
    reference: str
    actor: str


Event = Alert | Movement


class Message(NamedTuple):
    """A message of a stream: an event, a level of the snapshot, its end, or a heartbeat."""

    cursor: str
    event: Event | None = None
    snapshot_level: Level | None = None
    is_snapshot_end: bool = False


class EventFilter(NamedTuple):
    """Which events a subscriber wants; what is empty lets all through."""

    locations: frozenset[str] = frozenset()
    skus: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def takes(self, event: Event) -> bool:
        """Whether this one is wanted."""
        return (
            (not self.locations or event.location in self.locations)
            and (not self.skus or event.sku in self.skus)
            and (not self.kinds or event.kind in self.kinds)
        )
