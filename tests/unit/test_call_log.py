"""The call log: every line is JSON, whatever a caller sent."""

from __future__ import annotations

import io
import json
import logging
import sys
from time import perf_counter
from typing import Any

import pytest

from inventory_server.call_log import CallLog, JsonFormatter, TextFormatter
from inventory_server.servicers.rpc_call import RpcCall
from tests.eventually import eventually_async

HOSTILE = ['"', "\\", '","status":"OK', "a\nb", "\x00\x1b[31m", "é🧦", "\u2028", "\udcff", "}{"]


def call_of(request_id: str = "r-1", actor: str = "", *, replayed: bool = False) -> RpcCall:
    call = RpcCall(0.0)
    call.request_id, call.actor, call.replayed = request_id, actor, replayed
    return call


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


async def test_a_line_has_the_call_and_nothing_of_its_request() -> None:
    stream = io.StringIO()
    log = CallLog(stream)
    log.write("HoldService/PlaceHold", "OK", call_of(), perf_counter())
    log.flush()
    (line,) = lines_of(stream)
    assert set(line) == {"at", "method", "status", "ms", "request_id"}
    assert (line["method"], line["status"]) == ("HoldService/PlaceHold", "OK")
    assert line["request_id"] == "r-1"
    assert 0 <= line["ms"] < 1000
    assert line["at"] > 1_700_000_000


async def test_a_refusal_has_its_reason_and_a_replay_says_so() -> None:
    stream = io.StringIO()
    log = CallLog(stream)
    log.write("S/M", "NOT_FOUND", call_of(actor="till-1"), perf_counter(), "HOLD_NOT_FOUND")
    log.write("S/M", "OK", call_of(replayed=True), perf_counter())
    log.flush()
    refused, replayed = lines_of(stream)
    assert (refused["reason"], refused["actor"]) == ("HOLD_NOT_FOUND", "till-1")
    assert "replayed" not in refused
    assert replayed["replayed"] is True
    assert "reason" not in replayed


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_a_caller_sends_cannot_forge_a_line(text: str) -> None:
    stream = io.StringIO()
    log = CallLog(stream)
    log.write("S/M", "INTERNAL", call_of(text, text), perf_counter())
    log.flush()
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    (line,) = lines_of(stream)
    assert (line["request_id"], line["actor"], line["status"]) == (text, text, "INTERNAL")


async def test_lines_are_written_together_a_little_later() -> None:
    stream = io.StringIO()
    log = CallLog(stream)
    for n in range(3):
        log.write("S/M", "OK", call_of(f"r-{n}"), perf_counter())
    assert stream.getvalue() == ""

    async def written() -> bool:
        return len(lines_of(stream)) == 3

    await eventually_async(written, timeout_s=5)
    assert [line["request_id"] for line in lines_of(stream)] == ["r-0", "r-1", "r-2"]


async def test_without_a_stream_nothing_is_kept() -> None:
    log = CallLog(None)
    log.write("S/M", "OK", call_of(), perf_counter())
    log.flush()
    assert log._lines == []


async def test_a_stream_that_fails_is_told_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left on device")

    log = CallLog(Full())
    log.write("S/M", "OK", call_of(), perf_counter())
    log.flush()
    assert "1 call lines were lost: no space left on device" in caplog.text
    log.flush()


def record_of(message: str, *, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            raise ValueError("within")
        except ValueError:
            error = sys.exc_info()
    return logging.LogRecord("inventory_server.x", logging.ERROR, "f", 1, message, ("a\nb",), error)


def test_a_log_record_is_one_line_of_json() -> None:
    line = JsonFormatter().format(record_of("it says %s", failed=True))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("ERROR", "inventory_server.x")
    assert entry["message"] == "it says a\nb"
    assert "ValueError: within" in entry["error"]
    assert "error" not in json.loads(JsonFormatter().format(record_of("it says %s")))


def test_a_log_record_for_a_person_has_its_traceback_below() -> None:
    first, *rest = TextFormatter().format(record_of("failed: %r", failed=True)).split("\n")
    assert first.endswith("error   failed: 'a\\nb'")
    assert rest[-1] == "ValueError: within"
