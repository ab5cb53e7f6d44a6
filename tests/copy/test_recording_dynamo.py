"""The benchmarks' recording DynamoDB answers as the double does, for what the drainer asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.processes import Stage
from benchmarks.recording_dynamo import RecordingDynamo
from inventory_server.stores.copy_store import ITEMS_A_WRITE
from inventory_server.stores.dynamo import Dynamo
from tests.copy.day import a_day, until_copied
from tests.copy.entries import STORE, entry, soon, until
from tests.copy.serving import assert_copy_is_the_fold, marks
from tests.dynamo import dynamo_client, make_table, moto_server


@pytest.fixture
def recording() -> Iterator[RecordingDynamo]:
    with Stage() as stage:
        yield RecordingDynamo(stage, answer_ms=1)


@pytest.fixture
def dynamo_endpoint(recording: RecordingDynamo) -> str:
    """In this file the copy is kept there, and not in the double."""
    return recording.url


@pytest.fixture
def double_endpoint() -> Iterator[str]:
    with moto_server() as endpoint:
        yield endpoint


def item(run: str, place: str, **more: str) -> dict[str, Any]:
    own = {"journal": {"S": run}, "place": {"S": place}, "at_ms": {"S": "1"}}
    return own | {name: {"S": text} for name, text in more.items()}


def advance(term: str, place: str, wanted_term: str = "") -> dict[str, Any]:
    """Moves a watermark as the drainer does, within a term and never back."""
    has_term = "#its_term = :its_term"
    either = f"(attribute_not_exists(#its_term) OR {has_term})" if not wanted_term else has_term
    return {
        "TableName": "leases",
        "Key": {"item": {"S": "store/partition/1"}},
        "UpdateExpression": "SET #owner = :owner, #term = :term, #place = :place",
        "ConditionExpression": f"{either} AND (attribute_not_exists(#place) OR #place <= :place)",
        "ExpressionAttributeNames": {
            "#its_term": "term", "#owner": "owner", "#term": "term", "#place": "place",
        },
        "ExpressionAttributeValues": {
            ":its_term": {"N": wanted_term or "0"}, ":owner": {"S": "me"}, ":term": {"N": term},
            ":place": {"N": place},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }  # fmt: skip


def register(store_id: str, epoch: str) -> dict[str, Any]:
    return {
        "TableName": "leases",
        "Item": {"item": {"S": "store"}, "store_id": {"S": store_id}, "epoch": {"N": epoch}},
        "ConditionExpression": "attribute_not_exists(#item) OR"
        " (#store_id = :store_id AND #epoch <= :epoch)",
        "ExpressionAttributeNames": {"#item": "item", "#store_id": "store_id", "#epoch": "epoch"},
        "ExpressionAttributeValues": {":store_id": {"S": store_id}, ":epoch": {"N": epoch}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def query(first: str, last: str, *, is_forward: bool = True) -> dict[str, Any]:
    return {
        "TableName": "some-movements",
        "ConsistentRead": True,
        "KeyConditionExpression": "#key = :key AND #place BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#key": "journal", "#place": "place"},
        "ExpressionAttributeValues": {
            ":key": {"S": "s/1/0/0"}, ":first": {"S": first}, ":last": {"S": last},
        },
        "ScanIndexForward": is_forward,
    }  # fmt: skip


def written(*requests: dict[str, Any]) -> dict[str, Any]:
    return {"RequestItems": {"some-movements": list(requests)}}


def movement(seq: int, kind: str = "HOLD") -> dict[str, Any]:
    return {"PutRequest": {"Item": item("s/1/0/0", f"{seq:015}:op{seq}.1", kind=kind)}}


REMOVED = {"journal": {"S": "s/1/0/0"}, "place": {"S": f"{2:015}:op2.1"}}
LEASE = {"item": {"S": "store/partition/1"}}
STORY: list[tuple[str, dict[str, Any]]] = [
    ("batch_write_item", written(*[movement(seq) for seq in range(1, 26)])),
    ("batch_write_item", written(movement(3, "SET"), {"DeleteRequest": {"Key": REMOVED}})),
    ("batch_write_item", {"RequestItems": {"nowhere": [movement(1)]}}),
    ("query", query(f"{2:015}", f"{9:015};")),
    ("query", query(f"{24:015}", f"{10**15 - 1:015};", is_forward=False)),
    ("query", query(f"{40:015}", f"{50:015};")),
    ("get_item", {"TableName": "leases", "Key": LEASE, "ConsistentRead": True}),
    ("update_item", advance("1", "10000000000000005")),
    ("update_item", advance("1", "10000000000000004", "1")),
    ("update_item", advance("1", "10000000000000015", "1")),
    ("update_item", advance("2", "10000000000000016", "7")),
    ("update_item", advance("2", "9", "1")),
    ("get_item", {"TableName": "leases", "Key": LEASE, "ConsistentRead": True}),
    ("put_item", register("ours", "2")),
    ("put_item", register("ours", "2")),
    ("put_item", register("ours", "1")),
    ("put_item", register("another", "3")),
    (
        "batch_get_item",
        {"RequestItems": {"leases": {"Keys": [LEASE, {"item": {"S": "none"}}]}}},
    ),
]


def answered(client: Any, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """What matters to the server in an answer: items, what was not done, or why it was refused."""
    try:
        answer = getattr(client, operation)(**request)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        refused = {"code": error.response["Error"]["Code"], "status": status}
        return refused | {"item": error.response.get("Item")}
    kept = ("Item", "Items", "Responses", "UnprocessedItems", "UnprocessedKeys")
    return {name: answer[name] for name in kept if name in answer}


def test_it_answers_as_the_double_does(double_endpoint, recording) -> None:
    told = []
    for endpoint in (double_endpoint, recording.url):
        client = dynamo_client(endpoint)
        make_table(client, "some-movements", "journal", "place")
        make_table(client, "leases", "item")
        told.append([answered(client, *request) for request in STORY])
    for request, double, recorded in zip(STORY, *told, strict=True):
        assert recorded == double, request
    refusals = [answer["code"] for answer in told[1] if "code" in answer]
    assert refusals.count("ConditionalCheckFailedException") == 5


@pytest.mark.parametrize(
    "batch",
    [[movement(seq) for seq in range(1, 27)], [movement(30), movement(30, "SET")]],
    ids=("26 items", "a key twice"),
)
def test_it_refuses_as_dynamodb_does_what_the_double_takes(recording, batch) -> None:
    client = dynamo_client(recording.url)
    make_table(client, "some-movements", "journal", "place")
    refused = answered(client, "batch_write_item", written(*batch))
    assert refused["code"] == "ValidationException"


async def test_a_day_is_copied_to_it_and_each_movement_counts_once(
    stock, holds, db, reader, leases, running, recording
) -> None:
    recording.begin()
    running()
    await a_day(stock, holds)
    await until_copied(db, leases)
    count = await assert_copy_is_the_fold(db, reader)
    told = recording.told()
    assert told["movements"] == count == len(told["lags_ms"])
    assert all(0 <= lag_ms < 60_000 for lag_ms in told["lags_ms"])
    assert {int(n): seq for n, seq in told["last_seqs"].items()} == marks(db)
    assert told["throttled"] == 0


async def test_what_it_sends_back_of_a_batch_is_not_there_until_it_is_sent_again(
    recording, copy, reader
) -> None:
    # It never takes all of a whole batch.
    recording.throttle(ITEMS_A_WRITE - 1)
    written = [entry(n) for n in range(1, ITEMS_A_WRITE + 1)]
    await copy.put_movements(written, soon)
    assert [found async for found in reader.movements(STORE, 1, 3, 0)] == written
    told = recording.told()
    assert told["throttled"] > 0
    assert (told["movements"], told["again"]) == (ITEMS_A_WRITE, 0)


async def test_what_it_sends_back_or_is_away_for_comes_later_and_counts_once(
    stock, holds, db, reader, leases, running, recording, dynamo: Dynamo
) -> None:
    recording.begin()
    running()
    recording.throttle(60)
    await a_day(stock, holds, seed=8)
    await until(lambda: recording.told()["throttled"])
    recording.go_away()
    await a_day(stock, holds, seed=9)
    await until(lambda: not dynamo.is_reachable)
    recording.heal()
    await until_copied(db, leases)
    count = await assert_copy_is_the_fold(db, reader)
    recording.wait_for(count)
    assert len(recording.told()["lags_ms"]) == count
