"""An event's response is made once, and never taken for another's."""

from __future__ import annotations

from inventory.v1.alert_service_pb2 import WatchLowStockResponse

from inventory_server.domain.stream import Alert, Message
from inventory_server.servicers.responses import alert_message
from inventory_server.servicers.shared_responses import SharedResponses

ALERT = Alert(3, 7, "LOW", 1, "online", "A", 5, 4, None, "HOLD", "m.1", "3-h", "order-1", "till")


class Counted:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self, message: Message) -> WatchLowStockResponse:
        self.made += 1
        return alert_message(message)


def sent(shared: SharedResponses, message: Message) -> WatchLowStockResponse:
    return WatchLowStockResponse.FromString(shared.response(message).SerializeToString())


def test_an_event_for_many_subscribers_is_made_once() -> None:
    make = Counted()
    shared, message = SharedResponses(make), Message("cursor", ALERT)
    assert [sent(shared, message) for _ in range(1000)] == [alert_message(message)] * 1000
    assert make.made == 1


def test_what_many_slow_and_fast_ones_read_in_turn_is_theirs() -> None:
    shared = SharedResponses(Counted())
    messages = [
        Message(f"cursor-{n}", ALERT._replace(seq=n, sku=f"S{n}"))
        for n in range(3 * SharedResponses.MOST_KEPT)
    ]
    for lag in (0, 1, SharedResponses.MOST_KEPT, 2 * SharedResponses.MOST_KEPT):
        for n, message in enumerate(messages):
            assert sent(shared, message).alert.sku == f"S{n}"
            late = messages[max(0, n - lag)]
            assert sent(shared, late).cursor == late.cursor


def test_messages_that_are_gone_leave_nothing_behind() -> None:
    """A message whose place in memory is another's now must not be answered with its response."""
    shared = SharedResponses(Counted())
    for n in range(10 * SharedResponses.MOST_KEPT):
        assert sent(shared, Message(f"cursor-{n}", ALERT)).cursor == f"cursor-{n}"
    assert len(shared._kept) == SharedResponses.MOST_KEPT


def test_a_heartbeat_is_made_for_each() -> None:
    make = Counted()
    shared, heartbeat = SharedResponses(make), Message("cursor")
    assert all(sent(shared, heartbeat).HasField("heartbeat") for _ in range(3))
    assert make.made == 3
