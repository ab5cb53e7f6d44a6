"""How a command fails: the sentence, the hint, the exit status, and how to go on."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from inventory_cli.errors import ExitStatus
from inventory_cli.refusals import refusal_of
from inventory_client import Failure
from inventory_client.errors import BY_REASON, NeverConnected
from inventory_client.failures import typed_error

from tests.cli.conftest import Inv, invoke
from tests.client.command_line import PROGRAM, environment, run
from tests.eventually import eventually_async
from tests.library.scripted import SILENT, Said, ScriptedServer, scripted_server
from tests.processes import free_port

UNKNOWN = Said(grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")
STATUSES = {
    ExitStatus.REFUSED: (
        *("HOLD_ALREADY_CONFIRMED", "HOLD_ALREADY_RELEASED", "HOLD_EXPIRED", "INSUFFICIENT_STOCK"),
        *("BELOW_HELD", "QUANTITY_EXCEEDS_HELD", "TOTAL_TOO_LARGE", "ON_HAND_MISMATCH"),
        *("LEVEL_IN_USE", "REARM_BELOW_REORDER", "PRODUCT_INACTIVE", "TOO_MANY_PARTS"),
        *("ETAG_MISMATCH", "BARCODE_TAKEN", "VALUE_TOO_LARGE", "CURSOR_EXPIRED", "LEVEL_BUSY"),
    ),
    ExitStatus.USAGE: ("INVALID_REQUEST", "IDEMPOTENCY_KEY_REUSED"),
    ExitStatus.UNAVAILABLE: (
        *("CATALOG_THROTTLED", "SLOW_CONSUMER", "TOO_MANY_STREAMS", "STORE_UNAVAILABLE"),
        *("OUTCOME_UNKNOWN", "STORE_REWOUND", "STORE_FULL", "DRAINING", "INTERNAL"),
    ),
    ExitStatus.NOT_FOUND: ("STOCK_LEVEL_NOT_FOUND", "HOLD_NOT_FOUND", "PRODUCT_NOT_FOUND"),
}


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


async def run_against(server: ScriptedServer, *arguments: str) -> Any:
    return await asyncio.to_thread(run, *arguments, server=server.address)


def test_every_reason_has_its_exit_status() -> None:
    told = {reason: status for status, reasons in STATUSES.items() for reason in reasons}
    assert set(told) == set(BY_REASON)
    for reason, status in told.items():
        error = BY_REASON[reason](Failure(code=grpc.StatusCode.UNKNOWN, message="m", reason=reason))
        assert refusal_of(error, "s", 1).status is status, reason
        error.maybe_applied = True
        assert refusal_of(error, "s", 1).status is ExitStatus.OUTCOME_UNKNOWN


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "what answers at s is not an inventory server"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "no answer of the server at s within 1.5 s"),
        (grpc.StatusCode.UNAVAILABLE, "the connection to the server at s broke"),
        (grpc.StatusCode.PERMISSION_DENIED, "words of the server"),
    ],
)
def test_what_has_no_reason_has_a_sentence(code: grpc.StatusCode, sentence: str) -> None:
    error = typed_error(Failure(code=code, message="words of the server"))
    refusal = refusal_of(error, "s", 1.5)
    assert refusal.sentence.startswith(sentence)
    assert refusal.status is ExitStatus.UNAVAILABLE


def test_nothing_was_changed_is_said_of_changes_only() -> None:
    error = NeverConnected(Failure(code=grpc.StatusCode.UNAVAILABLE, message=""))
    assert "INVENTORY_SERVER" in refusal_of(error, "s", 1).hint
    draining = BY_REASON["DRAINING"](
        Failure(code=grpc.StatusCode.UNAVAILABLE, message="m", reason="DRAINING")
    )
    assert refusal_of(draining, "s", 1).hint == "try again"
    draining.idempotency_key = "k"
    assert refusal_of(draining, "s", 1).hint == "nothing was changed: try again"


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    where = f"127.0.0.1:{free_port()}"
    for command in (("stock", "get", "A"), ("hold", "place", "A=1"), ("verify",)):
        ended = invoke(*command, INVENTORY_SERVER=where)
        assert (ended.status, ended.out) == (3, "")
        assert ended.err.splitlines() == [
            f"inventory: the server at {where} cannot be reached",
            "hint: is it running? --server, INVENTORY_SERVER or the config file say where",
        ]


def test_scripts_are_told_everything_as_json(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5")
    ended = inv("hold", "place", f"{sku}=9", "-o", "json", "--key", f"{sku}-k")
    assert ended.status == 1
    assert ended.err.startswith("inventory: not enough stock")
    sentence = f"not enough stock: {sku}@online (requested 9, available 5, sellable 5)"
    facts = {"available": "5", "location": "online", "requested": "9", "sellable": "5"}
    assert ended.json == {
        "error": {
            "reason": "INSUFFICIENT_STOCK",
            "message": sentence,
            "hint": "ask for at most what is sellable; `hold place --partial` takes that",
            "exit_status": 1,
            "facts": {**facts, "short_lines": "1", "sku": sku},
            "lines": [
                {"sku": sku, "location": "online", "requested": 9, "available": 5, "sellable": 5}
            ],
            "maybe_applied": False,
            "idempotency_key": f"{sku}-k",
        }
    }
    wrong = inv("hold", "place", "nonsense", "-o", "json")
    assert wrong.status == 2
    assert wrong.json["error"]["exit_status"] == 2
    assert wrong.json["error"]["message"].startswith("a line is SKU[@LOCATION]=QUANTITY")


def test_a_wrong_field_is_wrong_usage(inv: Inv) -> None:
    ended = inv("stock", "get", "A B")
    assert ended.status == 2
    assert "sku" in ended.err
    assert inv("hold", "place", "A=0").status == 2


async def test_an_unknown_outcome_comes_with_the_command_that_settles_it(
    scripted: ScriptedServer,
) -> None:
    scripted.script.extend([UNKNOWN] * 1000)
    command = ("--timeout", "2s", "stock", "adjust", "A=+2", "--reason", "receipt")
    done = await run_against(scripted, *command, "--note", "two words")
    assert done.returncode == 5
    assert done.stdout == ""
    keys = {seen.key for seen in scripted.seen}
    assert len(keys) == 1
    (key,) = keys
    lines = done.stderr.splitlines()
    assert lines[1] == (f"Perhaps it was done. Its idempotency key is {key}; this settles it,")
    words = shlex.split(lines[-1])
    assert words == ["inventory", *command, "--note", "two words", "--key", key]
    scripted.script.clear()
    again = await run_against(scripted, *words[1:])
    assert again.returncode == 0
    assert {seen.key for seen in scripted.seen} == keys


async def test_a_key_of_ones_own_is_not_named_twice_in_that_command(
    scripted: ScriptedServer,
) -> None:
    scripted.script.extend([SILENT] * 10)
    command = ("hold", "place", "A=1", "--key", "mine", "--timeout", "1s")
    done = await run_against(scripted, *command)
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1] == f"  inventory {shlex.join(command)}"


async def test_a_read_that_is_not_answered_is_no_unknown_outcome(
    scripted: ScriptedServer,
) -> None:
    scripted.script.extend([SILENT] * 10)
    done = await run_against(scripted, "stock", "get", "A", "--timeout", "1s")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"inventory: no answer of the server at {scripted.address} within 1 s",
        "hint: --timeout gives it more time",
    ]


async def test_ctrl_c_in_the_middle_of_a_change_tells_its_key(scripted: ScriptedServer) -> None:
    scripted.script.extend([SILENT] * 10)

    async def is_sent() -> bool:
        return bool(scripted.seen)

    with subprocess.Popen(
        [*PROGRAM, "hold", "place", "A=1"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(INVENTORY_SERVER=scripted.address),
    ) as process:
        await eventually_async(is_sent, timeout_s=40)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 40) == 130
        assert process.stderr is not None
        told = process.stderr.read()
    assert told.splitlines()[0] == "inventory: stopped by Ctrl-C"
    assert re.search(r"inventory hold place A=1 --key ([0-9a-f]{32})\n$", told)
    assert scripted.seen[0].key in told


async def test_ctrl_c_in_the_middle_of_a_read_is_quiet(scripted: ScriptedServer) -> None:
    scripted.script.extend([SILENT] * 10)

    async def is_sent() -> bool:
        return bool(scripted.seen)

    with subprocess.Popen(
        [*PROGRAM, "stock", "get", "A"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(INVENTORY_SERVER=scripted.address),
    ) as process:
        await eventually_async(is_sent, timeout_s=40)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 40) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
