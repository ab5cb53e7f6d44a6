"""DynamoDB: operations asked from threads of their own, each bounded by its deadline.

boto3 blocks, so calls run in a small pool and never in the event loop. One
client serves all threads (clients are thread-safe, sessions are not). Its own
retries are off: it knows no deadline. Here a call is repeated until its
deadline, so every write that is sent through here may be repeated: it is
conditional, and whoever sends it knows its own work again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from time import monotonic
from typing import Any, Final
from zlib import crc32

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from inventory_server.domain.errors import CatalogThrottled, StoreUnavailable

log = logging.getLogger(__name__)

Item = dict[str, dict[str, Any]]
"""An item as DynamoDB has it: names, and values with their types."""

_THROTTLED: Final = frozenset(
    (
        *("ProvisionedThroughputExceededException", "ThrottlingException", "Throttling"),
        *("RequestLimitExceeded", "LimitExceededException", "TransactionInProgressException"),
    )
)


class LostError(Exception):
    """A request was sent and no answer came in time: perhaps it was done."""


class NotSetUpError(StoreUnavailable):
    """There is no DynamoDB to ask: no region, or no credentials."""


class ConditionFailedError(Exception):
    """A condition did not hold. `item` is the one that is there, empty for none."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition did not hold")
        self.item = item


class Dynamo:
    """Asks DynamoDB. `open` first; until then, and while it is out of reach, calls fail at once."""

    THREADS: Final = 16
    MOST_WAITING: Final = 256
    CONNECT_TIMEOUT_S: Final = 1.0
    READ_TIMEOUT_S: Final = 2.0
    FIRST_PAUSE_S: Final = 0.05
    LONGEST_PAUSE_S: Final = 0.8

    def __init__(
        self, *, endpoint: str = "", region: str = "", is_double: bool = False,
        serves: str = "catalogue", threads: int = THREADS,
    ) -> None:  # fmt: skip
        """An empty endpoint is AWS's own, with AWS's usual settings; a double gets no secrets.

        `serves` is what is kept there, for sentences.
        """
        self.endpoint = endpoint
        self.name = f"the {serves}'s store"
        self.threads = threads
        self._region = region
        self._is_double = is_double
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dynamo")
        self._client: Any = None
        self._in_flight = 0
        self._answered_at = 0.0
        self.is_reachable = False
        """What the last call found out."""

    @property
    def is_open(self) -> bool:
        """Whether there is a client."""
        return self._client is not None

    async def open(self) -> None:
        """Makes the client, which takes a while; nothing is sent. Raises StoreUnavailable."""
        try:
            self._client = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._make_client
            )
        except NoRegionError as error:
            raise NotSetUpError(
                f"{self.name} cannot be used: no DynamoDB is named; give --dynamodb-endpoint an"
                " address, or `aws` with AWS_REGION set"
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise NotSetUpError(f"{self.name} cannot be used: {error}") from error
        self.is_reachable = True

    def close(self) -> None:
        """Starts nothing more; what is on its way ends by its timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def call(
        self, operation: str, deadline: float, *, is_probe: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        """The answer to an operation that may be repeated.

        While DynamoDB is out of reach only probes are sent. Raises StoreUnavailable and
        CatalogThrottled (not done), LostError (perhaps done), ConditionFailedError.
        """
        if self._client is None or not (self.is_reachable or is_probe):
            raise StoreUnavailable(f"{self.name} is out of reach")
        attempt = _Attempts(self._client, operation, arguments, deadline, self.name)
        while True:
            try:
                answer = await self._run(attempt.ask, deadline)
            except _AgainError as error:
                if not await attempt.pause(error):
                    self._note(attempt.is_reached, attempt.began)
                    raise attempt.end(error) from error
            else:
                self._note(True, attempt.began)
                return answer

    async def _run(self, ask: Callable[[], dict[str, Any]], deadline: float) -> dict[str, Any]:
        if self._in_flight >= self.threads + self.MOST_WAITING:
            raise CatalogThrottled
        loop = asyncio.get_running_loop()
        self._in_flight += 1
        future = loop.run_in_executor(self._pool, ask)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout_at(deadline):
                # A thread cannot be stopped: it ends by its own timeouts, and nobody looks.
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise _AgainError("no answer in time", is_lost=True) from error

    def _done(self, future: asyncio.Future[dict[str, Any]]) -> None:
        self._in_flight -= 1
        if not future.cancelled():
            future.exception()

    def _note(self, is_reached: bool, began: float) -> None:
        """Takes up what a call found out; a failure that began before the last success is old."""
        if is_reached:
            self._answered_at = monotonic()
        elif began < self._answered_at:
            return
        if is_reached != self.is_reachable:
            log.log(
                logging.INFO if is_reached else logging.WARNING,
                "%s is %s", self.name, "there" if is_reached else "out of reach",
            )  # fmt: skip
        self.is_reachable = is_reached

    def _make_client(self) -> Any:
        from botocore.config import Config

        session = _session()
        given: dict[str, Any] = {}
        if self.endpoint:
            given["endpoint_url"] = self.endpoint
        if self._is_double:
            given |= {"aws_access_key_id": "double", "aws_secret_access_key": "double"}
        if self.endpoint or self._region:
            given["region_name"] = self._region or session.region_name or "us-east-1"
        config = Config(
            connect_timeout=self.CONNECT_TIMEOUT_S,
            read_timeout=self.READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=self.threads,
            parameter_validation=False,
        )
        client = session.client("dynamodb", config=config, **given)
        client.meta.events.register("before-parse.dynamodb", _check_whole)
        return client


@cache
def _session() -> Any:
    """boto3's session. Half a second's work, which nobody but the catalogue waits for."""
    import boto3

    return boto3.session.Session()


def _check_whole(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Refuses an answer that was cut short: botocore takes one without a body for an empty
    one, in which nothing was found, and nothing of a batch was left out.
    """
    headers, body = response_dict["headers"], response_dict["body"]
    length, checksum = int(headers.get("Content-Length", len(body))), headers.get("x-amz-crc32")
    if length != len(body) or (checksum is not None and int(checksum) != crc32(body)):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=length)


