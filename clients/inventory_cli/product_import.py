"""`inventory products import`."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub

from inventory_cli.chunks import MAX_CHUNK_ROWS
from inventory_cli.command import command
from inventory_cli.csv_rows import CsvFile
from inventory_cli.import_command import ImportOptions, ImportPlan
from inventory_cli.import_options import (
    DEFAULT_RETRIES,
    EXIT_STATUS_HELP,
    AllErrorsOption,
    FileArgument,
    RetriesOption,
    end_with_import,
)
from inventory_cli.product_rows import ProductChunks, find_product_columns
from inventory_cli.session import Session

IMPORT_NOTES: Final = f"""\
The first line names the columns, in any order:

\b
  sku                              required; the product that the row is about
  name or ProductDisplayName       what it is called; a new product needs it
  brand, category, subcategory     words to group and find it by
  unit                             what it is counted in: piece, kg, ...
  barcode                          no two products have the same
  price, msrp or list_price        decimal numbers, as 1299.50
  currency                         three letters, as EUR; needed with a price
  active                           true or false; an inactive product is not sold
  image_url                        where its picture is
  attributes                       whatever else is known, as a JSON object

Any other column becomes an attribute of its name. An empty cell empties its
field; a column that is missing leaves the field as it is. The file is UTF-8,
with or without a byte order mark, and separated by commas.

Good rows go in, each by itself; bad ones are listed by their line. Rows that
are in already change nothing: an import that broke off is done again.

{EXIT_STATUS_HELP}"""
ChunkRowsOption = Annotated[
    int, typer.Option(min=1, max=MAX_CHUNK_ROWS, help="Rows that are sent together.")
]

EXAMPLES: Final = """
inventory products import catalogue.csv
inventory products import - --output json <catalogue.csv
"""


def add_to(app: typer.Typer) -> None:
    """Makes it a command of this group."""
    command(app, "import", examples=EXAMPLES, notes=IMPORT_NOTES)(import_)


def import_(
    session: Session,
    file: FileArgument,
    chunk_rows: ChunkRowsOption = MAX_CHUNK_ROWS,
    retries: RetriesOption = DEFAULT_RETRIES,
    all_errors: AllErrorsOption = False,
) -> int:
    """Takes products in from a CSV file: makes them, or changes those that are there."""
    options = ImportOptions(
        file=file, chunk_rows=chunk_rows, retries=retries, all_errors=all_errors,
        settings=session.settings,
    )  # fmt: skip
    return end_with_import(_plan, options, session)


def _plan(options: ImportOptions) -> ImportPlan:
    def read(file: CsvFile) -> ProductChunks:
        columns = find_product_columns(file.header(), file.name)
        return ProductChunks(file, columns, options.chunk_rows)

    return ImportPlan(
        read,
        rpc_of=lambda channel: CatalogServiceStub(channel).ImportProducts,
        command=options.command("products", "import", options.file),
    )
