"""A story: any order of calls at any time, and what has to be so after each."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from inventory_server.domain.errors import InventoryError
from inventory_server.domain.model import Line
from inventory_server.stores.keys import partition_of
from inventory_server.stores.records import parse_hold
from tests.fold import assert_journal_folds_to_state, stored_holds, stored_levels
from tests.proof.alerts import alert_of
from tests.proof.hold_story import has_holds
from tests.proof.telling import (
    JOURNALS,
    LOCATIONS,
    MAX_LIFE_MS,
    RETENTION_MS,
    SKUS,
    Way,
    moments,
    numbers,
    told,
)
from tests.proof.tremble_story import TrembleStory
from tests.proof.words import units_of
from tests.scripts.direct import PARTITIONS


class Story(TrembleStory):
    """The service and the model are told the same, and compared after every step.

    `alerts` counts the alerts that were sent, by kind and cause.
    """

    def __init__(self, db: redis.Redis, alerts: Counter[tuple[str, str]] | None = None) -> None:
        super().__init__(db)
        self.alerts = Counter() if alerts is None else alerts
        self.heard, self.last_ids = 0, dict.fromkeys(range(JOURNALS), "-")

    @rule(back=st.integers(1, 8))
    def call_again(self, back: int) -> None:
        """The same request with the same key, now."""
        key, call = self.told[-min(back, len(self.told))]
        self.tell(Way(key), call)

    @precondition(has_holds)
    @rule(nth=numbers, when=moments)
    def read_hold(self, nth: int, when: int | None) -> None:
        hold_id = self.nth_hold(nth)
        self.go_near(when, hold_id)
        try:
            found: Any = self.runner.run(self.on_holds.get(hold_id, self.deadline()))
        except InventoryError as error:
            found = told(error)
        assert found == self.model.get(hold_id, self.now)

    @rule(sku=st.sampled_from(SKUS), when=moments)
    def read_stock(self, sku: str, when: int | None) -> None:
        self.go_near(when)
        read = self.on_stock.batch_get([sku], LOCATIONS, self.deadline())
        found = self.runner.run(read)[sku]
        self.model.check([Line(sku, location, 1) for location in LOCATIONS], self.now)
        there = [self.model.levels.get((location, sku)) for location in LOCATIONS]
        assert found == tuple(level for level in there if level)

    @rule(ms=st.sampled_from([1, 999, 2_500]))
    def wait(self, ms: int) -> None:
        self.go_to(self.now + ms)

    @rule(nth=numbers, ms=st.sampled_from([None] * 6 + [-1, 0, "all"]))
    def sweep(self, nth: int, ms: int | str | None) -> None:
        """Expires what is due and removes what is over: now, or as the retention time of a
        hold ends, or when the time of all has come.
        """
        hold = self.model.holds.get(self.nth_hold(nth)) if has_holds(self) else None
        if ms == "all":
            self.go_to(self.now + MAX_LIFE_MS + RETENTION_MS)
        elif hold and hold.resolve_time_ms and isinstance(ms, int):
            self.go_to(hold.resolve_time_ms + RETENTION_MS + ms)
        assert self.runner.run(self.sweeper.sweep()) == self.model.sweep(self.now)
        for hold_id in set(self.model.holds) - set(stored_holds(self.db)):
            assert self.model.is_over(hold_id, self.now), "a hold was removed early"
            self.model.remove(hold_id)
            self.gone.append(hold_id)
        ended = [hold_id for hold_id, hold in self.model.holds.items() if hold.state != "HELD"]
        is_over = [self.model.is_over(hold_id, self.now) for hold_id in ended]
        assert not ended or not all(is_over), "a hold stays though its time is over"
        assert not (ms == "all" and self.model.holds), "a hold stays for ever"

    # After every step

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        levels = {
            (partition_of(location, PARTITIONS), location, sku): level._asdict()
            for (location, sku), level in self.model.levels.items()
        }
        found = stored_levels(self.db)
        assert {
            (n, location, sku): {"sku": sku, "location": location} | level
            for (n, location, sku), level in found.items()
        } == levels
        stored = stored_holds(self.db).items()
        holds = {id_: parse_hold(id_, record, state) for id_, (state, record) in stored}
        assert holds == self.model.holds

    @invariant()
    def held_is_what_open_holds_hold(self) -> None:
        for place, level in self.model.levels.items():
            open_units = [units_of(hold).get(place, 0) for hold in self.model.holds.values()]
            assert level.held == sum(open_units) >= 0

    @invariant()
    def the_journal_says_the_same(self) -> None:
        assert_journal_folds_to_state(self.db, JOURNALS)

    @invariant()
    def the_alerts_are_those_of_the_rules(self) -> None:
        """All that this step sent, those of a partition in their order."""
        wanted, found = defaultdict(list), {}
        for alert in self.model.alerts[self.heard :]:
            wanted[partition_of(alert.location, PARTITIONS)].append(alert)
            self.alerts[alert.kind, alert.by.cause] += 1
        for n, last_id in self.last_ids.items():
            if entries := self.db.xrange(f"inv:{{{n}}}:alerts", last_id):
                found[n] = [alert_of(entry) for _, entry in entries]
                self.last_ids[n] = f"({entries[-1][0]}"
        self.heard = len(self.model.alerts)
        assert found == wanted
