"""What all errors that callers see have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from inventory_server.domain.model import ITEM_MARK


def iso_time(time_ms: int) -> str:
    """The time in ISO 8601, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_facts(key: str) -> dict[str, str]:
    """The key as its caller knows it: an item of a batch may have added its place."""
    return {"idempotency_key": key.partition(ITEM_MARK)[0]}


class InventoryError(Exception):
    """An error with a reason of the API. `facts` holds every value it names."""

    reason: ClassVar[str]

    def __init__(self, message: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = dict(facts or {})
