"""The durable copy's items, to and from values. docs/design/copy.md describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import (
    CopiedStore,
    HoldState,
    JournalEntry,
    LevelState,
    PartitionCopy,
    Place,
    Watermark,
)
from inventory_server.stores.copy_tables import (
    hold_key,
    level_key,
    pack_place,
    parse_place,
    parse_state_of,
    place_in_run,
    run_of,
    shelf_of,
    state_of,
)
from inventory_server.stores.dynamo import Item
from inventory_server.stores.tables import EXPIRY_ATTRIBUTE

FIELDS: Final = (
    *("id", "kind", "at_ms", "actor", "reason", "note", "reference", "location", "sku"),
    *("delta", "level", "hold_id", "hold", "record"),
)
"""Of a journal entry, in its order."""


SEQS_A_SPAN: Final = 2_000
"""Movements that one item of a level's history names."""


def pack_movement(store_id: str, entry: JournalEntry) -> Item:
    """The item of a movement; what is empty is left out, and its id stands in its place."""
    fields = entry.fields
    item: Item = {
        "journal": {"S": run_of(store_id, entry.epoch, entry.partition, entry.seq)},
        "place": {"S": place_in_run(entry.seq, fields["id"])},
    }
    item |= {name: {"S": text} for name in FIELDS[1:] if (text := fields[name])}
    if fields["hold_id"]:
        item["of_hold"] = {"S": hold_key(store_id, fields["hold_id"])}
    return item


def parse_movement_item(item: Item) -> JournalEntry:
    """A movement from its item."""
    _, epoch, partition, _ = item["journal"]["S"].split("/")
    seq, _, movement_id = item["place"]["S"].partition(":")
    fields = {name: item[name]["S"] if name in item else "" for name in FIELDS[1:]}
    return JournalEntry(int(epoch), int(partition), int(seq), {"id": movement_id, **fields})


class Moment(NamedTuple):
    """Where a movement stands, and when it was made."""

    epoch: int
    partition: int
    seq: int
    at_ms: int


def pack_span(store_id: str, location: str, sku: str, moments: Sequence[Moment]) -> Item:
    """Where these movements of a level stand: all that it has from the first to the last.

    The key names these two, and between two movements of a journal everything is settled: so
    of one key there is only one content.
    """
    first, last = moments[0], moments[-1]
    place = f"{first.epoch}:{first.partition}:{first.seq:015}-{last.seq:015}"
    return {
        "level": {"S": level_key(store_id, location, sku)},
        "place": {"S": f"{first.at_ms:015}:{place}"},
        "seqs": {"S": " ".join([str(moment.seq) for moment in moments])},
        "last_ms": {"N": str(last.at_ms)},
    }


def parse_span(item: Item) -> tuple[int, int, list[int]]:
    """Epoch, partition and seqs of some movements of a level."""
    _, epoch, partition, _ = item["place"]["S"].split(":")
    return int(epoch), int(partition), [int(seq) for seq in item["seqs"]["S"].split(" ")]


def span_ms(item: Item) -> int:
    """When the first of them was made."""
    return int(item["place"]["S"].partition(":")[0])


def level_state(entry: JournalEntry) -> LevelState | None:
    """What a movement made of its level, or of its location's default policy."""
    fields = entry.fields
    if not fields["level"] and fields["kind"] != "DELETE":
        return None
    # A deleted level was at a lower version than this seq, and one made anew begins above it.
    rank = int(fields["level"].split(" ")[2]) if fields["level"] and fields["sku"] else entry.seq
    place = (entry.partition, fields["location"], fields["sku"])
    return LevelState(*place, fields["level"], entry.epoch, rank)


def hold_state(entry: JournalEntry) -> HoldState | None:
    """What a movement made of its hold, where it speaks for that."""
    fields = entry.fields
    if not fields["hold"]:
        return None
    texts = (fields["hold_id"], fields["hold"], fields["record"])
    return HoldState(*texts, entry.epoch, entry.seq)


def level_state_key(store_id: str, state: LevelState, rank: int | None = None) -> Item:
    """The key of a level's state, or of its state at another rank."""
    name = f"{state.location}:{state.sku}"
    return {
        "shelf": {"S": shelf_of(store_id, state.partition, name)},
        "state": {"S": state_of(name, state.epoch, state.rank if rank is None else rank)},
    }


