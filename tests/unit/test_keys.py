"""The names of keys: each in its partition, and the same in Python and in Lua."""

from __future__ import annotations

import re
from binascii import crc_hqx
from importlib.resources import files

import pytest
import redis

from inventory_server.stores.keys import Keyspace, home_of, is_hold_id, partition_of

INCLUDES = files("inventory_server") / "scripts" / "include"
LOADED = ("arguments.lua", "level.lua", "journal.lua", "hold.lua", "hold_lines.lua")
LOCATIONS = ["online", *[f"store:S{n}" for n in range(20)], "store:" + "L" * 64]
HOLD_ID = "3-" + "a2" * 10


def test_the_partition_is_the_checksum_that_redis_cluster_uses_too() -> None:
    # The check value of CRC-16/XMODEM, and of the Redis Cluster specification.
    assert crc_hqx(b"123456789", 0) == 0x31C3
    assert partition_of("123456789", 16384) == 0x31C3 % 16384


@pytest.mark.parametrize(
    ("location", "number"), [("online", 3), ("store:DELHI", 7), ("store:1", 1)]
)
def test_a_location_keeps_its_partition_for_ever(location: str, number: int) -> None:
    # The data was written there: another number would lose sight of it.
    assert partition_of(location, 16) == number


@pytest.mark.parametrize("partitions", [1, 2, 16, 4096])
def test_a_partition_is_one_of_those_there_are(partitions: int) -> None:
    keys = Keyspace(partitions)
    numbers = [keys.partition(location) for location in LOCATIONS]
    assert all(0 <= number < partitions for number in numbers)
    assert numbers == [keys.partition(location) for location in LOCATIONS]


@pytest.mark.parametrize("location", LOCATIONS)
def test_every_key_of_a_location_carries_its_partitions_tag(location: str) -> None:
    keys = Keyspace(16)
    number = partition_of(location, 16)
    names = [
        keys.level(location, "A"), keys.level_due(location, "A"), keys.skus(location),
        keys.low(location), keys.due(number), keys.ended(number), keys.refs(number),
        keys.journal(number),
        keys.meta(number), keys.locations(number), keys.inactive(number), keys.record(number, "op"),
        keys.hold(f"{number}-{'a' * 20}"),
    ]  # fmt: skip
    assert all(name.startswith(f"inv:{{{number}}}:") for name in names)
    assert len(set(names)) == len(names)


def test_no_two_levels_share_a_key() -> None:
    keys = Keyspace(1)
    levels = [
        ("online", "A"),
        ("store:A", "A"),
        ("store:A", "B"),
        ("store:B", "A"),
        ("online", "B"),
    ]
    for make in (keys.level, keys.level_due):
        assert len({make(location, sku) for location, sku in levels}) == len(levels)


def test_the_memory_of_locations_is_bounded() -> None:
    keys = Keyspace(16)
    for n in range(keys.MAX_KNOWN_LOCATIONS + 5):
        assert keys.partition(f"store:{n}") == partition_of(f"store:{n}", 16)
    assert len(keys._known) <= keys.MAX_KNOWN_LOCATIONS


@pytest.mark.parametrize("location", ["online", "store:DELHI", "store:a.b_c-d"])
@pytest.mark.parametrize("sku", ["A", "a/b+c#d.e_f-g", "S" * 64])
def test_lua_and_python_name_the_same_keys(db: redis.Redis, location: str, sku: str) -> None:
    keys = Keyspace(16)
    number = keys.partition(location)
    hold_id = f"{number}-{'a' * 20}"
    db.set(keys.level(location, sku), "10 0 1")
    script = (
        "".join((INCLUDES / name).read_text("utf-8") for name in LOADED)
        + "local hold = { id = ARGV[2], word = 'HELD', parts = '',"
        " record = '\\n\\n' .. ARGV[3] .. '\\n' }"
        " local line = read_lines(hold, {})[1]"
        " local keys = { line.level.key, line.due, line.low }"
        " local names = { 'due', 'ended', 'refs', 'meta', 'journal', 'inactive',"
        " 'hold:' .. hold.id }"
        " for _, name in ipairs(names) do"
        " keys[#keys + 1] = partition_key(ARGV[1], name) end"
        " return keys"
    )
    packed = f"{number} {location} {sku} 1"
    assert db.eval(script, 0, number, hold_id, packed) == [
        keys.level(location, sku), keys.level_due(location, sku), keys.low(location),
        keys.due(number), keys.ended(number), keys.refs(number), keys.meta(number),
        keys.journal(number), keys.inactive(number), keys.hold(hold_id),
    ]  # fmt: skip


def test_no_script_but_the_journal_include_makes_names_of_keys() -> None:
    for path in [*INCLUDES.iterdir(), *INCLUDES.parent.iterdir()]:
        if path.name.endswith(".lua") and path.name != "journal.lua":
            assert not re.search(r"'inv:", path.read_text("utf-8")), path.name


def test_a_holds_home_stands_in_its_id() -> None:
    assert home_of(HOLD_ID) == 3
    assert home_of("15-x") == 15


@pytest.mark.parametrize(
    "wrong",
    [
        "", "3", "3-", "-" + "a" * 20, "3-" + "a" * 19, "3-" + "a" * 21, "3-" + "A" * 20,
        "3-" + "1" * 20, "x-" + "a" * 20, "123456-" + "a" * 20, "3-" + "a" * 20 + "\n",
        "03-" + "a" * 20, "00-" + "a" * 20,
        "٣-" + "a" * 20, "3-" + "a" * 19 + "}",
    ],
)  # fmt: skip
def test_what_no_store_gave_is_no_hold_id(wrong: str) -> None:
    assert is_hold_id(HOLD_ID)
    assert not is_hold_id(wrong)
