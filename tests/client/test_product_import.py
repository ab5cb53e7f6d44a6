"""`inventory products import`: what is sent, what is said of it, and how it goes on."""

from __future__ import annotations

import csv
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.client import command_line
from tests.client.catalog_double import CatalogDouble, failure, serving
from tests.client.command_line import PROGRAM, ROOT, environment, run
from tests.eventually import eventually
from tests.processes import free_port


@pytest.fixture
def catalog() -> Iterator[CatalogDouble]:
    with serving() as double:
        yield double


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "products.csv"


def run_import(file: Path, *options: str, server: str = "") -> subprocess.CompletedProcess[str]:
    return command_line.run_import(file, *options, server=server, what="products")


def import_result(file: Path, *options: str, server: str) -> dict[str, Any]:
    return command_line.import_result(file, *options, server=server, what="products")


def rows_of(catalog: CatalogDouble) -> list[dict[str, str]]:
    return [dict(row.cells) for request in catalog.requests for row in request.rows]


# What is sent


def test_the_sample_products_go_in(catalog: CatalogDouble) -> None:
    sample = ROOT / "data" / "products.csv"
    done = run_import(sample, server=catalog.address)
    assert done.returncode == 0, done.stderr
    with sample.open(encoding="utf-8", newline="") as opened:
        assert rows_of(catalog) == list(csv.DictReader(opened))
    assert [(sent.first_row, len(sent.rows)) for sent in catalog.requests] == [(1, 500), (501, 402)]
    assert "Unchanged" in done.stdout
    start = f"{sample}: 902 of 902 rows went in, 0 were in already, 0 refused, in "
    assert done.stderr.startswith(start)


def test_the_standard_input_is_read(catalog: CatalogDouble) -> None:
    done = run("products", "import", "-", server=catalog.address, stdin=b"sku,name\nA,Chair\n")
    assert done.returncode == 0, done.stderr
    assert rows_of(catalog) == [{"sku": "A", "name": "Chair"}]


def test_cells_are_sent_as_they_are_under_the_columns_names(
    catalog: CatalogDouble, file: Path
) -> None:
    header = b'\xef\xbb\xbfSKU, ProductDisplayName ,"Legs\n(pieces)",Colour,,\r\n'
    file.write_bytes(header + b' A ,"Chair, ""oak""",4,"dark\r\nbrown",,\r\n\r\nB,,,\xc3\xa9,,\r\n')
    assert run_import(file, server=catalog.address).returncode == 0
    assert rows_of(catalog) == [
        {
            "SKU": " A ", "ProductDisplayName": 'Chair, "oak"', "Legs\n(pieces)": "4",
            "Colour": "dark\r\nbrown",
        },
        {"SKU": "B", "ProductDisplayName": "", "Legs\n(pieces)": "", "Colour": "é"},
    ]  # fmt: skip


def test_rows_go_in_few_where_they_are_large(catalog: CatalogDouble, file: Path) -> None:
    notes = {f"P{n}": "é" * (10_000 + n) for n in range(100)}
    file.write_text("sku,note\n" + "".join(f"{sku},{note}\n" for sku, note in notes.items()))
    done = run_import(file, server=catalog.address)
    assert done.returncode == 0, done.stderr
    assert {sku: row["note"] for sku, row in catalog.products.items()} == notes
    assert len(catalog.requests) > 1
    assert max(request.ByteSize() for request in catalog.requests) < 600 << 10
    next_row = 1
    for request in catalog.requests:
        assert request.first_row == next_row
        next_row += len(request.rows)


# What stays out


