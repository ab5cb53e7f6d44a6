"""DynamoDB for tests: moto's server as a process, and clients that try once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from inventory_server import dynamo_double


@contextmanager
def moto_server(program: str = dynamo_double.__file__) -> Iterator[str]:
    """A DynamoDB that keeps everything in memory; it ends with this process, however that does."""
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "moto's server did not start"
        yield f"http://{dynamo_double.HOST}:{port}"
        process.kill()


def dynamo_client(endpoint: str, **settings: Any) -> Any:
    """A client that never asks twice, whatever the answer; `settings` are botocore's."""
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, **settings),
    )


def make_table(client: Any, name: str, *key: str) -> None:
    """A table whose key has these parts, all of them strings."""
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": part, "KeyType": kind}
            for part, kind in zip(key, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": part, "AttributeType": "S"} for part in key],
        BillingMode="PAY_PER_REQUEST",
    )
