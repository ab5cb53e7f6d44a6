"""Streams that are cut in every way, and resumed at any server: no gap, and no double.

Twenty subscribers watch two servers under a load, and whatever can end a stream
ends theirs, again and again. What each was told in the end, over all of its
streams, is the whole as its filters let it through.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import redis

from tests.fold import assert_journal_folds_to_state, stored_levels
from tests.processes import DurableRedis
from tests.proof.load import COLD, HOT
from tests.proof.steady_load import SteadyLoad
from tests.proof.storm import Storm
from tests.proof.subscribers import (
    Differences,
    Entry,
    Query,
    Subscriber,
    differences,
    read_whole,
)
from tests.proof.two_servers import Two
from tests.serving import Running

CHANGES = int(os.environ.get("INVENTORY_STREAM_CHANGES", "3000"))
"""How many changes are made, 500 a second; the full size is 30000, a minute."""

QUERIES = (
    Query("journal", "now"),
    Query("journal", "snapshot"),
    Query("journal", "beginning"),
    Query("journal", "now", locations=("online",)),
    Query("journal", "snapshot", locations=("store:DELHI",)),
    Query("journal", "snapshot", locations=("online", "store:GOA"), skus=HOT),
    Query("journal", "beginning", locations=("store:PUNE",), skus=HOT[:1]),
    Query("journal", "now", skus=HOT[:2]),
    Query("journal", "snapshot", skus=(*HOT[3:], *COLD[:10])),
    Query("journal", "now", locations=("store:GOA",), skus=COLD[:1]),
    Query("alerts", "now"),
    Query("alerts", "snapshot"),
    Query("alerts", "beginning"),
    Query("alerts", "now", locations=("online",)),
    Query("alerts", "snapshot", locations=("store:DELHI", "store:PUNE")),
    Query("alerts", "snapshot", skus=HOT[1:4]),
    Query("alerts", "beginning", locations=("store:GOA",), skus=HOT[:2]),
    Query("alerts", "now", kinds=("RECOVERED",)),
    Query("alerts", "snapshot", kinds=("LOW", "OUT"), locations=("online",)),
    Query("alerts", "now", skus=HOT[4:], kinds=("OUT",)),
)
MANY = 3
"""So many of the first watch every movement."""
CUTS = (
    # SLOW_CONSUMER too, mostly: how much fits on the way to one who does not read, nobody says.
    *("cancelled", "closed", "UNAVAILABLE", "DRAINING"),
    *("servers killed", "servers stopped", "Redis killed"),
)


def judge(storm: Storm, changes: int, db: redis.Redis) -> tuple[Differences, Counter[str]]:
    """What differs, and all counts, which are written out to be quoted."""
    wholes = {stream: read_whole(db, stream) for stream in ("journal", "alerts")}
    counts, found = Counter(storm.deaths), Differences()
    for number, each in enumerate(storm.subscribers):
        counts += each.counts
        expected = each.expected(wholes[each.query.stream])
        whole = [(entry.group, entry.id) for entry in expected]
        its = differences(each.told, whole, each.untrue_cursors(expected))
        found += its
        if any(its):
            places = {entry.id: (entry.partition, entry.seq) for entry in wholes["journal"]}
            sys.stdout.write(f"subscriber {number}, {each.query}: {its}\n")
            for what, strays in (
                ("not told", each.missing(whole)),
                ("too often", each.extra(whole)),
            ):
                for group, id_ in strays:
                    sys.stdout.write(f"  {what}: {group} {id_}, stored at {places.get(id_)}\n")
    figures = {
        "changes": changes,
        "in the journal": len(wholes["journal"]),
        "in the alerts": len(wholes["alerts"]),
        "events told": sum(len(each.told) for each in storm.subscribers),
        **dict(sorted(counts.items())),
        **found._asdict(),
    }
    sys.stdout.write(", ".join(f"{name}: {number:,}" for name, number in figures.items()) + "\n")
    return found, counts


def assert_folds(subscriber: Subscriber, stored: dict[Any, dict[str, Any]]) -> None:
    """What it was told comes to what is in the store."""
    query = subscriber.query
    if query.kinds:
        return
    theirs = {
        (location, sku): dict(level)
        for (_, location, sku), level in stored.items()
        if query.takes(Entry(0, 0, "", location, sku, "", 0))
    }
    if query.start == "now":
        # It knows of what was touched since.
        theirs = {place: theirs[place] for place in subscriber.levels}
    states = {place: level.pop("alert_state") for place, level in theirs.items()}
    if query.stream == "journal":
        mine = {
            place: {name: getattr(level, name) for name in theirs[place]}
            for place, level in subscriber.levels.items()
        }
        assert mine == theirs
    else:
        low = {place: kind for place, kind in subscriber.levels.items() if kind != "RECOVERED"}
        assert low.keys() == {place for place, state in states.items() if state != "OK"}
        assert all(kind in (None, states[place]) for place, kind in low.items())


@pytest.mark.timeout(120 + CHANGES // 50)
async def test_streams_that_are_cut_in_every_way_have_no_gap_and_no_double(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    two = Two(start, tmp_path, store.url, "--heartbeat-s", "0.05")
    load = await two.open(SteadyLoad)
    storm = Storm(two, load, store, QUERIES, MANY)
    begun_at = perf_counter()
    await storm.run(CHANGES)
    sys.stdout.write(f"{perf_counter() - begun_at:.0f} s\n")
    await two.close()

    found, counts = judge(storm, load.changes, store.db)
    assert found == Differences(gaps=0, doubles=0, turned=0, untrue_cursors=0)
    assert sum(each.out_of_turn for each in storm.subscribers) == 0
    assert not [end for each in storm.subscribers for end in each.ends]
    assert counts["CURSOR_EXPIRED"] == 0, "nothing was trimmed"
    stored = stored_levels(store.db)
    for subscriber in storm.subscribers:
        assert_folds(subscriber, stored)
    assert_journal_folds_to_state(store.db)
    # It was a storm.
    assert load.changes >= CHANGES
    assert min(counts[name] for name in CUTS) > 0, counts


WHOLE = [("online", "a"), ("store:A", "b"), ("online", "c"), ("online", "d")]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (WHOLE, Differences()),
        ([WHOLE[1], WHOLE[0], *WHOLE[2:]], Differences()),
        (WHOLE[:3], Differences(gaps=1)),
        ([WHOLE[0], *WHOLE[2:]], Differences(gaps=1)),
        ([*WHOLE, WHOLE[0]], Differences(doubles=1)),
        ([*WHOLE, ("online", "e")], Differences(doubles=1)),
        ([WHOLE[2], *WHOLE[:2], WHOLE[3]], Differences(turned=1)),
        ([], Differences(gaps=4)),
    ],
    ids=[
        *("the whole", "two locations crossed", "the end is missing", "one is missing"),
        *("one twice", "one of another place", "two turned", "nothing"),
    ],
)
def test_what_differs_from_the_whole_is_seen(
    told: list[tuple[str, str]], found: Differences
) -> None:
    assert differences(told, WHOLE) == found
