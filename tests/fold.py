"""state = fold(journal): the journals alone say what the store must hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

LEVEL_FIELDS = ("on_hand", "held", "version", "safety_stock", "backorder_limit", "reorder_point")


def unpack_level(packed: str) -> dict[str, Any]:
    """A level from its packed form."""
    parts = packed.split(" ")
    level: dict[str, Any] = dict(zip(LEVEL_FIELDS, map(int, parts[:6]), strict=False))
    level = dict.fromkeys(LEVEL_FIELDS, 0) | level
    level["rearm_point"] = int(parts[6]) if len(parts) > 3 else 0
    level["alert_state"] = parts[7] if len(parts) > 3 else "OK"
    return level


@dataclass
class Folded:
    """What movements come to: levels, holds by id, and locations' default policies."""

    levels: dict[Any, Any] = field(default_factory=dict)
    """By partition, location and SKU."""
    holds: dict[Any, Any] = field(default_factory=dict)
    defaults: dict[Any, str] = field(default_factory=dict)
    """By partition and location."""

    def take(self, n: int, seq: int, entry: dict[str, str]) -> None:
        """Goes on by a movement of partition `n`, which has to follow from those before it."""
        place = (n, entry["location"], entry["sku"])
        if entry["level"] and not entry["sku"]:
            assert entry["kind"] == "POLICY", entry
            policy = entry["level"].removeprefix("0 0 0").removesuffix(" OK")
            self.defaults[n, entry["location"]] = policy
        elif entry["level"]:
            level = unpack_level(entry["level"])
            # A new level's version is the seq of its first movement, so none is given twice.
            new = {"on_hand": 0, "held": 0, "version": seq - 1}
            before = self.levels.get(place, new)
            on_hand, held = map(int, entry["delta"].split(" "))
            assert level["on_hand"] == before["on_hand"] + on_hand, entry
            assert level["held"] == before["held"] + held, entry
            assert level["version"] == before["version"] + 1, entry
            self.levels[place] = level
        elif entry["kind"] == "DELETE":
            gone = self.levels.pop(place)
            assert (gone["on_hand"], gone["held"]) == (0, 0), entry
        if entry["hold"]:
            assert n == int(entry["hold_id"].split("-")[0]), "a hold stands in its home's journal"
            self.holds[entry["hold_id"]] = (entry["hold"], entry["record"])


def together(
    db: redis.Redis, ask: Callable[[Any, Any], object], subjects: Iterable[Any]
) -> list[Any]:
    """What Redis answers where it is asked this of each subject, a thousand at a time."""
    found: list[Any] = []
    left = list(subjects)
    for at in range(0, len(left), 1000):
        with db.pipeline(transaction=False) as asked:
            for subject in left[at : at + 1000]:
                ask(asked, subject)
            found += asked.execute()
    return found


