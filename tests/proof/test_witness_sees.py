"""The witness can fail: a recording or a journal that was tampered with never passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.model import Level
from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.operation_id import operation_id
from inventory_server.stores.records import parse_level
from tests.calls import line
from tests.proof.alerts import By, crossing
from tests.proof.journals import Movement, Sent, Store, read_store
from tests.proof.load import COLD, READS, Asking, Load
from tests.proof.witness import witness

Recorded = tuple[list[Asking], Store]


async def record(redis_url: str) -> list[Asking]:
    settings = Settings(
        redis_url=redis_url, port=0, durability="warn", sweeper=False, call_log=False,
        drain_notice_s=0,
    )  # fmt: skip
    server = Server(settings)
    await server.start()
    load = Load([f"127.0.0.1:{server.port}"])
    load.short_ttl_share = 0
    await load.stock_up()
    await load.hoard(6)
    await load.run(700, callers=20)
    points = stock_pb.SetStockPolicyLine(
        sku=COLD[0], location="online", reorder_point=2, rearm_point=1
    )
    await load.ask("SetStockPolicy", stock_pb.SetStockPolicyRequest(lines=[points]))
    # A change at the end of a journal that is in no other one.
    await load.ask("RecordSale", stock_pb.RecordSaleRequest(lines=[line(COLD[0])]))
    await load.close()
    await server.stop()
    return load.askings


@pytest.fixture(scope="module")
def true_recording(redis_socket: str) -> Iterator[Recorded]:
    with redis.Redis(unix_socket_path=redis_socket, decode_responses=True) as db:
        db.flushall()
        askings = asyncio.run(record(f"unix://{redis_socket}"))
        yield askings, read_store(db)


@pytest.fixture
def recorded(true_recording: Recorded) -> Recorded:
    """A copy, to do with as one likes."""
    askings, store = true_recording
    journals = {n: list(journal) for n, journal in store.journals.items()}
    alerts = {n: list(stream) for n, stream in store.alerts.items()}
    return deepcopy(askings), store._replace(journals=journals, alerts=alerts)


def first(askings: list[Asking], wanted: Callable[[Asking], Any]) -> Asking:
    return next(asking for asking in askings if wanted(asking))


def is_of_plenty(asking: Asking) -> bool:
    return all(each.sku.startswith("COLD") for each in asking.request.lines)


def is_fresh(asking: Asking, verb: str) -> bool:
    return asking.verb == verb and asking.answer is not None and not asking.replayed


def assert_seen(recorded: Recorded, what: str) -> None:
    violations = witness(*recorded).violations
    assert any(violation.startswith(what) for violation in violations), violations


def last_answered(recorded: Recorded) -> list[Movement]:
    """The movements of a change at the end of its journals that somebody was told of."""
    askings, store = recorded
    told = {operation_id(store.secret, a.verb, "", a.key) for a in askings if a.answer is not None}
    for journal in store.journals.values():
        if journal and journal[-1].op in told:
            found = [m for each in store.journals.values() for m in each if m.op == journal[-1].op]
            if {m.partition for m in found} == {journal[-1].partition}:
                return found
    raise AssertionError("no change at an end")


def append_copies(store: Store, movements: list[Movement], op: str) -> None:
    """The same change once more, under this id, as it would follow."""
    for movement in movements:
        journal = store.journals[movement.partition]
        found = [m for m in journal if m.place == movement.place and m.level]
        on_hand, held, version, *rest = found[-1].level.split(" ")
        numbers = (
            int(on_hand) + movement.on_hand_delta, int(held) + movement.held_delta,
            int(version) + 1,
        )  # fmt: skip
        level = " ".join([*map(str, numbers), *rest])
        journal.append(movement._replace(seq=len(journal) + 1, op=op, level=level))


def test_what_was_not_tampered_with_passes(recorded: Recorded) -> None:
    seen = witness(*recorded)
    assert not seen.violations, seen.violations
    assert seen.counts["acknowledged"] > 500


def test_a_change_that_was_acknowledged_and_is_lost_is_seen(recorded: Recorded) -> None:
    for movement in last_answered(recorded):
        recorded[1].journals[movement.partition].pop()
    assert_seen(recorded, "acknowledged, and not in the journal")


def test_a_gap_in_a_journal_is_seen(recorded: Recorded) -> None:
    del recorded[1].journals[3][5]
    assert_seen(recorded, "a gap or a turn in a journal")


def test_a_change_that_is_there_twice_is_seen(recorded: Recorded) -> None:
    askings, store = recorded
    sale = first(askings, lambda a: is_fresh(a, "RecordSale") and len(a.answer.levels) == 1)
    op = operation_id(store.secret, "RecordSale", "", sale.key)
    movements = [m for journal in store.journals.values() for m in journal if m.op == op]
    append_copies(store, movements, op)
    assert_seen(recorded, "applied twice")


def test_a_change_that_nobody_asked_for_is_seen(recorded: Recorded) -> None:
    append_copies(recorded[1], last_answered(recorded), "another")
    assert_seen(recorded, "nobody asked for")


def test_half_of_a_change_is_seen(recorded: Recorded) -> None:
    askings, store = recorded
    set_up = operation_id(store.secret, "SetStockPolicy", "", askings[0].key)
    first_movement = store.journals[3][0]
    assert first_movement.op == set_up
    store.journals[3] = [m._replace(seq=m.seq - 1) for m in store.journals[3][1:]]
    assert_seen(recorded, "a part is there twice, or missing")


def test_a_change_of_another_size_than_asked_is_seen(recorded: Recorded) -> None:
    sale = first(recorded[0], lambda a: is_fresh(a, "RecordSale") and is_of_plenty(a))
    sale.request.lines[0].quantity += 1
    assert_seen(recorded, "other levels had to come of it")


def test_what_stands_in_another_order_than_it_happened_is_seen(recorded: Recorded) -> None:
    askings, _ = recorded
    place = first(askings, lambda a: is_fresh(a, "PlaceHold"))
    late = askings[-1].answered_at
    for asking in askings:
        if asking.key == place.key:
            asking.sent_at, asking.answered_at = late + 1, late + 2
    assert_seen(recorded, "answered before this was sent, and after it")


def test_an_answer_with_another_level_is_seen(recorded: Recorded) -> None:
    first(recorded[0], lambda a: is_fresh(a, "AdjustStock")).answer.levels[0].on_hand += 1
    assert_seen(recorded, "told other levels than the journal has")


def test_an_answer_with_another_hold_is_seen(recorded: Recorded) -> None:
    first(recorded[0], lambda a: is_fresh(a, "ExtendHold")).answer.hold.expire_time.seconds += 1
    assert_seen(recorded, "told another hold than the journal has")


def test_an_answer_with_the_cursor_of_another_change_is_seen(recorded: Recorded) -> None:
    places = [a for a in recorded[0] if is_fresh(a, "PlaceHold")]
    places[0].answer.cursor = places[1].answer.cursor
    assert_seen(recorded, "answered with another's change")


def test_a_repeated_answer_that_differs_is_seen(recorded: Recorded) -> None:
    first(recorded[0], lambda a: a.replayed and a.verb == "PlaceHold").answer.hold.note = "other"
    assert_seen(recorded, "a repeated answer differs from the first")


def test_two_callers_told_to_have_done_the_same_are_seen(recorded: Recorded) -> None:
    first(recorded[0], lambda a: a.replayed and a.verb == "PlaceHold").replayed = False
    assert_seen(recorded, "said twice to be done just now")


def test_a_refusal_for_want_of_what_was_there_is_seen(recorded: Recorded) -> None:
    short = first(recorded[0], lambda a: a.refusal == "INSUFFICIENT_STOCK")
    short.facts["available"] = short.facts["sellable"] = "4711"
    assert_seen(recorded, "so much was not available then")


def test_a_refusal_of_what_was_done_is_seen(recorded: Recorded) -> None:
    askings, _ = recorded
    sale = first(askings, lambda a: is_fresh(a, "RecordSale"))
    late = askings[-1].answered_at
    askings.append(
        replace(sale, sent_at=late + 1, answered_at=late + 2, answer=None, refusal="BELOW_HELD")
    )
    assert_seen(recorded, "refused, though it was done and answered")


def test_a_read_of_a_level_as_it_was_long_before_is_seen(recorded: Recorded) -> None:
    askings, _ = recorded
    read = first(askings, lambda a: a.verb == "GetStock" and a.answer is not None)
    read.sent_at = read.answered_at = askings[-1].answered_at + 1
    assert_seen(recorded, "read a level that was not so then")


def test_a_read_of_a_hold_that_was_never_so_is_seen(recorded: Recorded) -> None:
    read = first(recorded[0], lambda a: a.verb in READS and a.answer and a.verb == "GetHold")
    read.answer.hold.lines[0].held += 1
    assert_seen(recorded, "read a hold that was not so then")


# Alerts


def stream_of(recorded: Recorded) -> list[Sent]:
    """The alerts of the partition that has most."""
    stream = max(recorded[1].alerts.values(), key=len)
    assert len(stream) > 8
    return stream


def test_an_alert_that_is_missing_is_seen(recorded: Recorded) -> None:
    del stream_of(recorded)[5]
    assert_seen(recorded, "an alert is missing")


def test_an_alert_that_is_there_twice_is_seen(recorded: Recorded) -> None:
    stream = stream_of(recorded)
    stream.insert(5, stream[5])
    assert_seen(recorded, "an alert is there twice")


def test_alerts_in_another_order_are_seen(recorded: Recorded) -> None:
    stream = stream_of(recorded)
    stream[5], stream[6] = stream[6], stream[5]
    assert_seen(recorded, "an alert is there twice, or out of order")


def test_an_alert_that_nothing_caused_is_seen(recorded: Recorded) -> None:
    stream = stream_of(recorded)
    stream.append(stream[-1]._replace(seq=stream[-1].seq + 1))
    assert_seen(recorded, "an alert that nothing caused")


@pytest.mark.parametrize(
    "change",
    [
        lambda alert: alert._replace(kind="LOW" if alert.kind == "OUT" else "OUT"),
        lambda alert: alert._replace(sku="OTHER"),
        lambda alert: alert._replace(location="store:NOWHERE"),
        lambda alert: alert._replace(before=alert.before + 1),
        lambda alert: alert._replace(after=alert.after - 1),
        lambda alert: alert._replace(level=alert.level._replace(reorder_point=99)),
        lambda alert: alert._replace(level=alert.level._replace(on_hand=99)),
        lambda alert: alert._replace(level=None),
        lambda alert: alert._replace(by=alert.by._replace(cause="REPAIR")),
        lambda alert: alert._replace(by=alert.by._replace(hold_id="3-other")),
        lambda alert: alert._replace(by=alert.by._replace(reference="other")),
        lambda alert: alert._replace(by=alert.by._replace(actor="other")),
        lambda alert: alert._replace(by=alert.by._replace(time_ms=alert.by.time_ms + 1)),
    ],
)
def test_an_alert_that_says_something_else_is_seen(
    recorded: Recorded, change: Callable[[Any], Any]
) -> None:
    stream = stream_of(recorded)
    stream[5] = stream[5]._replace(alert=change(stream[5].alert))
    assert_seen(recorded, "another alert had to come of it")


def test_an_alert_with_the_id_of_another_movement_is_seen(recorded: Recorded) -> None:
    stream = stream_of(recorded)
    stream[5] = stream[5]._replace(movement_id=stream[6].movement_id)
    assert_seen(recorded, "another alert had to come of it")


def test_an_answer_with_another_default_policy_is_seen(recorded: Recorded) -> None:
    first(recorded[0], lambda a: a.verb == "SetStockPolicy").answer.defaults[0].rearm_point += 1
    assert_seen(recorded, "told other defaults than the journal has")


def test_a_refusal_for_points_that_would_not_have_come_is_seen(recorded: Recorded) -> None:
    refused = first(recorded[0], lambda a: a.refusal == "REARM_BELOW_REORDER")
    refused.facts["rearm_point"] = "4711"
    assert_seen(recorded, "refused for points that would not have come")


# Journals written by hand

SECRET, NOW_MS, TTL_MS = b"secret", 1_800_000_000_000, 60_000
HOLD_ID = f"3-{operation_id(SECRET, 'PlaceHold', '', 'h1')}"


class Forgery:
    """A journal about one level with a unit on hand; nothing in it was answered."""

    def __init__(self) -> None:
        self.askings: list[Asking] = []
        self.journals: dict[int, list[Movement]] = {3: []}
        self.alerts: dict[int, list[Sent]] = {}
        self.levels: dict[tuple[str, str], Level] = {}
        lines = [stock_pb.SetStockLine(sku="SKU1", location="online", on_hand=1)]
        self.add("SetStock", "s1", stock_pb.SetStockRequest(lines=lines), "SET", (1, 0), "1 0 1")

    def add(
        self, verb: str, key: str, request: Any, kind: str, deltas: tuple[int, int], level: str,
        at_ms: int = NOW_MS, hold: tuple[str, str, str] = ("", "", ""), sku: str = "SKU1",
        partition: int = 3, location: str = "online",
    ) -> None:  # fmt: skip
        journal = self.journals.setdefault(partition, [])
        op = operation_id(SECRET, verb, "", key)
        number = 1 + sum(m.op == op for each in self.journals.values() for m in each)
        movement = Movement(
            partition, len(journal) + 1, op, number, kind, at_ms, "", (location, sku), *deltas,
            level, *hold,
        )  # fmt: skip
        self.tell(movement)
        journal.append(movement)
        self.askings.append(Asking(verb, key, request, 1.0, 2.0, refusal="OUTCOME_UNKNOWN"))

    def tell(self, movement: Movement) -> None:
        """The alert that goes with it, by the alert states that it has."""
        location, sku = movement.place
        before, level = self.levels.get(movement.place), parse_level(sku, location, movement.level)
        by = By(movement.kind, movement.at_ms, hold_id=movement.hold_id)
        if alert := crossing(before, level, by):
            stream = self.alerts.setdefault(movement.partition, [])
            stream.append(Sent(movement.seq, f"{movement.op}.{movement.number}", alert))
        self.levels[movement.place] = level

    def place(self, key: str, level: str) -> None:
        request = hold_pb.PlaceHoldRequest(lines=[line()], ttl=Duration(seconds=TTL_MS // 1000))
        hold_id = f"3-{operation_id(SECRET, 'PlaceHold', '', key)}"
        record = f"f\n{NOW_MS} {TTL_MS} 1 3:2\n3 online SKU1 1\n{level}\n\n\n\n"
        hold = (hold_id, f"HELD {NOW_MS + TTL_MS}", record)
        self.add("PlaceHold", key, request, "HOLD", (0, 1), level, hold=hold)

    def end(self, verb: str, level: str, at_ms: int = NOW_MS) -> None:
        request = getattr(hold_pb, f"{verb}Request")(hold_id=HOLD_ID)
        kind, word, sold = {
            "ConfirmHold": ("CONFIRM", "CONFIRMED", -1),
            "ReleaseHold": ("RELEASE", "RELEASED", 0),
        }[verb]
        record = next(m.record for m in self.journals[3] if m.hold_id == HOLD_ID)
        hold = (HOLD_ID, f"{word} {NOW_MS + TTL_MS} {at_ms}", record)
        self.add(verb, verb, request, kind, (sold, -1), level, at_ms, hold)

    def violations(self) -> list[str]:
        store = Store(self.journals, self.alerts, "store", "1", SECRET)
        return witness(self.askings, store).violations


ALL_OUT = "0 0 0 0 OUT"


def test_a_journal_by_the_rules_passes() -> None:
    forgery = Forgery()
    forgery.place("h1", f"1 1 2 {ALL_OUT}")
    forgery.end("ConfirmHold", f"0 0 3 {ALL_OUT}", NOW_MS + TTL_MS - 1)
    assert forgery.violations() == []


def test_a_unit_promised_twice_is_seen() -> None:
    forgery = Forgery()
    forgery.place("h1", f"1 1 2 {ALL_OUT}")
    forgery.place("h2", f"1 2 3 {ALL_OUT}")
    (violation,) = forgery.violations()
    assert violation.startswith("against the rules: Refusal(reason='INSUFFICIENT_STOCK'")


def test_a_hold_that_ended_twice_is_seen() -> None:
    forgery = Forgery()
    forgery.place("h1", f"1 1 2 {ALL_OUT}")
    forgery.end("ReleaseHold", "1 0 3")
    forgery.end("ConfirmHold", f"0 -1 4 {ALL_OUT}")
    violation, of_its_alert = forgery.violations()
    assert of_its_alert.startswith("an alert that nothing caused")
    assert violation.startswith("against the rules: Refusal(reason='HOLD_ALREADY_RELEASED'")


def test_a_hold_confirmed_at_its_deadline_is_seen() -> None:
    forgery = Forgery()
    forgery.place("h1", f"1 1 2 {ALL_OUT}")
    forgery.end("ConfirmHold", f"0 0 3 {ALL_OUT}", NOW_MS + TTL_MS)
    (violation,) = forgery.violations()
    assert violation.startswith("against the rules: Refusal(reason='HOLD_EXPIRED'")


def test_a_level_that_does_not_follow_is_seen() -> None:
    forgery = Forgery()
    forgery.place("h1", f"1 1 3 {ALL_OUT}")
    assert forgery.violations()[0].startswith("a level does not follow from what it was")


LOW = "0 0 1 3 LOW"


def trembling() -> Forgery:
    """One unit, which is low until there are more than three."""
    forgery = Forgery()
    points = stock_pb.SetStockPolicyLine(
        sku="SKU1", location="online", reorder_point=1, rearm_point=3
    )
    request = stock_pb.SetStockPolicyRequest(lines=[points])
    forgery.add("SetStockPolicy", "p1", request, "POLICY", (0, 0), f"1 0 2 {LOW}")
    return forgery


def adjust(forgery: Forgery, delta: int, level: str) -> None:
    one = stock_pb.AdjustStockLine(sku="SKU1", location="online", delta=delta)
    request = stock_pb.AdjustStockRequest(lines=[one])
    forgery.add("AdjustStock", level, request, "ADJUST", (delta, 0), level)


def test_a_level_that_trembles_by_the_rules_passes() -> None:
    forgery = trembling()
    adjust(forgery, 2, f"3 0 3 {LOW}")
    adjust(forgery, 1, "4 0 4 0 0 1 3 OK")
    assert forgery.violations() == []
    assert [sent.alert.kind for sent in forgery.alerts[3]] == ["LOW", "RECOVERED"]


def test_a_level_that_recovers_before_its_rearm_point_is_seen() -> None:
    forgery = trembling()
    adjust(forgery, 2, "3 0 3 0 0 1 3 OK")
    violation, of_its_alert = forgery.violations()
    assert violation.startswith("other levels had to come of it")
    assert of_its_alert.startswith("an alert that nothing caused")


def test_a_level_that_is_low_without_an_alert_is_seen() -> None:
    forgery = trembling()
    forgery.alerts[3].clear()
    (violation,) = forgery.violations()
    assert violation.startswith("an alert is missing")


def test_two_journals_with_two_orders_are_seen() -> None:
    forgery = Forgery()
    places = ((3, "online"), (12, "store:PUNE"))
    lines = [
        stock_pb.SetStockLine(sku="SKU2", location=location, on_hand=n)
        for n, (_, location) in enumerate(places)
    ]
    request = stock_pb.SetStockRequest(lines=lines)
    for keys, (partition, location) in zip((("a", "b"), ("b", "a")), places, strict=True):
        for key in keys:
            forgery.add(
                "SetStock", key, request, "SET", (0, 0), "0 0 1", sku="SKU2",
                partition=partition, location=location,
            )  # fmt: skip
    assert any(v.startswith("the journals contradict one another") for v in forgery.violations())