def pack_level_state(store_id: str, state: LevelState) -> Item:
    """The item of a level's state."""
    key = level_state_key(store_id, state)
    return key | {"packed": {"S": state.packed}} if state.packed else key


def parse_level_state(item: Item) -> LevelState:
    """A level's state from its item."""
    name, epoch, rank = parse_state_of(item["state"]["S"])
    location, _, sku = name.rpartition(":")
    partition = int(item["shelf"]["S"].split("/")[1])
    packed = item["packed"]["S"] if "packed" in item else ""
    return LevelState(partition, location, sku, packed, epoch, rank)


def hold_state_key(store_id: str, hold_id: str, epoch: int, seq: int) -> Item:
    """The key of a hold's state."""
    home = int(hold_id.partition("-")[0])
    return {
        "shelf": {"S": shelf_of(store_id, home, hold_id)},
        "state": {"S": state_of(hold_id, epoch, seq)},
    }


def placed_at(record: str) -> dict[int, Place]:
    """How far a hold's placing reaches, in each partition that it has lines in."""
    epoch, places = record.split("\n", 2)[1].split(" ")[2:]
    parts = [place.partition(":") for place in places.split(",")]
    return {int(number): Place(int(epoch), int(seq)) for number, _, seq in parts}


def placed_key(store_id: str, state: HoldState) -> Item:
    """The key of the state that the hold was placed in."""
    lines = state.record.split("\n", 3)[2]
    home = state.hold_id.partition("-")[0]
    epoch, last = placed_at(state.record)[int(home)]
    at_home = sum(line.startswith(f"{home} ") for line in lines.split(","))
    # The first of the movements at home speaks for the hold; `placed` has the last.
    seq = last - max(1, at_home) + 1
    return hold_state_key(store_id, state.hold_id, epoch, seq)


def pack_hold_state(store_id: str, state: HoldState, expire_at_s: int) -> Item:
    """The item of a hold's state; `expire_at_s` is when it may vanish."""
    return {
        **hold_state_key(store_id, state.hold_id, state.epoch, state.seq),
        "hold": {"S": state.state},
        "record": {"S": state.record},
        EXPIRY_ATTRIBUTE: _number(expire_at_s),
    }


def parse_hold_state(item: Item) -> HoldState:
    """A hold's state from its item."""
    hold_id, epoch, seq = parse_state_of(item["state"]["S"])
    return HoldState(hold_id, item["hold"]["S"], item["record"]["S"], epoch, seq)


def pack_watermark(watermark: Watermark) -> Item:
    """The attributes of a partition's item that say how far its copy has come."""
    return {
        "place": {"N": pack_place(watermark.place)},
        "at_ms": _number(watermark.at_ms),
        "movement_id": {"S": watermark.movement_id},
        "folded": {"N": pack_place(watermark.folded)},
        "not_copied": _number(watermark.not_copied),
    }


def parse_partition(number: int, item: Item) -> PartitionCopy:
    """A partition's copy from its item; an empty item is one that was never drained."""
    if not item:
        return PartitionCopy(number)
    watermark = Watermark()
    if "place" in item:
        watermark = Watermark(
            parse_place(item["place"]["N"]),
            int(item["at_ms"]["N"]),
            item["movement_id"]["S"],
            parse_place(item["folded"]["N"]),
            int(item["not_copied"]["N"]),
        )
    resynced, resynced_at = 0, Place()
    if "resynced" in item:
        resynced = int(item["resynced"]["N"])
        resynced_at = parse_place(item["resynced_at"]["N"])
    return PartitionCopy(
        number, item["owner"]["S"], int(item["term"]["N"]), watermark, resynced, resynced_at
    )


def pack_store(store: CopiedStore) -> Item:
    """The attributes that say which store the copy is of."""
    return {
        "store_id": {"S": store.store_id},
        "secret": {"S": store.secret},
        "partitions": _number(store.partitions),
        "schema": {"S": store.schema},
        "epoch": _number(store.epoch),
    }


def parse_store(item: Item) -> CopiedStore:
    """The store that the copy is of."""
    return CopiedStore(
        item["store_id"]["S"],
        item["secret"]["S"],
        int(item["partitions"]["N"]),
        item["schema"]["S"],
        int(item["epoch"]["N"]),
    )


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
