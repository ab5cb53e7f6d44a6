"""state = fold(journal): the journals alone say what the store must hold."""

from __future__ import annotations

from collections import defaultdict
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


def fold(db: redis.Redis, partitions: int = 16) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Levels by (partition, location, sku) and holds by id, from the journals alone."""
    folded = Folded()
    for n in range(partitions):
        last = 0
        for entry_id, entry in db.xrange(f"inv:{{{n}}}:journal"):
            seq = int(entry_id.split("-")[0])
            assert entry_id == f"{last + 1}-0", f"a gap in partition {n} after {last}"
            last = seq
            folded.take(n, seq, entry)
        assert int(db.hget(f"inv:{{{n}}}:meta", "seq") or 0) == last
        _assert_alerts(db, n)
    for (n, location), policy in folded.defaults.items():
        assert db.hget(f"inv:{{{n}}}:locations", location) == policy
    return folded.levels, folded.holds


KINDS = {"OK": "RECOVERED", "LOW": "LOW", "OUT": "OUT"}


def _assert_alerts(db: redis.Redis, n: int) -> None:
    """One alert a crossing, under the seq of its movement, and no other."""
    states: dict[Any, str] = {}
    wanted = []
    for entry_id, entry in db.xrange(f"inv:{{{n}}}:journal"):
        place = (entry["location"], entry["sku"])
        if not entry["sku"] or not (entry["level"] or entry["kind"] == "DELETE"):
            continue
        state = unpack_level(entry["level"])["alert_state"] if entry["level"] else "OK"
        if state != states.get(place, "OK"):
            wanted.append((entry_id, KINDS[state], *place, entry["kind"], entry["id"]))
        states[place] = state
    found = [
        (id_, alert["kind"], alert["location"], alert["sku"], alert["cause"], alert["id"])
        for id_, alert in db.xrange(f"inv:{{{n}}}:alerts")
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
    for key in db.scan_iter("inv:{*}:level:*", count=1000):
        n = int(key[5 : key.index("}")])
        location, _, sku = key.split(":level:", 1)[1].rpartition(":")
        found[n, location, sku] = unpack_level(db.get(key))
    return found


def stored_holds(db: redis.Redis) -> dict[Any, Any]:
    """Holds by id, from their keys, without the keys of their later verbs."""
    found = {}
    for key in db.scan_iter("inv:{*}:hold:*", count=1000):
        state, _, record = db.get(key).split("\n", 2)
        found[key.split(":hold:")[1]] = (state, record)
    return found


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
    for hold_id, (state, record) in holds.items():
        word, deadline, *_ = state.split(" ")
        home = int(hold_id.split("-")[0])
        if word == "HELD":
            home_due[home][hold_id] = int(deadline)
        else:
            ended[home].add(hold_id)
        reference = record.split("\n")[6]
        if reference:
            assert db.zscore(f"inv:{{{home}}}:refs", f"{reference}\0{hold_id}") == 0
        for place, units in held_units(state, record):
            held[place] += units
            due[place][hold_id] = int(deadline)
    for n in range(partitions):
        assert dict(db.zrange(f"inv:{{{n}}}:due", 0, -1, withscores=True)) == home_due[n]
        listed = db.lrange(f"inv:{{{n}}}:ended", 0, -1)
        assert len(listed) == len(set(listed))
        # One that was taken again stands there a second time, with a "+".
        assert {entry.removesuffix("+") for entry in listed} == ended[n]
    skus: dict[Any, list[str]] = defaultdict(list)
    low: dict[Any, set[str]] = defaultdict(set)
    for (n, location, sku), level in levels.items():
        key = f"inv:{{{n}}}:due:{location}:{sku}"
        assert dict(db.zrange(key, 0, -1, withscores=True)) == due[n, location, sku], key
        assert level["held"] == held[n, location, sku] >= 0
        skus[n, location].append(sku)
        if level["alert_state"] != "OK":
            low[n, location].add(sku)
    for (n, location), names in skus.items():
        assert db.zrange(f"inv:{{{n}}}:skus:{location}", 0, -1) == sorted(names)
        assert db.zrange(f"inv:{{{n}}}:low:{location}", 0, -1) == sorted(low[n, location])
        assert db.hexists(f"inv:{{{n}}}:locations", location)
