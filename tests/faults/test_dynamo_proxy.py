"""The proxy before DynamoDB does what the tests of the catalogue rely on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.dynamo import dynamo_client, make_table
from tests.eventually import eventually
from tests.faults.dynamo_proxy import (
    THROTTLES,
    DynamoProxy,
    broken,
    delayed,
    partly,
    reply_lost,
    silent,
    throttled,
)


@pytest.fixture
def store(dynamo_endpoint: str) -> Iterator[Any]:
    """DynamoDB itself."""
    with closing(dynamo_client(dynamo_endpoint)) as client:
        yield client


@pytest.fixture
def table(store: Any, table_prefix: str) -> str:
    make_table(store, f"{table_prefix}t", "k")
    return f"{table_prefix}t"


@pytest.fixture
def client(dynamo_proxy: DynamoProxy) -> Iterator[Any]:
    """A client of the proxy."""
    with closing(dynamo_client(dynamo_proxy.endpoint)) as opened:
        yield opened


def key(name: str) -> dict[str, Any]:
    return {"k": {"S": name}}


def keys_in(store: Any, table: str) -> list[str]:
    return sorted(item["k"]["S"] for item in store.scan(TableName=table)["Items"])


def error_of(call: Callable[[], Any]) -> tuple[int, str]:
    """The status and the code that a call is refused with."""
    with pytest.raises(ClientError) as refusal:
        call()
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_without_a_fault_it_is_as_if_it_were_not_there(
    dynamo_proxy: DynamoProxy, client: Any, store: Any, table: str
) -> None:
    client.put_item(TableName=table, Item=key("a"))
    assert client.get_item(TableName=table, Key=key("a"))["Item"] == key("a")
    unless_there = "attribute_not_exists(k)"
    again = lambda: client.put_item(  # noqa: E731
        TableName=table, Item=key("a"), ConditionExpression=unless_there
    )
    assert error_of(again) == (400, "ConditionalCheckFailedException")
    assert keys_in(store, table) == ["a"]
    assert dynamo_proxy.requests == {"PutItem": 2, "GetItem": 1}


@pytest.mark.parametrize("code", THROTTLES)
def test_it_throttles_so_many_requests_of_an_operation(
    dynamo_proxy: DynamoProxy, client: Any, store: Any, table: str, code: str
) -> None:
    dynamo_proxy.inject(throttled(code), operation="PutItem", times=2)
    for _ in range(2):
        client.get_item(TableName=table, Key=key("a"))
        assert error_of(lambda: client.put_item(TableName=table, Item=key("a"))) == (400, code)
    assert keys_in(store, table) == []
    client.put_item(TableName=table, Item=key("a"))
    assert keys_in(store, table) == ["a"]
    assert dynamo_proxy.requests == {"PutItem": 3, "GetItem": 2}


def test_it_fails_every_request_until_it_is_healed(
    dynamo_proxy: DynamoProxy, client: Any, table: str
) -> None:
    dynamo_proxy.inject(broken)
    for _ in range(3):
        assert error_of(client.list_tables) == (500, "InternalServerError")
    dynamo_proxy.heal()
    assert client.describe_table(TableName=table)["Table"]["TableName"] == table


def test_faults_come_in_the_order_in_which_they_were_put_in(
    dynamo_proxy: DynamoProxy, client: Any
) -> None:
    dynamo_proxy.inject(throttled(), times=1)
    dynamo_proxy.inject(broken, times=1)
    assert [error_of(client.list_tables)[0] for _ in range(2)] == [400, 500]
    assert client.list_tables()


def test_a_reply_that_is_lost_is_of_something_that_was_done(
    dynamo_proxy: DynamoProxy, client: Any, store: Any, table: str
) -> None:
    dynamo_proxy.inject(reply_lost, operation="PutItem", times=1)
    with pytest.raises(ConnectionClosedError):
        client.put_item(TableName=table, Item=key("a"))
    assert keys_in(store, table) == ["a"]
    assert client.get_item(TableName=table, Key=key("a"))["Item"] == key("a")


def test_a_delayed_answer_is_of_something_that_was_done_at_once(
    dynamo_proxy: DynamoProxy, store: Any, table: str
) -> None:
    dynamo_proxy.inject(delayed(3600), operation="PutItem")
    dynamo_proxy.inject(delayed(0.001), operation="GetItem")
    with closing(dynamo_client(dynamo_proxy.endpoint, read_timeout=0.5)) as hasty:
        with pytest.raises(ReadTimeoutError):
            hasty.put_item(TableName=table, Item=key("a"))
        assert keys_in(store, table) == ["a"]
        assert hasty.get_item(TableName=table, Key=key("a"))["Item"] == key("a")


def test_a_silence_does_nothing_and_lasts(
    dynamo_proxy: DynamoProxy, store: Any, table: str
) -> None:
    dynamo_proxy.inject(silent, operation="PutItem")
    with (
        closing(dynamo_client(dynamo_proxy.endpoint, read_timeout=0.2)) as hasty,
        pytest.raises(ReadTimeoutError),
    ):
        hasty.put_item(TableName=table, Item=key("a"))
    assert keys_in(store, table) == []


def test_a_stop_cuts_who_waits_and_refuses_who_comes(
    dynamo_proxy: DynamoProxy, client: Any, table: str
) -> None:
    ends: list[Exception] = []

    def waits() -> None:
        with closing(dynamo_client(dynamo_proxy.endpoint)) as waiting:
            try:
                waiting.get_item(TableName=table, Key=key("a"))
            except Exception as error:
                ends.append(error)

    dynamo_proxy.inject(silent, operation="GetItem")
    thread = threading.Thread(target=waits)
    thread.start()
    eventually(lambda: dynamo_proxy.requests["GetItem"])
    dynamo_proxy.stop()
    thread.join()
    assert [type(error) for error in ends] == [ConnectionClosedError]
    with pytest.raises(EndpointConnectionError):
        client.list_tables()
    dynamo_proxy.start()
    assert client.describe_table(TableName=table)["Table"]["TableName"] == table


@pytest.mark.parametrize("done", [0, 2, 3])
def test_it_leaves_a_part_of_a_batch_undone(
    dynamo_proxy: DynamoProxy, client: Any, store: Any, table: str, table_prefix: str, done: int
) -> None:
    other = f"{table_prefix}other"
    make_table(store, other, "k")
    dynamo_proxy.inject(partly(done))
    named = {table: ["a", "b"], other: ["c", "d"]}
    items = {name: [{"PutRequest": {"Item": key(k)}} for k in some] for name, some in named.items()}
    left = client.batch_write_item(RequestItems=items)["UnprocessedItems"]
    written = [*keys_in(store, table), *keys_in(store, other)]
    assert written == list("abcd")[:done]
    assert [put["PutRequest"]["Item"]["k"]["S"] for puts in left.values() for put in puts] == (
        list("abcd")[done:]
    )
    store.batch_write_item(RequestItems=items)
    wanted = {
        name: {"Keys": [key(k) for k in some], "ConsistentRead": True}
        for name, some in named.items()
    }
    answer = client.batch_get_item(RequestItems=wanted)
    read = [item["k"]["S"] for found in answer["Responses"].values() for item in found]
    assert sorted(read) == list("abcd")[:done]
    rest = answer["UnprocessedKeys"]
    assert [k["k"]["S"] for part in rest.values() for k in part["Keys"]] == list("abcd")[done:]
    assert all(part["ConsistentRead"] for part in rest.values())
