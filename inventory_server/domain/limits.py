"""Every limit of the service, in one place. Units stand last in the names."""

from __future__ import annotations

from typing import Final

# Lines and quantities
MAX_QUANTITY: Final = 2**31 - 1
"""Units a line."""
MAX_TOTAL: Final = 10**14 - 1
"""Units a level. Within 2**53, and within the 14 digits that Lua's `..` writes exactly."""
MAX_HOLD_LINES: Final = 100
"""Lines a PlaceHold or RecordSale, before they are summed."""
MAX_STOCK_LINES: Final = 500
"""Lines a SetStock or AdjustStock, rows an import chunk, lines a CheckAvailability."""
MAX_CHECK_LINES: Final = 500
MAX_TRANSFER_LINES: Final = 250
"""Lines a TransferStock; each touches two levels."""
MAX_BATCH_ITEMS: Final = 500
MAX_BATCH_LINES: Final = 1000
"""Lines of all items of a batch of holds together."""

# Reads
MAX_BATCH_SKUS: Final = 500
MAX_LOCATIONS: Final = 100
"""Locations named in one read."""
MAX_BATCH_LEVELS: Final = 50_000
"""SKUs times locations of one BatchGetStock."""
HOLDS_A_SCRIPT: Final = 100
LEVELS_A_SCRIPT: Final = 250
"""Levels that one read script looks at, so that no script keeps Redis for long."""
DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE_SCAN: Final = 2000
"""Levels, holds or movements that one page looks at."""
MAX_PAGE_LINES: Final = 10_000
"""Lines of holds that a page comes to, so that it fits into a message that callers take."""
MOVEMENTS_A_READ: Final = 100

# Text
MAX_SKU_LENGTH: Final = 64
MAX_STORE_LENGTH: Final = 64
MAX_NOTE_LENGTH: Final = 256
MAX_REFERENCE_LENGTH: Final = 128
MAX_KEY_LENGTH: Final = 255
MAX_ACTOR_LENGTH: Final = 128
MAX_REQUEST_ID_LENGTH: Final = 128
MAX_HOLD_ID_LENGTH: Final = 64

# The catalogue
MAX_NAME_LENGTH: Final = 256
MAX_GROUP_LENGTH: Final = 128
"""Characters of a brand, category or subcategory."""
MAX_UNIT_LENGTH: Final = 32
MAX_BARCODE_LENGTH: Final = 64
MAX_URL_LENGTH: Final = 2048
MAX_PRICE_MINOR: Final = 10**12
MAX_VALUE_MINOR: Final = 2**63 - 1
"""Of all stock in one currency: what the API's numbers hold."""
MAX_ATTRIBUTES: Final = 100
MAX_ATTRIBUTES_BYTES: Final = 16 << 10
"""Of a product's attributes as JSON."""
MAX_ATTRIBUTES_DEPTH: Final = 8
MAX_ETAG_LENGTH: Final = 64
MAX_BATCH_PRODUCTS: Final = 100
MAX_IMPORT_PRODUCTS: Final = 500
"""Rows a chunk."""
MAX_QUERY_LENGTH: Final = 200
MAX_QUERY_WORDS: Final = 10
MAX_QUERY_PARTS: Final = 20
"""Of all words together: "T-Shirt" has two."""
SKUS_A_SCRIPT: Final = 500
"""SKUs that one script makes inactive or active, and about as many that one read of them takes."""
MAX_PAGE_BYTES: Final = 2 << 20
"""Of the products of one page, so that it fits into a message that callers take."""

# Time
MIN_TTL_MS: Final = 1_000
MAX_TTL_MS: Final = 24 * 3600 * 1000
DEFAULT_TTL_MS: Final = 300_000
MAX_HOLD_LIFE_MS: Final = 24 * 3600 * 1000
"""From a hold's placing to its last possible deadline."""
RETENTION_MS: Final = 24 * 3600 * 1000
"""How long idempotency keys and ended holds are kept."""
MINTED_KEY_RETENTION_MS: Final = 60_000
"""The same for keys that the server made itself: nobody else knows them."""

# Expiry
EXPIRE_HOLDS_A_RUN: Final = 50
EXPIRE_LINES_A_RUN: Final = 200
MAX_SWEEP_LAG_MS: Final = 30_000
"""Past this, holds are not swept as they should be and HoldService says so."""

# Streams
MAX_STREAMS: Final = 2000
"""Open streams of a process, of each kind."""
MAX_STREAMS_AN_ACTOR: Final = 100
"""The same of one actor that says its name."""
HEARTBEAT_S: Final = 15.0
JOURNAL_AGE_MS: Final = 24 * 3600 * 1000
JOURNAL_ENTRIES: Final = 2_000_000
"""How old and how long a partition's journal and alerts may become."""
TRIMMED_A_RUN: Final = 2_000
JOURNAL_BYTES: Final = 4 << 30
"""Of all journals, where they wait for the durable copy."""

# Audit
VERIFY_HOLDS_A_SCRIPT: Final = 1000
"""Open holds that one script of a check looks at; a level with more is read in pages."""
WIDE_HOLDS_A_SCRIPT: Final = 25
"""The same where all lines of the holds are looked at."""
VERIFY_KEYS_A_READ: Final = 500
VERIFY_TRIES: Final = 3
MAX_REPAIR_HOLDS: Final = 10_000
"""Open holds of a level that one repair may look at."""
AUDIT_TIMEOUT_S: Final = 60
"""How long a call of AuditService may take, where its caller allows more."""

# The wire
MAX_MESSAGE_BYTES: Final = 1 << 20
MAX_METADATA_BYTES: Final = 16 << 10
MAX_DETAILS_BYTES: Final = 5_632
"""Of an error's details. Base64 on the wire it stays within the 8 KiB that peers accept."""
MAX_CALLS_IN_FLIGHT: Final = 10_000
"""Script calls sent and not yet answered."""
