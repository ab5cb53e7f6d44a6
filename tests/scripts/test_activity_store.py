"""The sets of inactive SKUs: written to every partition, whole or as far as that is possible."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib.resources import files
from itertools import product
from typing import Any

import pytest
import redis

from inventory_server.domain.errors import StoreFull, StoreRewound, StoreUnavailable
from inventory_server.domain.limits import SKUS_A_SCRIPT
from inventory_server.server import Server
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.script_errors import ScriptError
from tests.scripts.database import dump, put_wrong_type

INCLUDES = files("inventory_server") / "scripts" / "include"
ODD_SKUS = {"a/b+c#d.e_f-g", "S" * 64, "-", "0", "007", "12345678901234567890", "nil", "A", "a"}


def soon() -> float:
    return asyncio.get_running_loop().time() + 10


@pytest.fixture
def activity(server: Server) -> ActivityStore:
    return ActivityStore(server.store)


async def read(activity: ActivityStore, partition: int) -> set[str]:
    return {sku async for page in activity.inactive(partition, soon()) for sku in page}


async def test_what_was_said_last_is_what_every_partition_has(activity, server, db) -> None:
    await activity.set_active(dict.fromkeys(ODD_SKUS, False), soon())
    await activity.set_active({"A": True, "007": True, "NEW": True, "B": False}, soon())
    wanted = ODD_SKUS - {"A", "007"} | {"B"}
    for n in range(server.store.keys.partitions):
        assert db.smembers(server.store.keys.inactive(n)) == wanted
        assert await read(activity, n) == wanted


async def test_saying_it_again_changes_nothing(activity, db) -> None:
    said = {"A": False, "B": True, "C": False}
    await activity.set_active(said, soon())
    before = dump(db)
    await activity.set_active(said, soon())
    await activity.set_active({}, soon())
    assert dump(db) == before
    await activity.set_active(dict.fromkeys(said, True), soon())
    assert not [key for key in db.keys("*") if key.endswith(":inactive")], "no set is left empty"


async def test_many_go_in_and_come_back_in_pages(activity, server, db) -> None:
    many = {f"SKU{n:06}": n % 3 == 0 for n in range(7 * SKUS_A_SCRIPT + 1)}
    await activity.set_active(many, soon())
    inactive = {sku for sku, is_active in many.items() if not is_active}
    last = server.store.keys.partitions - 1
    pages = [page async for page in activity.inactive(last, soon())]
    assert set().union(*pages) == inactive
    assert max(map(len, pages)) < 2 * SKUS_A_SCRIPT
    # What is written meanwhile does no harm to what is there throughout.
    seen: Counter[str] = Counter()
    async for page in activity.inactive(0, soon()):
        seen.update(page)
        await activity.set_active({f"LATER{len(seen)}": False, "SKU000001": True}, soon())
    assert inactive - {"SKU000001"} <= set(seen)


async def test_no_script_takes_more_than_its_share(activity, db) -> None:
    db.config_resetstat()
    await activity.set_active({f"SKU{n}": False for n in range(2 * SKUS_A_SCRIPT)}, soon())
    assert db.info("commandstats")["cmdstat_sadd"]["calls"] == 2 * 16


@pytest.mark.parametrize("sku", ["", "a b", "a,b", "a\nb", "S" * 65, "ü", "a:b", "a\0"])
async def test_what_is_no_sku_gets_nowhere(activity, db, sku: str) -> None:
    before = dump(db)
    with pytest.raises(ScriptError):
        await activity.set_active({"A": False, sku: False}, soon())
    assert dump(db) == before


async def test_a_partition_that_went_back_is_told_and_the_others_are_written(
    activity, server, db
) -> None:
    keys = server.store.keys
    await activity.set_active({"A": False}, soon())
    db.hset(keys.meta(5), "epoch", 0)
    with pytest.raises(StoreRewound) as refusal:
        await activity.set_active({"B": False}, soon())
    assert refusal.value.facts == {"partition": "5"}
    assert db.smembers(keys.inactive(5)) == {"A"}
    for n in set(range(keys.partitions)) - {5}:
        assert db.smembers(keys.inactive(n)) == {"A", "B"}
    db.flushall()


async def test_a_newer_epoch_is_taken_over(activity, server, db) -> None:
    db.hset(server.store.keys.meta(5), "epoch", 2)
    await activity.set_active({"A": False}, soon())
    assert db.smembers(server.store.keys.inactive(5)) == {"A"}
    db.flushall()


async def test_a_full_store_says_so(activity, db) -> None:
    db.config_set("maxmemory", "1")
    with pytest.raises(StoreFull):
        await activity.set_active({"A": False}, soon())
    assert not [key for key in db.keys("*") if key.endswith(":inactive")]


async def test_a_store_out_of_reach_is_told(activity, server, monkeypatch) -> None:
    monkeypatch.setattr(server.store, "_connect_wait_s", 0.0)
    monkeypatch.setattr(server.store._connection, "is_ready", False)
    server.store._connection._ready.clear()
    with pytest.raises(StoreUnavailable):
        await activity.set_active({"A": False}, soon())
    with pytest.raises(StoreUnavailable):
        await read(activity, 0)


async def test_a_set_of_another_type_is_an_error(activity, server, db) -> None:
    put_wrong_type(db, server.store.keys.inactive(3))
    before = db.dump(server.store.keys.inactive(3))
    with pytest.raises(ScriptError):
        await activity.set_active({"A": False}, soon())
    with pytest.raises(ScriptError):
        await read(activity, 3)
    assert db.dump(server.store.keys.inactive(3)) == before
    assert db.smembers(server.store.keys.inactive(4)) == {"A"}


# What is asked before a level gets worse is what makes it worse

RANKS = {"OK": 0, "LOW": 1, "OUT": 2}
JUDGE = """
local answers = {}
for packed, delta in string.gmatch(ARGV[1], '([^;]+);([^;]+);') do
  redis.call('SET', KEYS[1], packed)
  local loud, quiet = read_level(KEYS[1]), read_level(KEYS[1])
  answers[#answers + 1] = tostring(gets_worse(loud, available(loud) + tonumber(delta)))
  quiet.is_quiet = true
  for _, level in ipairs({ loud, quiet }) do
    change_level(level, tonumber(delta), 0)
    answers[#answers + 1] = level.alert_state
  end
end
return answers
"""


def test_the_set_is_asked_exactly_where_a_level_gets_worse(db: redis.Redis) -> None:
    loaded = ("arguments.lua", "level.lua", "journal.lua", "inactive.lua", "quiet.lua")
    text = "".join((INCLUDES / name).read_text("utf-8") for name in loaded)
    points = [(reorder, rearm) for reorder in range(4) for rearm in range(reorder, 4)]
    cases: list[tuple[Any, ...]] = [
        (f"{units} 0 1 0 0 {reorder} {rearm} {state}", state, delta)
        for units, (reorder, rearm), state, delta in product(
            range(-2, 6), points, RANKS, range(-4, 5)
        )
    ]
    packed = "".join(f"{level};{delta};" for level, _, delta in cases)
    answers = db.eval(text + JUDGE, 1, "inv:{0}:level:online:A", packed)
    worse = 0
    for (level, before, delta), asked, loud, quiet in zip(
        cases, answers[::3], answers[1::3], answers[2::3], strict=True
    ):
        is_worse = RANKS[loud] > RANKS[before]
        worse += is_worse
        assert asked == str(is_worse).lower(), (level, delta)
        assert quiet == (before if is_worse else loud), (level, delta)
    assert 0 < worse < len(cases)
