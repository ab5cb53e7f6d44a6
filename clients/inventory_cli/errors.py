"""What can go wrong, as one plain sentence each, and the status that the command exits with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY: Final = "grpc-status-details-bin"
DOMAIN: Final = "inventory.v1"
NEEDS_ATTENTION: Final = "STORE_REWOUND"
"""A reason under UNAVAILABLE that stays until somebody has looked."""


WHERE_HINT: Final = "is it running? --server, INVENTORY_SERVER or the config file say where"


class ExitStatus(IntEnum):
    """What the exit statuses say. A signal's is 128 and its number."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3
    NOT_FOUND = 4
    OUTCOME_UNKNOWN = 5
    BROKEN_PIPE = 141


class CliError(Exception):
    """Ends the command. The text is a sentence for the user."""

    exit_status: int = ExitStatus.USAGE
    reason = ""
    """A value of ErrorReason by name, where the server gave one."""
    hint = ""
    can_resume = True
    """Whether the same command under the same key can get further."""


class UsageError(CliError):
    """The options and the file do not go together; nothing was sent."""


class FileError(CliError):
    """The file cannot be read, or not any further."""


class ServerError(CliError):
    """The server refused the call, or cannot be reached.

    `reason` is a value of ErrorReason by name, empty where the server gave
    none. `retry_delay_s` is the pause that the server asks for.
    """

    exit_status = ExitStatus.UNAVAILABLE

    def __init__(
        self,
        sentence: str,
        *,
        reason: str = "",
        is_transient: bool = False,
        can_resume: bool = True,
        retry_delay_s: float = 0.0,
        hint: str = "",
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.is_transient = is_transient
        self.can_resume = can_resume
        self.retry_delay_s = retry_delay_s
        self.hint = hint


def unreachable(server: str) -> ServerError:
    """The error of a server that no connection can be made to."""
    return ServerError(
        f"the server at {server} cannot be reached",
        is_transient=True,
        hint=WHERE_HINT,
    )


def server_error_of(call: grpc.Call, server: str) -> ServerError:
    """The error that a call ended with, in words."""
    code = call.code()
    reason, message, delay_s = _details_of(call.trailing_metadata() or ())
    is_transient = code is grpc.StatusCode.UNAVAILABLE and reason != NEEDS_ATTENTION
    return ServerError(
        f"{reason}: {message}" if reason else _sentence_of(code, call.details() or "", server),
        reason=reason,
        is_transient=is_transient,
        can_resume=code is not grpc.StatusCode.INVALID_ARGUMENT,
        retry_delay_s=delay_s,
    )


def _details_of(trailers: Iterable[tuple[str, str | bytes]]) -> tuple[str, str, float]:
    """The reason, the message and the pause in seconds; empty where there are none."""
    packed = next((value for name, value in trailers if name == DETAILS_KEY), b"")
    try:
        status = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else b"")
    except DecodeError:
        return "", "", 0.0
    info, pause = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    reason, delay_s = "", 0.0
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason = info.reason
        elif detail.Unpack(pause):
            delay_s = pause.retry_delay.seconds + pause.retry_delay.nanos / 1e9
    return reason, status.message, delay_s


def _sentence_of(code: grpc.StatusCode, text: str, server: str) -> str:
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"the connection to the server at {server} broke"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"what answers at {server} is not an inventory server, or an older one"
    return f"{code.name}: {text}"