def fold(db: redis.Redis, partitions: int = 16) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Levels by (partition, location, sku) and holds by id, from the journals alone."""
    folded, numbers = Folded(), range(partitions)
    journals = together(db, lambda r, n: r.xrange(f"inv:{{{n}}}:journal"), numbers)
    seqs = together(db, lambda r, n: r.hget(f"inv:{{{n}}}:meta", "seq"), numbers)
    alerts = together(db, lambda r, n: r.xrange(f"inv:{{{n}}}:alerts"), numbers)
    for n, journal in enumerate(journals):
        last = 0
        for entry_id, entry in journal:
            seq = int(entry_id.split("-")[0])
            assert entry_id == f"{last + 1}-0", f"a gap in partition {n} after {last}"
            last = seq
            folded.take(n, seq, entry)
        assert int(seqs[n] or 0) == last
        _assert_alerts(journal, alerts[n])
    places = list(folded.defaults)
    stored = together(
        db, lambda r, place: r.hget(f"inv:{{{place[0]}}}:locations", place[1]), places
    )
    assert dict(zip(places, stored, strict=True)) == folded.defaults
    return folded.levels, folded.holds


KINDS = {"OK": "RECOVERED", "LOW": "LOW", "OUT": "OUT"}


def _assert_alerts(journal: list[Any], alerts: list[Any]) -> None:
    """One alert a crossing, under the seq of its movement, and no other."""
    states: dict[Any, str] = {}
    wanted = []
    for entry_id, entry in journal:
        place = (entry["location"], entry["sku"])
        if not entry["sku"] or not (entry["level"] or entry["kind"] == "DELETE"):
            continue
        state = unpack_level(entry["level"])["alert_state"] if entry["level"] else "OK"
        if state != states.get(place, "OK"):
            wanted.append((entry_id, KINDS[state], *place, entry["kind"], entry["id"]))
        states[place] = state
    found = [
        (id_, alert["kind"], alert["location"], alert["sku"], alert["cause"], alert["id"])
        for id_, alert in alerts
    ]
    assert found == wanted


def held_units(state: str, record: str) -> list[tuple[Any, int]]:
    """What a hold in this state holds: (partition, location, sku) and the units."""
    word, _, *more = state.split(" ")
    lines = record.split("\n")[2].split(",")
    parts = more[1].split(",") if len(more) > 1 else ["0:0:0"] * len(lines)
    found = []
    for line, part in zip(lines if word == "HELD" else (), parts, strict=False):
        n, location, sku, quantity = line.split(" ")
        units = int(quantity) - sum(map(int, part.split(":")))
        if units:
            found.append(((int(n), location, sku), units))
    return found


def stored_levels(db: redis.Redis) -> dict[Any, Any]:
    """Levels by (partition, location, sku), from their keys."""
    found = {}
    for key, packed in _texts(db, "inv:{*}:level:*"):
        n = int(key[5 : key.index("}")])
        location, _, sku = key.split(":level:", 1)[1].rpartition(":")
        found[n, location, sku] = unpack_level(packed)
    return found


def stored_holds(db: redis.Redis) -> dict[Any, Any]:
    """Holds by id, from their keys, without the keys of their later verbs."""
    found = {}
    for key, text in _texts(db, "inv:{*}:hold:*"):
        state, _, record = text.split("\n", 2)
        found[key.split(":hold:")[1]] = (state, record)
    return found


def _texts(db: redis.Redis, pattern: str) -> Iterator[tuple[str, str]]:
    """The keys of a pattern, with what they hold."""
    keys = list(db.scan_iter(pattern, count=1000))
    return zip(keys, together(db, lambda r, key: r.get(key), keys), strict=True)


def assert_journal_folds_to_state(db: redis.Redis, partitions: int = 16) -> None:
    """Levels, holds and every index are what the journals say."""
    levels, holds = fold(db, partitions)
    assert stored_levels(db) == levels
    # An ended hold goes after its retention time, without a movement.
    stored = stored_holds(db)
    assert stored == {id_: holds[id_] for id_ in stored}
    assert not [id_ for id_ in set(holds) - set(stored) if holds[id_][0].startswith("HELD")]
    assert_indexes(db, levels, stored, partitions)


def assert_indexes(
    db: redis.Redis, levels: dict[Any, Any], holds: dict[Any, Any], partitions: int
) -> None:
    """Every index names these levels and holds, and levels hold what the holds say."""
    held: dict[Any, int] = defaultdict(int)
    due: dict[Any, dict[str, int]] = defaultdict(dict)
    home_due: dict[int, dict[str, int]] = defaultdict(dict)
    ended: dict[int, set[str]] = defaultdict(set)
    references: list[tuple[str, str]] = []
    for hold_id, (state, record) in holds.items():
        word, deadline, *_ = state.split(" ")
        home = int(hold_id.split("-")[0])
        if word == "HELD":
            home_due[home][hold_id] = int(deadline)
        else:
            ended[home].add(hold_id)
        reference = record.split("\n")[6]
        if reference:
            references.append((f"inv:{{{home}}}:refs", f"{reference}\0{hold_id}"))
        for place, units in held_units(state, record):
            held[place] += units
            due[place][hold_id] = int(deadline)
    assert set(together(db, lambda r, named: r.zscore(*named), references)) <= {0}
    deadlines = together(db, _scores, [f"inv:{{{n}}}:due" for n in range(partitions)])
    assert [dict(found) for found in deadlines] == [home_due[n] for n in range(partitions)]
    lists = together(db, lambda r, n: r.lrange(f"inv:{{{n}}}:ended", 0, -1), range(partitions))
    for n, listed in enumerate(lists):
        assert len(listed) == len(set(listed))
        # One that was taken again stands there a second time, with a "+".
        assert {entry.removesuffix("+") for entry in listed} == ended[n]
    skus: dict[Any, list[str]] = defaultdict(list)
    low: dict[Any, set[str]] = defaultdict(set)
    keys = [f"inv:{{{n}}}:due:{location}:{sku}" for n, location, sku in levels]
    for key, place, found in zip(keys, levels, together(db, _scores, keys), strict=True):
        level, (n, location, sku) = levels[place], place
        assert dict(found) == due[place], key
        assert level["held"] == held[place] >= 0
        skus[n, location].append(sku)
        if level["alert_state"] != "OK":
            low[n, location].add(sku)
    for (n, location), names in skus.items():
        assert db.zrange(f"inv:{{{n}}}:skus:{location}", 0, -1) == sorted(names)
        assert db.zrange(f"inv:{{{n}}}:low:{location}", 0, -1) == sorted(low[n, location])
        assert db.hexists(f"inv:{{{n}}}:locations", location)


def _scores(asked: Any, key: str) -> object:
    return asked.zrange(key, 0, -1, withscores=True)
