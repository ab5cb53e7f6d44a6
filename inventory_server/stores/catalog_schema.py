"""The index's tables, and the file that they are in.

`rank` is a product's place among all by SKU: ranks are in the order of the
SKUs and far apart, so that every walk by SKU, also one that a full-text search
makes, is a walk by the key of its table and needs no sorting.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from inventory_server.stores.opening import StoreRefusedError

CACHE_KIB: Final = 8192
"""Of the pages that each connection keeps in memory."""
MAX_LOG_BYTES: Final = 32 << 20
"""How long the write-ahead log may be before its pages must all go into the file."""

_TABLES: Final = """
CREATE TABLE products (
    position INTEGER PRIMARY KEY,
    sku TEXT NOT NULL,
    version INTEGER NOT NULL,
    barcode TEXT NOT NULL,
    price_minor INTEGER,
    currency TEXT NOT NULL,
    weight INTEGER NOT NULL,
    body TEXT NOT NULL
);
-- Whatever is asked of many SKUs is in this index, and their bodies are not touched.
CREATE INDEX by_sku ON products (sku, version, price_minor, currency);
CREATE INDEX by_any_case ON products (sku COLLATE NOCASE);
CREATE INDEX by_barcode ON products (barcode) WHERE barcode <> '';
-- Deleted products, so that a read from before does not bring them back.
CREATE TABLE gone (sku TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
-- How many products there are of each category, subcategory and unit.
CREATE TABLE tallies (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    part TEXT NOT NULL,
    products INTEGER NOT NULL,
    active_products INTEGER NOT NULL,
    PRIMARY KEY (kind, name, part)
) WITHOUT ROWID;
-- Both keep no text, only which words are at which position. catalog_rows.py makes the texts, and
-- takes words apart: to this tokenizer whatever is not ASCII is a part of them. Beginnings of words
-- are kept in some lengths; SQLite puts together what it needs for those between.
CREATE VIRTUAL TABLE words USING fts5 (
    text, content='', columnsize=0, prefix='1 2 3 4 6 8', tokenize="ascii tokenchars '=|'"
);
CREATE VIRTUAL TABLE labels USING fts5 (
    text, content='', columnsize=0, detail=none, tokenize='ascii'
);
"""
_OF_EVERY_CONNECTION: Final = (
    f"PRAGMA cache_size = -{CACHE_KIB}",
    # Nothing is lost with the file: it is filled anew at the next start.
    "PRAGMA synchronous = OFF",
    "PRAGMA secure_delete = OFF",
)


class IndexFile:
    """The file of an index: one connection that writes, and some that read.

    It has no name any more once it is open, so that nothing of it is left,
    however the process ends.
    """

    def __init__(self, readers: int) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="inventory-catalog-") as folder,
            ExitStack() as undo,
        ):
            path = Path(folder, "index.db")
            self.writer = undo.enter_context(closing(_connect(path)))
            _make_tables(self.writer)
            self.readers = [undo.enter_context(closing(_connect(path))) for _ in range(readers)]
            for reader in self.readers:
                reader.execute("PRAGMA query_only = ON")
                # Has it open the log and what goes with it, while they have names.
                reader.execute("SELECT count(*) FROM gone").fetchall()
            self._log = os.open(f"{path}-wal", os.O_RDONLY)
            undo.callback(os.close, self._log)
            self._undo = undo.pop_all()

    def shorten_log(self) -> None:
        """Empties the log when it has become long.

        SQLite does so only when nobody reads, and under load somebody always
        does; this waits for those who began before, and keeps nobody waiting
        but the writer.
        """
        if os.fstat(self._log).st_size > MAX_LOG_BYTES:
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Gives back the file and the memory."""
        self._undo.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in _OF_EVERY_CONNECTION:
        connection.execute(pragma)
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLES)
    except sqlite3.OperationalError as error:
        if "fts5" not in str(error):
            raise
        raise StoreRefusedError(
            "the catalogue's index needs a Python whose SQLite has FTS5; this one's, "
            f"{sqlite3.sqlite_version}, has none"
        ) from error
