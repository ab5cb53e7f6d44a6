"""The books of the model: levels and holds, and the steps that every verb is made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from inventory_server.domain.model import Hold, Level
from tests.proof.alerts import Alert, By, crossing, judged
from tests.proof.words import (
    Answer,
    Lines,
    Place,
    Refusal,
    Result,
    Units,
    available,
    is_due,
    part,
    units_of,
)

NO_POLICY = {"safety_stock": 0, "backorder_limit": 0, "reorder_point": 0, "rearm_point": 0}
CAUSES = {"confirmed": "CONFIRM", "released": "RELEASE", "expired": "EXPIRE"}


def policy_of(level: Level) -> dict[str, int]:
    """The policy of a level by its names."""
    return {name: getattr(level, name) for name in NO_POLICY}


class Books:
    """Levels, holds and alerts, open to look at. `partition_of` is of a location; keys count in
    one.
    """

    def __init__(
        self, *, partition_of: Callable[[str], Hashable] = str, default_ttl_ms: int = 300_000,
        max_hold_life_ms: int = 86_400_000, retention_ms: int = 86_400_000,
    ) -> None:  # fmt: skip
        self.levels: dict[Place, Level] = {}
        self.holds: dict[str, Hold] = {}
        self.alerts: list[Alert] = []
        """All that were sent, in the order in which they came of the calls."""
        self.defaults: dict[str, dict[str, int]] = {}
        """The policies that levels are made with, by location."""
        self.versions: dict[Place, int] = {}
        self.inactive: set[str] = set()
        """The SKUs of inactive products."""
        self._answers: dict[Hashable, tuple[Hashable, Answer]] = {}
        self._ends: dict[str, tuple[str, Sequence[object], Answer]] = {}
        self._partition_of, self._default_ttl_ms = partition_of, default_ttl_ms
        self._max_life_ms, self._retention_ms = max_hold_life_ms, retention_ms

    def expire(self, hold: Hold, now_ms: int) -> Answer:
        """Takes all that a hold holds back: it ends as of its deadline, the units come now."""
        by = self._on(hold, now_ms, "sweeper")
        return self._end(hold, hold.expire_time_ms, by, expired=units_of(hold))

    def expire_level(self, place: Place, now_ms: int) -> int:
        """Expires every hold that is due on the level; answers how many."""
        on_level = [hold for hold in self.holds.values() if place in units_of(hold)]
        return self._expire_all(on_level, now_ms)

    def _expire_all(self, holds: Iterable[Hold], now_ms: int) -> int:
        """Expires those that are due, the soonest deadline first."""
        due = [hold for hold in holds if is_due(hold, now_ms)]
        due.sort(key=lambda hold: (hold.expire_time_ms, hold.hold_id))
        return len([self.expire(hold, now_ms) for hold in due])

    @staticmethod
    def _on(hold: Hold, now_ms: int, actor: str) -> By:
        """What is common to the movements of a verb on a hold."""
        return By("", now_ms, actor, hold.reference, hold.hold_id)

    def _move(
        self, place: Place, by: By, on_hand: int = 0, held: int = 0, first_version: int = 0,
        **policy: int,
    ) -> Level:  # fmt: skip
        """One movement: counts or thresholds change, the version rises, the alert state
        follows; makes a level that is missing.
        """
        before = self.levels.get(place)
        old = before or self._blank(place, first_version)
        level = judged(old._replace(
            on_hand=old.on_hand + on_hand, held=old.held + held, version=old.version + 1, **policy
        ))  # fmt: skip
        if place[1] in self.inactive and level.alert_state != "OK":
            # Nobody is told that an inactive product runs out: the state stays what it was.
            level = level._replace(alert_state=old.alert_state)
        self.levels[place], self.versions[place] = level, level.version
        self._tell(crossing(before, level, by))
        return level

    def _blank(self, place: Place, first_version: int) -> Level:
        """A level that is about to be made, with its location's default policy."""
        last = self.versions.get(place, 0)
        is_new = not first_version or first_version > last
        assert is_new, f"a version of {place} was given twice: {first_version}"
        level = Level(place[1], place[0], 0, 0, (first_version or last + 1) - 1)
        return level._replace(**self.defaults.get(place[0], NO_POLICY))

    def _drop(self, place: Place, by: By) -> Level:
        """A level's last movement: it was empty, and is no more."""
        before = self.levels.pop(place)
        self.versions[place] = before.version + 1
        self._tell(crossing(before, None, by))
        return before._replace(version=before.version + 1)

    def _tell(self, alert: Alert | None) -> None:
        if alert:
            self.alerts.append(alert)

    def _change(
        self, deltas: Units, by: By, validate_only: bool = False,
        first_versions: Units | None = None,
    ) -> Answer:  # fmt: skip
        """A movement of on_hand for each level, or what it would be."""
        if validate_only:
            before = dict(self.levels), dict(self.versions), list(self.alerts)
        firsts = first_versions or {}
        levels = [self._move(p, by, n, first_version=firsts.get(p, 0)) for p, n in deltas.items()]
        if validate_only:
            self.levels, self.versions, self.alerts = before
        return Answer(tuple(levels))

    def _end(self, hold: Hold, at_ms: int, by: By, **ways: Units) -> Answer:
        """Units of a hold go their ways: each way is a movement of its own."""
        moved = {}
        for place in units_of(hold):
            for way, units in ways.items():
                if n := units.get(place, 0):
                    sold = n if way == "confirmed" else 0
                    cause = by._replace(cause=CAUSES[way])
                    moved[place] = self._move(place, cause, on_hand=-sold, held=-n)
        self.holds[hold.hold_id] = part(hold, at_ms, **ways)
        return Answer(tuple(moved.values()), self.holds[hold.hold_id])

    def _room(self, place: Place, with_backorder: bool = True) -> int:
        """How far available is above the lowest that it may be."""
        level = self.levels.get(place, Level(place[1], place[0], 0, 0, 0))
        return available(level) + (level.backorder_limit if with_backorder else 0)

    def _inactive(self, places: Iterable[Place]) -> Refusal | None:
        lines = tuple([place for place in places if place[1] in self.inactive])
        return Refusal("PRODUCT_INACTIVE", lines) if lines else None

    def _exceeds(self, asked: Units, held: Units) -> Refusal | None:
        lines = tuple([(*p, n, held.get(p, 0)) for p, n in asked.items() if n > held.get(p, 0)])
        return Refusal("QUANTITY_EXCEEDS_HELD", lines) if lines else None

    def _short(self, asked: Units, now_ms: int, with_backorder: bool = True) -> Lines:
        """The lines that want more than there is room for."""

        def lacks(place: Place) -> tuple[int, ...] | None:
            room = self._room(place, with_backorder)
            facts = (asked[place], self._room(place, with_backorder=False), max(0, room))
            return facts if asked[place] > room else None

        return self._settled(asked, lacks, now_ms)

    def _below_held(self, counts: Units, now_ms: int) -> Refusal | None:
        def below(place: Place) -> tuple[int, ...] | None:
            held = self.levels[place].held if place in self.levels else 0
            return (counts[place], held) if counts[place] < held else None

        lines = self._settled(counts, below, now_ms)
        return Refusal("BELOW_HELD", lines) if lines else None

    def _settled(
        self, places: Iterable[Place], breaks: Callable[[Place], tuple[int, ...] | None],
        now_ms: int,
    ) -> Lines:  # fmt: skip
        """The lines that break a rule, once no due hold stands in their way. A verb that
        goes through leaves holds that are due to others.
        """
        while True:
            lines = {place: facts for place in places if (facts := breaks(place))}
            if not sum([self.expire_level(place, now_ms) for place in lines]):
                return tuple([(*place, *facts) for place, facts in lines.items()])

    def _once(
        self, method: str, key: Hashable, places: Units, content: object,
        act: Callable[[], Result], needs: Iterable[Place] = (), is_kept: bool = True,
    ) -> Result:  # fmt: skip
        """Acts once a key, where the levels that it needs are there; keys count a method,
        and in the partition of the first line.
        """

        def act_if_found() -> Result:
            missing = tuple([place for place in needs if place not in self.levels])
            return Refusal("STOCK_LEVEL_NOT_FOUND", missing) if missing else act()

        name = (method, self._partition_of(min(places)[0]), key)
        return self._keyed(name, content, act_if_found) if is_kept else act_if_found()

    def _keyed(self, name: Hashable, content: object, act: Callable[[], Result]) -> Result:
        if name in self._answers:
            known, answer = self._answers[name]
            same = known == content
            return answer._replace(replayed=True) if same else Refusal("IDEMPOTENCY_KEY_REUSED")
        result = act()
        if isinstance(result, Answer) and not result.replayed:
            self._answers[name] = (content, result)
        return result
