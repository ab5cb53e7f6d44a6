"""An order and its stock, both or neither: killed at every step, on real parts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from examples.order_flow import place_order, recover
from examples.orders_table import OrderExistsError, Orders
from inventory.v1.hold_service_pb2 import HoldState
from inventory_client import InventoryClient

from tests.dynamo import make_table
from tests.eventually import eventually
from tests.examples.crashing import LINES

ROOT = Path(__file__).resolve().parents[2]
ON_HAND = 1_000
STEPS = ("check", "place", "save", "confirm", "mark")
FAILED_STEPS = ("check", "place", "save, which fails", "release")
LONG_S, SHORT_S = 600.0, 5.0
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def client(server_address: str) -> Iterator[InventoryClient]:
    with InventoryClient(server_address) as opened:
        opened.set_stock([(sku, location, ON_HAND) for sku, location, _ in LINES])
        yield opened


class Shop:
    """The flow's parts, and children of this process who run it."""

    def __init__(self, server: str, endpoint: str, name: str) -> None:
        self._server, self._endpoint, self._name = server, endpoint, name
        self.table = boto3.resource(
            "dynamodb", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        ).Table(name)  # fmt: skip
        make_table(self.table.meta.client, name, "order_id")
        self.orders = Orders(self.table)

    def run(
        self, order_id: str, step: int, when: str, *, ttl: float = LONG_S, table: str = ""
    ) -> subprocess.Popen[bytes]:
        """A child that kills itself at this step; `table` is one that may not be there."""
        where = (self._server, self._endpoint, table or self._name)
        path = os.pathsep.join(str(ROOT / part) for part in ("", "generated", "clients"))
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.examples.crashing", *where),
                *(order_id, str(ttl), str(step), when),
            ],
            env={**os.environ, **AWS, "PYTHONPATH": path},
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    def saved(self) -> dict[str, Any]:
        return {item["order_id"]: item for item in self.table.scan()["Items"]}


@pytest.fixture
def shop(server_address: str, dynamo_endpoint: str, table_prefix: str) -> Shop:
    return Shop(server_address, dynamo_endpoint, f"{table_prefix}orders")


def crash_everywhere(shop: Shop, ttl: float) -> None:
    """One child for each step of both ways through the flow, before it and after it."""
    children = {}
    for when in ("before", "after"):
        for step, name in enumerate(STEPS, 1):
            order_id = f"order {when} {name}".replace(" ", "-")
            children[order_id] = shop.run(order_id, step, when, ttl=ttl)
        for step, name in enumerate(FAILED_STEPS, 1):
            order_id = f"failed {when} {name}".replace(" ", "-").replace(",", "")
            children[order_id] = shop.run(order_id, step, when, ttl=ttl, table="not-there")
    for order_id, child in children.items():
        # A call that raises has no "after": what was being saved was not.
        ends = 1 if order_id.startswith("failed-after-save") else -9
        assert child.wait(100) == ends, order_id


def assert_stock_and_orders_agree(client: InventoryClient, shop: Shop) -> dict[str, str]:
    """Every unit that was sold has a confirmed order, and every confirmed order its units."""
    orders = shop.saved()
    status = {order_id: order["status"] for order_id, order in orders.items()}
    sold = [order for order in orders.values() if order["status"] == "CONFIRMED"]
    assert "PENDING" not in status.values()
    for sku, location, quantity in LINES:
        level = client.get_stock(sku, locations=[location]).levels[0]
        assert level.on_hand == ON_HAND - quantity * len(sold)
    for order in orders.values():
        state = client.get_hold(order["hold_id"]).state
        assert (state == HoldState.HOLD_STATE_CONFIRMED) is (order["status"] == "CONFIRMED")
    return status


def nothing_is_held(client: InventoryClient) -> bool:
    return all(client.get_stock(sku).total.held == 0 for sku, _, _ in LINES)


