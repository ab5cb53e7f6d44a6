"""The proof proves itself: with a fault planted in the scripts, the model test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.proof.planted import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "inventory_server" / "scripts"
PROOF = "tests/proof/test_model.py"


class Fault(NamedTuple):
    """A slip of the pen in one file: this text becomes that one."""

    file: str
    good: str
    bad: str


SALE_CHECK = "if #short > 0 then return refuse('insufficient_stock',"
SALE_WRITE = "local levels = write_lines(scope.lines, 'SALE', by, deltas)\n"
KEY_CHECK = """\
if known then
  if fingerprint_of(known) ~= ARGV[3] then return { 'key_reused' } end
  return { 'replay', known.record }
end
"""
PLACED = "return { 'ok', hold.record }"
UNITS_ON_HAND = "  local units = level.on_hand\n"
ALERT_CHECK = "if level and level.state_before and "
FAULTS = {
    "units that are held are promised again": [
        Fault(
            "include/level.lua",
            "return level.on_hand - level.held - level.safety_stock",
            "return level.on_hand - level.safety_stock",
        )
    ],
    "a sale is written and then checked": [
        Fault("record_sale.lua", SALE_WRITE, ""),
        Fault("record_sale.lua", SALE_CHECK, SALE_WRITE + SALE_CHECK),
    ],
    "the key of a hold is looked at after the hold was written": [
        Fault("place_hold.lua", KEY_CHECK, ""),
        Fault("place_hold.lua", PLACED, KEY_CHECK + PLACED),
    ],
    "a hold lives on in the millisecond of its deadline": [
        Fault("include/verb_memory.lua", "if now >= hold.deadline", "if now > hold.deadline")
    ],
    "an inactive product is sold": [
        Fault("record_sale.lua", "if inactive then return", "if false then return")
    ],
    "that an inactive product runs out is told": [
        Fault("include/level.lua", "not level.is_quiet and units <= 0", "units <= 0")
    ],
    "an ended hold is released again": [
        Fault(
            "release_hold.lua",
            "if answer then return answer end\n",
            "if answer and answer[1] ~= 'hold_ended' then return answer end\n",
        )
    ],
    "a low level recovers before it is past its rearm point": [
        Fault("include/level.lua", "units > level.rearm_point", "units > level.reorder_point")
    ],
    "alerts are decided by what is on hand": [
        Fault("include/level.lua", "  local units = available(level)\n", UNITS_ON_HAND)
    ],
    "what expires sends no alert": [
        Fault("include/journal.lua", ALERT_CHECK, ALERT_CHECK + "kind ~= 'EXPIRE' and ")
    ],
    "an alert tells what was there before the call, and not before its movement": [
        Fault("include/journal.lua", "  if level then level.units_before = nil end\n", "")
    ],
}


def run_proof(scripts: Path) -> subprocess.CompletedProcess[str]:
    """The model test in a process of its own, on these scripts."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.proof.planted"),
            *("-p", "no:cacheprovider", "--no-header", PROOF),
        ],
        env={**os.environ, VARIABLE: str(scripts)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(tmp_path: Path, name: str) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    for file, good, bad in FAULTS[name]:
        planted = scripts / file
        text = planted.read_text("utf-8")
        assert text.count(good) == 1, "the fault has lost its place"
        planted.write_text(text.replace(good, bad), "utf-8")
    ended = run_proof(scripts)
    assert ended.returncode == 1, ended.stdout
    assert "1 failed" in ended.stdout
    # Caught by what it does, and not because the script cannot be read.
    assert "compiling" not in ended.stdout, ended.stdout