class _AgainError(Exception):
    """An attempt that may be repeated."""

    def __init__(self, why: str, *, is_lost: bool = False, is_throttled: bool = False) -> None:
        super().__init__(why)
        self.is_lost = is_lost
        self.is_throttled = is_throttled


class _Attempts:
    """One call, as often as it takes."""

    def __init__(
        self, client: Any, operation: str, arguments: Mapping[str, Any], deadline: float, name: str
    ) -> None:
        self._name = name
        self._send = partial(getattr(client, operation), **arguments)
        self._operation = operation
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self.began = monotonic()
        self._until = self.began + deadline - self._loop.time()
        self._pause_s = Dynamo.FIRST_PAUSE_S
        self._is_lost = False
        self.is_reached = True

    def ask(self) -> dict[str, Any]:
        """One attempt, in a thread."""
        if monotonic() >= self._until:
            raise _AgainError("no time was left to send it")
        try:
            answer: dict[str, Any] = self._send()
            return answer
        except ClientError as error:
            raise self._judge(error) from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            self.is_reached = False
            raise _AgainError(str(error)) from error
        except (HTTPClientError, IncompleteReadError, ResponseParserError) as error:
            raise _AgainError(str(error), is_lost=True) from error
        except BotoCoreError as error:
            # No credentials, no region: nothing was sent, and nothing will help.
            raise NotSetUpError(f"{self._name} cannot be used: {error}") from error

    async def pause(self, error: _AgainError) -> bool:
        """Waits before the next attempt; False where there is no sense in one."""
        if error.is_lost:
            self._is_lost, self.is_reached = True, False
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers
        self._pause_s = min(2 * self._pause_s, Dynamo.LONGEST_PAUSE_S)
        if not (self.is_reached or error.is_lost) or self._loop.time() + pause_s >= self._deadline:
            return False
        await asyncio.sleep(pause_s)
        return True

    def end(self, error: _AgainError) -> Exception:
        """What to raise in the end."""
        if self._is_lost:
            return LostError(str(error))
        if error.is_throttled:
            return CatalogThrottled()
        return StoreUnavailable(f"{self._name} is out of reach: {error}")

    def _judge(self, error: ClientError) -> Exception:
        details, status = error.response["Error"], error.response["ResponseMetadata"]
        code = details.get("Code", "")
        if code == "ConditionalCheckFailedException":
            return ConditionFailedError(error.response.get("Item") or {})
        if code in _THROTTLED:
            return _AgainError(code, is_throttled=True)
        if status.get("HTTPStatusCode", 500) >= 500:
            return _AgainError(f"it answered {code}", is_lost=True)
        if code == "ResourceNotFoundException":
            return StoreUnavailable(f"{self._name} has not all its tables: create them")
        if code == "ValidationException":
            return RuntimeError(f"{self._operation}: {details.get('Message')}")
        return StoreUnavailable(f"{self._name} refused: {code}")