def test_bad_rows_are_told_by_their_line_and_the_others_go_in(
    catalog: CatalogDouble, file: Path
) -> None:
    file.write_text(
        "sku,name,,price\n"
        "A,Chair,,1\n"
        'bad1,"two\nlines",,1\n'  # line 3
        "B,Table,,1,000\n"  # line 5
        "\n"
        "C,Sofa\n"  # line 7
        'D,"three\n\nlines",,1\n'  # line 8
        "E,Lamp,what,1\n"  # line 11
        "F,La\0mp,,1\n"  # line 12
        "bad2,Desk,,1\n"  # line 13
        f"G,{'é' * 70_000},,1\n"  # line 14
        "H,Bed,,1\n"
    )
    result = import_result(file, "--chunk-rows", "2", server=catalog.address)
    assert result["status"] == 1
    assert [(row["line"], row["field"]) for row in result["refusals"]] == [
        (3, "price"), (5, "row"), (7, "row"), (11, "row"), (12, "name"), (13, "price"), (14, "row"),
    ]  # fmt: skip
    assert [row["message"] for row in result["refusals"]] == [
        "[no]",
        "the row has 5 columns, and the header 4",
        "the row has 2 of 4 columns",
        "column 3 has no name in the header, and here 'what'",
        "a cell has no NUL byte",
        "[no]",
        "the row has 140,036 bytes; at most 131,072 are sent",
    ]
    assert {row["reason"] for row in result["refusals"]} == {"INVALID_REQUEST"}
    assert (result["rows"], result["accepted_rows"], result["refused_rows"]) == (10, 3, 7)
    assert list(catalog.products) == ["A", "D", "H"]


def test_refused_rows_are_a_table_of_the_first_ones(catalog: CatalogDouble, file: Path) -> None:
    file.write_text("sku\n" + "bad\n" * 25)
    done = run_import(file, server=catalog.address)
    assert done.returncode == 1
    lines = [line.split() for line in done.stderr.splitlines() if "[no]" in line]
    assert lines == [[str(n), "price", "INVALID_REQUEST", "[no]"] for n in range(2, 22)]
    assert "and 5 more" in done.stderr
    assert run_import(file, "--all-errors", server=catalog.address).stderr.count("[no]") == 25


def test_rows_that_are_in_already_are_told_apart(catalog: CatalogDouble, file: Path) -> None:
    file.write_text("sku,name\nA,Chair\nB,Table\nbad,Sofa\n")
    import_result(file, server=catalog.address)
    file.write_text("sku,name\nA,Chair\nB,Desk\nbad,Sofa\n")
    result = import_result(file, server=catalog.address)
    assert result.pop("seconds") > 0
    assert result.pop("rows_per_second") > 0
    refusal = {"line": 4, "field": "price", "reason": "INVALID_REQUEST", "message": "[no]"}
    assert result == {
        "file": str(file),
        "complete": True,
        "rows": 3,
        "accepted_rows": 1,
        "unchanged_rows": 1,
        "refused_rows": 1,
        "refusals": [refusal],
        "error": None,
        "resume_command": None,
        "status": 1,
    }


# Wrong usage: nothing is sent


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"name,price\nChair,1\n", "has no column 'sku'; its header names 'name' and 'price'"),
        (b",".join([b"c"] * 20) + b"\n", "its header names " + "'c', " * 11 + "'c' and 8 more"),
        (b"s\0k\0u\0,\0n\0\n", "has no column 'sku'"),
        (b"sku,name,sku\nA,Chair,B\n", "has more than one column 'sku'"),
        (b"sku,name,SKU\nA,Chair,B\n", "has more than one column 'sku'"),
        (b"sku,size,size\nA,1,2\n", "has more than one column 'size'"),
        (b"sku,na\0me\nA,Chair\n", "has a NUL byte in the column name"),
        (b"sku,name\rA,Chair\r", "has a lone carriage return"),
        (b'sku,name\nA,"Chair\n', "line 2 of {file} opens a quote that is never closed"),
        (b'sku,name\nA,"\n\n"\nB,caf\xe9\n', "line 5 of {file} is not UTF-8"),
        ("sku,name\nA,Chair\n".encode("utf-16"), "line 1 of {file} is not UTF-8"),
    ],
)
def test_a_wrong_file_is_said_in_a_sentence(
    catalog: CatalogDouble, file: Path, content: bytes, sentence: str
) -> None:
    file.write_bytes(content)
    done = run_import(file, server=catalog.address)
    assert done.returncode == 2
    assert sentence.format(file=file) in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
    assert not catalog.requests


