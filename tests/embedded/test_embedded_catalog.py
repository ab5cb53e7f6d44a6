"""The program with its own DynamoDB: the sample catalogue, `create-tables`, what is forgotten."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import catalog_service_pb2 as pb
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub
from typer.testing import CliRunner

from inventory_server.cli import app
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.copy_tables import copy_table_names
from tests.dynamo import dynamo_client
from tests.eventually import eventually
from tests.faults.dynamo_proxy import DynamoProxy, refused

CATALOG = "inventory.v1.CatalogService"


def summary(server: Any) -> pb.GetInventorySummaryResponse | None:
    """The sums, once they can be told."""
    try:
        return CatalogServiceStub(server.channel).GetInventorySummary(
            pb.GetInventorySummaryRequest()
        )
    except grpc.RpcError:
        return None


def is_serving(server: Any) -> bool:
    check = health_pb2.HealthCheckRequest(service=CATALOG)
    status = health_pb2_grpc.HealthStub(server.channel).Check(check).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)


def test_the_sample_catalogue_is_there_soon_after_stock_is(start) -> None:
    server = start("--sample-data", INVENTORY_DYNAMODB_ENDPOINT="")

    def all_there() -> bool:
        found = summary(server)
        return found is not None and found.products == 902

    eventually(all_there, timeout_s=90)
    found = summary(server)
    assert found is not None
    assert (found.levels, found.active_products, found.unpriced_levels) == (5412, 902, 0)
    assert [value.currency for value in found.values] == ["INR"]


def test_it_is_forgotten_at_the_stop_and_stock_forgets_with_it_who_was_inactive(start) -> None:
    server = start(INVENTORY_DYNAMODB_ENDPOINT="embedded")
    eventually(lambda: is_serving(server), timeout_s=60)
    product = pb.Product(sku="A", name="Chair", active=False)
    CatalogServiceStub(server.channel).UpsertProduct(pb.UpsertProductRequest(product=product))
    with server.redis() as db:
        assert db.sismember("inv:{0}:inactive", "A")
    server.close()
    server = start(INVENTORY_DYNAMODB_ENDPOINT="embedded")
    eventually(lambda: is_serving(server), timeout_s=60)
    with server.redis() as db:
        assert not db.exists("inv:{0}:inactive")


def test_a_server_without_a_catalogue_has_no_catalogue_service(start) -> None:
    server = start(INVENTORY_DYNAMODB_ENDPOINT="off")
    with pytest.raises(grpc.RpcError) as caught:
        CatalogServiceStub(server.channel).ListUnits(pb.ListUnitsRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `create-tables` with these options."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    return lambda *options: CliRunner().invoke(app, ["create-tables", *options])


def test_tables_are_made_once(run, dynamo_endpoint, table_prefix) -> None:
    options = ("--dynamodb-endpoint", dynamo_endpoint, "--table-prefix", table_prefix)
    of_catalogue, of_copy = table_names(table_prefix), copy_table_names(table_prefix)
    names = [*of_catalogue, *of_copy]
    first = run(*options)
    assert (first.exit_code, first.output.splitlines()) == (0, [f"{name}: made" for name in names])
    again = run(*options)
    assert again.output.splitlines() == [f"{name}: was there" for name in names]
    client = dynamo_client(dynamo_endpoint)
    for name in names:
        assert client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE"
    for name in (of_catalogue.changes, of_copy.holds):
        expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expire_at")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dynamodb-endpoint", "embedded"), "must be an address, or aws"),
        (("--dynamodb-endpoint", "ftp://x"), "must be an http:// or https:// address"),
        (("--dynamodb-endpoint", "http://127.0.0.1:1"), "out of reach"),
        (("--table-prefix", "a b"), "must be at most 200 of"),
    ],
)
def test_what_keeps_tables_from_being_made_is_said_in_a_sentence(run, options, sentence) -> None:
    ended = run(*options)
    assert ended.exit_code == 2
    assert sentence in ended.output


def test_a_refusal_of_dynamodb_is_said_in_a_sentence(run, dynamo_proxy: DynamoProxy) -> None:
    dynamo_proxy.inject(refused("AccessDeniedException"))
    ended = run("--dynamodb-endpoint", dynamo_proxy.endpoint)
    assert (ended.exit_code, "AccessDeniedException" in ended.output) == (2, True)


def test_help_says_what_it_does() -> None:
    command = [sys.executable, "-m", "inventory_server", "create-tables", "--help"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    assert "tables of the catalogue and of the durable copy" in said
