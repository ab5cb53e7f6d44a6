"""The rules of alerts: what follows for a level from each of its movements, and from nothing else.

Read from design alone, as the rest of the model is: the alert state that is
stored with a level is never looked at here, only the one that these rules gave.
"""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.domain.model import Level
from inventory_server.stores.records import parse_level
from tests.proof.words import available


class By(NamedTuple):
    """Why there is a movement, when, and who made it."""

    cause: str
    """The kind of the movement."""
    time_ms: int
    actor: str = ""
    reference: str = ""
    hold_id: str = ""


class Alert(NamedTuple):
    """A crossing. The thresholds that were in force stand in the level, as it became; that
    is None where the level was deleted.
    """

    kind: str
    location: str
    sku: str
    before: int
    after: int
    level: Level | None
    by: By


def judged(level: Level) -> Level:
    """The level with the alert state that follows; so far it has that of before."""
    units, state = available(level), level.alert_state
    if units <= 0:
        state = "OUT"
    elif units > level.rearm_point:
        state = "OK"
    elif units <= level.reorder_point and state == "OK":
        state = "LOW"
    # Between the points it stays what it was: a level that trembles is silent.
    return level if state == level.alert_state else level._replace(alert_state=state)


def crossing(before: Level | None, after: Level | None, by: By) -> Alert | None:
    """The alert that a movement sends, if any; None is a level that is not there, of which
    nothing is available, and which is not low.
    """
    state, units = (before.alert_state, available(before)) if before else ("OK", 0)
    becomes, units_after = (after.alert_state, available(after)) if after else ("OK", 0)
    there = after or before
    if state == becomes or there is None:
        return None
    kind = "RECOVERED" if becomes == "OK" else becomes
    return Alert(kind, there.location, there.sku, units, units_after, after, by)


EVERY = frozenset({
    *((kind, cause) for kind in ("LOW", "OUT", "RECOVERED")
      for cause in ("SET", "ADJUST", "IMPORT", "POLICY", "TRANSFER_IN")),
    *((kind, cause) for kind in ("LOW", "OUT") for cause in ("HOLD", "SALE", "TRANSFER_OUT")),
    *((kind, "REHOLD") for kind in ("LOW", "OUT")),
    *(("RECOVERED", cause) for cause in ("RELEASE", "EXPIRE", "DELETE")),
})  # fmt: skip
"""Every kind with every cause that it can have. What takes units lets no level recover, and what
gives them back lets none become low, but one that TRANSFER_IN makes. A CONFIRM changes nothing
that is available. (REPAIR is no part of a story.)
"""


JUDGED_ANEW = frozenset(
    (kind, cause) for kind in ("LOW", "OUT") for cause in ("RELEASE", "EXPIRE", "CONFIRM")
)
"""What can follow where a level fell while its product was inactive, and nobody was told."""


def alert_of(entry: dict[str, str]) -> Alert:
    """An alert from an entry as Redis has it."""
    location, sku, level = entry["location"], entry["sku"], entry["level"]
    return Alert(
        entry["kind"], location, sku, int(entry["before"]), int(entry["after"]),
        parse_level(sku, location, level) if level else None,
        By(
            entry["cause"], int(entry["at_ms"]), entry["actor"], entry["reference"],
            entry["hold_id"],
        ),
    )  # fmt: skip