def test_a_file_of_one_header_needs_no_server(file: Path) -> None:
    file.write_text("sku,name\n")
    assert run_import(file).returncode == 0


def test_the_help_explains_columns_and_exit_statuses() -> None:
    done = run("products", "import", "--help")
    assert done.returncode == 0
    for word in ("sku ", "ProductDisplayName", "attributes ", "Any other column", "Exit status:\n"):
        assert word in done.stdout
    assert "--key" not in done.stdout, "rows that are in already change nothing"


# How it goes on


@pytest.fixture
def long_file(file: Path) -> Path:
    """Ten rows, more bytes than are read at once."""
    rows = [f"P{n},{'n' * 20_000}\n" for n in range(10)]
    file.write_text("sku,note\n" + "".join(rows))
    return file


def test_a_chunk_that_was_not_taken_is_sent_again(catalog: CatalogDouble, long_file: Path) -> None:
    catalog.failures[3] = failure(grpc.StatusCode.UNAVAILABLE, "CATALOG_THROTTLED")
    done = run_import(long_file, "--chunk-rows", "2", server=catalog.address)
    assert done.returncode == 0, done.stderr
    assert "CATALOG_THROTTLED: a sentence; trying again in " in done.stderr
    assert "10 of 10 rows went in, 0 were in already" in done.stderr
    assert [request.first_row for request in catalog.requests] == [1, 3, 5, 5, 7, 9]
    assert catalog.calls == 2


def test_an_import_that_breaks_off_tells_how_to_go_on(
    catalog: CatalogDouble, long_file: Path
) -> None:
    catalog.failures[3] = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
    done = run_import(long_file, "--chunk-rows", "2", server=catalog.address)
    assert done.returncode == 3
    assert "inventory: STORE_FULL: a sentence\n" in done.stderr
    assert f"{long_file}: 4 of 4 answered rows went in" in done.stderr
    command = done.stderr.splitlines()[-1].strip()
    assert command == (
        f"inventory products import {long_file} --chunk-rows 2 --server {catalog.address}"
    )
    again = run(*shlex.split(command)[1:])
    assert again.returncode == 0
    assert "6 of 10 rows went in, 4 were in already, 0 refused" in again.stderr


def test_a_call_that_the_server_does_not_understand_cannot_go_on(
    catalog: CatalogDouble, long_file: Path
) -> None:
    catalog.failures[1] = failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    result = import_result(long_file, server=catalog.address)
    assert (result["status"], result["complete"], result["resume_command"]) == (3, False, None)
    assert result["error"] == {
        "reason": "INVALID_REQUEST",
        "message": "INVALID_REQUEST: a sentence",
    }


def test_a_file_that_gets_wrong_later_has_gone_in_up_to_there(
    catalog: CatalogDouble, long_file: Path
) -> None:
    long_file.write_bytes(long_file.read_bytes().replace(b"P9,", b"P9,\xff"))
    result = import_result(long_file, "--chunk-rows", "2", server=catalog.address)
    assert result["status"] == 2
    assert f"line 11 of {long_file} is not UTF-8" in result["error"]["message"]
    assert 0 < result["rows"] == len(catalog.products) < 10


def test_a_server_that_is_not_there_is_told(file: Path) -> None:
    file.write_text("sku\nA\n")
    server = f"127.0.0.1:{free_port()}"
    done = run_import(file, server=server)
    assert done.returncode == 3
    assert f"inventory: the server at {server} cannot be reached\n" in done.stderr
    assert "idempotency key" not in done.stderr


def test_a_stopped_import_tells_how_to_go_on(catalog: CatalogDouble) -> None:
    arguments = ["products", "import", "-", "--chunk-rows", "1", "--server", catalog.address]
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("sku\nA\n")
        process.stdin.flush()
        eventually(lambda: catalog.products)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert lines[-1].startswith("  inventory products import - --chunk-rows 1 --server ")
