"""The rules of the service as a small model: what each verb does, or why it is refused.

It is written from the rules alone and shares no code with the scripts, so that
the two can disagree. It has no clock and no I/O: each verb is told the time in
ms and the key of its call, and answers an Answer or a Refusal. What is refused
leaves no trace, but for holds that were due: those have expired by then.

It forgets no key before its hold is removed. The service forgets those of stock
by its own clock, and remembers the last 32 verbs of a hold.
"""

from __future__ import annotations

from collections.abc import Iterable

from inventory_server.domain.model import Level, Line
from tests.proof.hold_verbs import HoldVerbs
from tests.proof.stock_verbs import StockVerbs
from tests.proof.words import Place, sum_up, units_of


class Model(HoldVerbs, StockVerbs):
    """The service. Levels and holds are open to look at."""

    def check(
        self, lines: Iterable[Line], now_ms: int
    ) -> dict[Place, tuple[Level | None, int | None, int]]:
        """Each level, its holds' earliest deadline, and what is short for a basket. What is
        due on these levels expires first, a level after the other as they are named.
        """
        lines = list(lines)
        asked = sum_up(lines)
        for place in dict.fromkeys([(line.location, line.sku) for line in lines]):
            self.expire_level(place, now_ms)
        verdict = {}
        for place, units in asked.items():
            level = self.levels.get(place)
            times = [hold.expire_time_ms for hold in self.holds.values() if place in units_of(hold)]
            lack = units - max(0, self._room(place)) if level else units
            verdict[place] = (level, min(times, default=None), max(0, lack))
        return verdict
