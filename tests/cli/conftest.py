"""One server for all tests of the command line; each test has SKUs of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from inventory_cli.main import app
from typer.testing import CliRunner

from tests.eventually import eventually
from tests.serving import Running

PRODUCTS = """\
sku,name,brand,category,subcategory,unit,barcode,price,currency,active
CHAIR-1,Oak Chair,Acme,Furniture,Chairs,piece,4006381333931,1299.5,EUR,true
CHAIR-2,Beech Chair,Acme,Furniture,Chairs,piece,,849,EUR,true
LAMP-1,Desk Lamp,Lux,Light,Lamps,piece,,5000,JPY,false
"""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Inv = Callable[..., Ended]


def invoke(*arguments: str, **variables: str | None) -> Ended:
    """Runs a command in this process, away from this machine's settings."""
    given = {
        "INVENTORY_CONFIG": os.devnull, "INVENTORY_SERVER": "127.0.0.1:1",
        # A machine that is busy with much else answers late.
        "INVENTORY_TIMEOUT": "60s", **variables,
    }  # fmt: skip
    result = CliRunner().invoke(app, list(arguments), env=given)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server process, with a catalogue."""
    folder = tmp_path_factory.mktemp("cli")
    running = Running(folder / "data", INVENTORY_DYNAMODB_ENDPOINT="embedded")
    yield running
    running.close()


@pytest.fixture(scope="session")
def address(server: Running) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def inv(address: str) -> Inv:
    """Runs a command against the server."""
    return lambda *arguments, **more: invoke(*arguments, **{"INVENTORY_SERVER": address, **more})


@pytest.fixture(scope="session")
def products(address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three products are in the catalogue."""
    file: Path = tmp_path_factory.mktemp("products") / "products.csv"
    file.write_text(PRODUCTS)

    def is_in() -> bool:
        imported = invoke("products", "import", str(file), INVENTORY_SERVER=address)
        listed = invoke("products", "list", "-o", "json", INVENTORY_SERVER=address)
        return imported.status == 0 and len(listed.json["products"]) == 3

    eventually(is_in, timeout_s=90)


@pytest.fixture
def sku() -> str:
    """A SKU that no other test has."""
    return f"T-{uuid4().hex[:8]}"
