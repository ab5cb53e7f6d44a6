"""`inventory stock import`: what goes in, what stays out, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.command_line import counts, import_result, on_hand, run, run_import


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stock.csv"


def test_a_good_file_goes_in(server_address: str, file: Path) -> None:
    file.write_text("sku,location,qty\nA,online,5\nB,store:S1,0\n")
    done = run_import(file, server=server_address)
    assert done.returncode == 0, done.stderr
    assert "Rows read" in done.stdout
    assert done.stderr.startswith(f"{file}: 2 of 2 rows went in, 0 refused, in ")
    assert on_hand(server_address, "A") == 5
    assert on_hand(server_address, "B", "store:S1") == 0


def test_a_store_id_becomes_a_location(server_address: str, file: Path) -> None:
    file.write_text("sku,store_id,qty\nA,S1,5\nA,S2,6\n")
    assert run_import(file, server=server_address).returncode == 0
    assert on_hand(server_address, "A", "store:S1") == 5
    assert on_hand(server_address, "A", "store:S2") == 6


def test_one_location_is_given_for_all_rows(server_address: str, file: Path) -> None:
    file.write_text("sku,qty\nA,5\nB,6\n")
    assert run_import(file, "--location", "store:S1", server=server_address).returncode == 0
    assert counts(server_address, ["A", "B"], "store:S1") == {"A": 5, "B": 6}


def test_columns_are_found_by_name_whatever_stands_around_them(
    server_address: str, file: Path
) -> None:
    header = b'\xef\xbb\xbfPrice, ON_HAND ,"Note",SKU,Quantity,Store_ID,Location\r\n'
    file.write_bytes(header + b'1.99, 5 ,"a, ""b""\r\nc", A ,7,S1, online \r\n')
    assert run_import(file, server=server_address).returncode == 0
    # The first name that is accepted counts, and a location before a store.
    assert on_hand(server_address, "A") == 7
    assert on_hand(server_address, "A", "store:S1") is None


def test_the_standard_input_is_read(server_address: str) -> None:
    arguments = ("stock", "import", "-", "--location", "online")
    done = run(*arguments, server=server_address, stdin=b"sku,qty\nA,5\n")
    assert done.returncode == 0, done.stderr
    assert on_hand(server_address, "A") == 5


def test_quantities_are_set_or_added(server_address: str, file: Path) -> None:
    file.write_text("sku,location,qty\nA,online,5\n")
    for options, count in (((), 5), (("--add",), 10), (("--set",), 5)):
        assert run_import(file, *options, server=server_address).returncode == 0
        assert on_hand(server_address, "A") == count


def test_bad_rows_are_told_by_their_line_and_the_others_go_in(
    server_address: str, file: Path
) -> None:
    file.write_text(
        "sku,note,store_id,qty\n"
        "A,,S1,1\n"
        ",,S1,1\n"  # line 3
        'B,"two\nlines",S1,2\n'
        "C,,S1,\n"  # line 6
        "\n"
        "D,,S1,1.5\n"  # line 8
        'E,"three\n\nlines",S1,-1\n'  # line 9
        "F,,S 1,1\n"  # line 12
        "G,,S1\n"  # line 13
        "H,,S1,2147483648\n"  # line 14
        "I,,S1,99999999999999999999\n"  # line 15
        "J,,S1,1_0\n"  # line 16
        f"{'K' * 300},,S1,1\n"  # line 17
        "L,,S1,3\n"
    )
    result = import_result(file, "--chunk-rows", "2", server=server_address)
    assert result["status"] == 1
    assert [(row["line"], row["field"]) for row in result["refusals"]] == [
        (3, "sku"),
        (6, "quantity"),
        (8, "quantity"),
        (9, "quantity"),
        (12, "location"),
        (13, "quantity"),
        (14, "quantity"),
        (15, "quantity"),
        (16, "quantity"),
        (17, "sku"),
    ]
    assert {row["reason"] for row in result["refusals"]} == {"INVALID_REQUEST"}
    assert (result["rows"], result["accepted_rows"], result["refused_rows"]) == (13, 3, 10)
    levels = counts(server_address, list("ABCDEFGHIJL"), "store:S1")
    assert levels == {"A": 1, "B": 2, "L": 3}


def test_refused_rows_are_a_table_of_the_first_ones(server_address: str, file: Path) -> None:
    file.write_text("sku,location,qty\n" + "A,online,[x]\n" * 25)
    done = run_import(file, server=server_address)
    assert done.returncode == 1
    assert "a quantity is a whole number, not '[x]'" in done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if "[x]" in line] == [
        str(line) for line in range(2, 22)
    ]
    assert "and 5 more" in done.stderr
    done = run_import(file, "--all-errors", server=server_address)
    assert done.stderr.count("[x]") == 25
    assert " more" not in done.stderr


def test_the_json_result_is_one_object_alone_on_stdout(server_address: str, file: Path) -> None:
    file.write_text("sku,location,qty\nA,online,5\nB,online,x\n")
    result = import_result(file, "--add", "--key", "k1", server=server_address)
    assert result.pop("seconds") > 0
    assert result.pop("rows_per_second") > 0
    message = "a quantity is a whole number, not 'x'"
    refusal = {"line": 3, "field": "quantity", "reason": "INVALID_REQUEST", "message": message}
    assert result == {
        "file": str(file),
        "mode": "add",
        "key": "k1",
        "complete": True,
        "rows": 2,
        "accepted_rows": 1,
        "refused_rows": 1,
        "replayed": False,
        "refusals": [refusal],
        "error": None,
        "resume_command": None,
        "status": 1,
    }


def test_a_file_of_one_header_is_no_error(file: Path) -> None:
    file.write_text("sku,location,qty\n")
    assert run_import(file).returncode == 0


def test_the_help_explains_the_exit_statuses() -> None:
    done = run("stock", "import", "--help")
    assert done.returncode == 0
    assert "Exit status:\n" in done.stdout
    for status in ("0  ", "1  ", "2  ", "3  ", "130"):
        assert f"\n    {status}  " in done.stdout


# Wrong usage: nothing is sent, so no server is needed


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("sku,qty\nA,1\n", (), "has no column 'location' or 'store_id': say --location"),
        (
            "sku,location,qty\nA,online,1\n",
            ("--location", "online"),
            "has a column 'location', and --location is given too",
        ),
        (
            "sku,store_id,qty\nA,S1,1\n",
            ("--location", "online"),
            "has a column 'store_id', and --location is given too",
        ),
        ("store_id,qty\nS1,1\n", (), "has no column 'sku'; its header names 'store_id' and 'qty'"),
        ("sku,store_id\nA,1\n", (), "has no column 'qty', 'quantity' or 'on_hand'"),
        ("sku,sku,qty,store_id\n", (), "has more than one column 'sku'"),
        ("", (), "is empty"),
        ("sku,qty\nA,1\n", ("--location", "delhi"), "'online' or 'store:<id>', not 'delhi'"),
        ("sku,qty,store_id\rA,1,S1\r", (), "has a lone carriage return"),
        ("sku,qty,store_id\nA,1,S1\n", ("--key", "two words"), "--key takes"),
        ("sku,qty,store_id\nA,1,S1\n", ("--chunk-rows", "501"), "--chunk-rows"),
        ("sku,qty,store_id\nA,1,S1\n", ("--output", "xml"), "--output"),
        ("sku,qty,store_id\nA,1,S1\n", ("--timeout", "0"), "--timeout"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(
    file: Path, content: str, options: tuple[str, ...], sentence: str
) -> None:
    file.write_bytes(content.encode())
    done = run_import(file, *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_said_in_a_sentence(file: Path) -> None:
    done = run_import(file)
    assert done.returncode == 2
    assert done.stderr == f"inventory: cannot read {file}: No such file or directory\n"


def test_a_file_that_is_not_utf_8_is_told_by_its_line(file: Path) -> None:
    file.write_bytes(b'sku,note,location,qty\nA,"\n\n",online,1\nB,caf\xe9,online,2\n')
    done = run_import(file)
    assert done.returncode == 2
    assert done.stderr == f"inventory: line 5 of {file} is not UTF-8: it has the byte 0xe9\n"
