"""A Redis that is lost in one instant, and what was known of it then: journals, and the copy."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any, NamedTuple

import redis

from inventory_server.stores.copy_tables import parse_place
from tests.copy.serving import PARTITIONS
from tests.dynamo import dynamo_client
from tests.faults.dynamo_proxy import Exchange, Reply, broken
from tests.fold import Folded, held_units

Journals = dict[int, list[tuple[int, dict[str, str]]]]
"""Of each partition, its movements by seq."""


def wipe(db: redis.Redis) -> tuple[Journals, int]:
    """Takes everything out of Redis, in one transaction with a last look at the journals; and
    the instant, in ms.
    """
    with db.pipeline(transaction=True) as both:
        for n in range(PARTITIONS):
            both.xrange(f"inv:{{{n}}}:journal")
        both.time()
        both.flushall()
        *found, (seconds, micros), _ = both.execute()
    journals = {
        n: [(int(id_.partition("-")[0]), entry) for id_, entry in journal]
        for n, journal in enumerate(found)
    }
    return journals, seconds * 1000 + micros // 1000


class Copied(NamedTuple):
    """What the table of movements has of a partition: ids by seq."""

    ids: dict[int, str]

    @property
    def reached(self) -> int:
        """The last seq without a gap before it."""
        seq = 0
        while seq + 1 in self.ids:
            seq += 1
        return seq

    @property
    def left_out(self) -> list[int]:
        """The seqs past the gap."""
        return sorted(seq for seq in self.ids if seq > self.reached)


def copied_movements(endpoint: str, table: str) -> dict[int, Copied]:
    """Every partition's movements, read with nothing of the server's own."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for page in dynamo_client(endpoint).get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            partition = int(item["journal"]["S"].split("/")[2])
            seq, _, movement_id = item["place"]["S"].partition(":")
            found[partition][int(seq)] = movement_id
    return {n: Copied(found[n]) for n in range(PARTITIONS)}


def folded_up_to(journals: Journals, reached: dict[int, int]) -> Folded:
    """What the journals come to, each up to its own seq."""
    folded = Folded()
    for n, journal in journals.items():
        for seq, entry in journal:
            if seq <= reached[n]:
                folded.take(n, seq, entry)
    return folded


# Faults that are meant for one thing

NONE = {"S": ""}


class GapAfter:
    """Writes that have this word in them fail; of the others, those of a partition are noted."""

    def __init__(self, word: str, partition: int) -> None:
        self._word, self._partition = word.encode(), f"/{partition}/"
        self.passed: set[str] = set()
        """Places of the partition's movements that were written since it was refused first."""
        self._is_refused = False

    def __call__(self, exchange: Exchange) -> Reply | None:
        if self._word in exchange.body:
            self._is_refused = True
            return broken(exchange)
        if self._is_refused:
            for requests in json.loads(exchange.body)["RequestItems"].values():
                items = [one.get("PutRequest", {}).get("Item", {}) for one in requests]
                own = [item for item in items if self._partition in item.get("journal", NONE)["S"]]
                self.passed |= {item["place"]["S"] for item in own}
        return exchange.forward(exchange.body)


class StuckWatermark:
    """A partition's watermark does not move."""

    def __init__(self, partition: int) -> None:
        self._item = f"/partition/{partition}"
        self.refused = 0
        """How far it should have come."""

    def __call__(self, exchange: Exchange) -> Reply | None:
        request = json.loads(exchange.body)
        if not request["Key"]["item"]["S"].endswith(self._item):
            return exchange.forward(exchange.body)
        place = request["ExpressionAttributeValues"].get(":place", {"N": "0"})
        self.refused = max(self.refused, parse_place(place["N"]).seq)
        return broken(exchange)


# What restore says


class ToldPartition(NamedTuple):
    seq: int
    past_mark: int
    left_out: tuple[int, int, int]
    """First and last seq, and how many of them the copy has; zeros where there are none."""


_REACHED = re.compile(
    r"Partition (\d+) came back up to movement (\d+) of \S+?Z(?:; the last (\d+) were past its"
    r" watermark)?\.\n(?:  It had come to movement \d+ of \S+ or further: (\d+) to (\d+) were on"
    r" their way and are lost\. The copy has (\d+) of them)?"
)


def told_by_restore(output: str) -> dict[int, ToldPartition]:
    """What it said of each partition."""
    found = {}
    for match in _REACHED.finditer(output):
        number, seq, past, *left = (int(text or 0) for text in match.groups())
        found[number] = ToldPartition(seq, past, tuple(left))
    return found


# Repairs


def repairs_that_are_due(journals: Journals, folded: Folded, reached: dict[int, int]) -> Any:
    """By level and hold, what restore has to change in on_hand and held: a hold's state at home
    decides, and levels of other partitions may have come further, or less far. A hold that its
    home does not know was never placed.
    """
    done: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for n, journal in journals.items():
        for seq, entry in journal:
            home = int(entry["hold_id"].partition("-")[0] or n)
            if seq <= reached[n] and entry["hold_id"] and home != n:
                for at, delta in enumerate(entry["delta"].split(" ")):
                    done[(n, entry["location"], entry["sku"]), entry["hold_id"]][at] += int(delta)
    wanted: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for hold_id, (state, record) in folded.holds.items():
        for place, units in held_units(state, record):
            wanted[place, hold_id][1] += units
        for place, units in _confirmed(state, record):
            wanted[place, hold_id][0] -= units
    due = {}
    for place, hold_id in {*done, *wanted}:
        if place[0] == int(hold_id.partition("-")[0]):
            continue
        was, is_due = done[place, hold_id], wanted[place, hold_id]
        if was != is_due:
            due[place, hold_id] = (is_due[0] - was[0], is_due[1] - was[1])
    return due


def _confirmed(state: str, record: str) -> list[tuple[Any, int]]:
    word, _, *more = state.split(" ")
    lines = record.split("\n")[2].split(",")
    parts = more[1].split(",") if len(more) > 1 else []
    found = []
    for at, line in enumerate(lines):
        n, location, sku, quantity = line.split(" ")
        all_of_it = int(quantity) if word == "CONFIRMED" else 0
        units = int(parts[at].split(":")[0]) if parts else all_of_it
        found.append(((int(n), location, sku), units))
    return found