@pytest.mark.timeout(300)
def test_a_crash_at_any_step_is_finished_by_the_recovery(client, shop: Shop) -> None:
    crash_everywhere(shop, LONG_S)
    for step in (1, 2, 3, 4):
        # The recovery is killed too, wherever it is.
        for when in ("before", "after"):
            assert shop.run("recover", step, when).wait(100) in (-9, 0)
    recover(client, shop.orders)
    status = assert_stock_and_orders_agree(client, shop)
    assert status == {
        f"order-{when}-{step}": "CONFIRMED"
        for when, step in (
            ("after", "save"), ("before", "confirm"), ("after", "confirm"),
            ("before", "mark"), ("after", "mark"),
        )
    }  # fmt: skip
    # What was held and never saved is all that is held; its deadline gives it back.
    left = {hold.reference for hold in client.list_holds(sku="TEA", location="online")}
    assert left == {
        "order-after-place", "order-before-save", "failed-after-place",
        "failed-before-save-which-fails", "failed-before-release",
    }  # fmt: skip


@pytest.mark.timeout(300)
def test_after_the_deadline_no_unit_is_taken_without_an_order(client, shop: Shop) -> None:
    crash_everywhere(shop, SHORT_S)
    eventually(lambda: nothing_is_held(client), timeout_s=60)
    recover(client, shop.orders)
    status = assert_stock_and_orders_agree(client, shop)
    assert status["order-after-save"] == status["order-before-confirm"] == "CANCELLED"
    assert status["order-after-confirm"] == status["order-before-mark"] == "CONFIRMED"
    assert recover(client, shop.orders) == {}


def test_an_order_is_repeated_safely_by_many_at_once(client, shop: Shop) -> None:
    def place() -> str:
        return place_order(client, shop.orders, "order-1", LINES, LONG_S)

    with ThreadPoolExecutor(10) as pool:
        ended = [pool.submit(place) for _ in range(10)]
    assert {future.result() for future in ended} == {"CONFIRMED"}
    assert place() == "CONFIRMED"
    assert_stock_and_orders_agree(client, shop)
    assert nothing_is_held(client)
    assert client.get_stock("TEA").total.on_hand == ON_HAND - 1


def test_what_is_not_there_takes_nothing(client, shop: Shop) -> None:
    lines = [("TEA", "online", ON_HAND + 1)]
    assert place_order(client, shop.orders, "order-1", lines, LONG_S) == "NOT AVAILABLE"
    assert shop.saved() == {}


def test_a_save_that_fails_gives_the_units_back_at_once(client, shop: Shop) -> None:
    elsewhere = Orders(boto3_table(shop, "not-there"))
    with pytest.raises(ClientError):
        place_order(client, elsewhere, "order-1", LINES, LONG_S)
    assert nothing_is_held(client)


def test_an_id_of_another_order_is_refused(client, shop: Shop) -> None:
    place_order(client, shop.orders, "order-1", LINES, LONG_S)
    shop.table.update_item(
        Key={"order_id": "order-1"}, UpdateExpression="SET hold_id = :h",
        ExpressionAttributeValues={":h": "another"},
    )  # fmt: skip
    with pytest.raises(OrderExistsError):
        place_order(client, shop.orders, "order-1", LINES, LONG_S)


def test_a_recount_below_what_is_held_cancels(client, shop: Shop) -> None:
    held = client.place_hold(LINES, ttl=LONG_S, reference="order-1", idempotency_key="order-1")
    shop.orders.save("order-1", held.hold.hold_id, LINES)
    client.set_stock([("TEA", "online", 0)], force=True)
    assert recover(client, shop.orders) == {"order-1": "CANCELLED"}
    assert nothing_is_held(client)


def boto3_table(shop: Shop, name: str) -> Any:
    return boto3.resource(
        "dynamodb", endpoint_url=shop.table.meta.client.meta.endpoint_url,
        region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
    ).Table(name)  # fmt: skip
