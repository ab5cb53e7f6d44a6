"""A client of the inventory service: stock, holds, availability, alerts, the catalogue.

AsyncInventoryClient is for asyncio; InventoryClient is the same for code without an event
loop. Answers are the messages of `inventory.v1`; errors are in `inventory_client.errors`.
"""

from inventory.v1.alert_service_pb2 import Alert
from inventory.v1.catalog_service_pb2 import Product, StockedProduct
from inventory.v1.hold_service_pb2 import (
    BatchConfirmHoldsItem,
    BatchPlaceHoldsItem,
    BatchReleaseHoldsItem,
    ConfirmHoldRequest,
    Hold,
    HoldState,
    PlaceHoldRequest,
    ReleaseHoldRequest,
)
from inventory.v1.line_pb2 import Line
from inventory.v1.movement_pb2 import Movement, MovementKind
from inventory.v1.stock_level_pb2 import StockLevel, StockStatus
from inventory.v1.stock_service_pb2 import ImportRow, SetStockLine, SetStockPolicyLine

from inventory_client.blocking import Pager, Watch
from inventory_client.client import AsyncInventoryClient
from inventory_client.errors import (
    BarcodeTaken,
    BelowHeld,
    CatalogThrottled,
    ClientClosed,
    CursorExpired,
    DeadlineExceeded,
    Draining,
    EtagMismatch,
    Failure,
    HoldAlreadyConfirmed,
    HoldAlreadyReleased,
    HoldEnded,
    HoldExpired,
    HoldNotFound,
    IdempotencyKeyReused,
    InsufficientStock,
    Internal,
    InvalidRequest,
    InventoryError,
    LevelBusy,
    LevelInUse,
    LinesRefused,
    NeverConnected,
    OnHandMismatch,
    OutcomeUnknown,
    ProductInactive,
    ProductNotFound,
    QuantityExceedsHeld,
    RearmBelowReorder,
    ServerUnreachable,
    SlowConsumer,
    StockLevelNotFound,
    StoreFull,
    StoreRewound,
    StoreUnavailable,
    TooManyParts,
    TooManyStreams,
    TotalTooLarge,
    UnknownReason,
    UnknownTransient,
    ValueTooLarge,
)
from inventory_client.events import (
    AlertEvent,
    HeartbeatEvent,
    LowStockEvent,
    MovementEvent,
    SnapshotEnded,
    SnapshotLevel,
    SnapshotStarted,
    StockEvent,
)
from inventory_client.failures import item_error
from inventory_client.open_hold import AsyncOpenHold
from inventory_client.paging import AsyncPager, Page
from inventory_client.refused_lines import RefusedLine
from inventory_client.retry import RetryPolicy
from inventory_client.sync_client import InventoryClient
from inventory_client.sync_open_hold import OpenHold
from inventory_client.watching import AsyncWatch

__version__ = "0.1.0"

__all__ = [
    "Alert",
    "AlertEvent",
    "AsyncInventoryClient",
    "AsyncOpenHold",
    "AsyncPager",
    "AsyncWatch",
    "BarcodeTaken",
    "BatchConfirmHoldsItem",
    "BatchPlaceHoldsItem",
    "BatchReleaseHoldsItem",
    "BelowHeld",
    "CatalogThrottled",
    "ClientClosed",
    "ConfirmHoldRequest",
    "CursorExpired",
    "DeadlineExceeded",
    "Draining",
    "EtagMismatch",
    "Failure",
    "HeartbeatEvent",
    "Hold",
    "HoldAlreadyConfirmed",
    "HoldAlreadyReleased",
    "HoldEnded",
    "HoldExpired",
    "HoldNotFound",
    "HoldState",
    "IdempotencyKeyReused",
    "ImportRow",
    "InsufficientStock",
    "Internal",
    "InvalidRequest",
    "InventoryClient",
    "InventoryError",
    "LevelBusy",
    "LevelInUse",
    "Line",
    "LinesRefused",
    "LowStockEvent",
    "Movement",
    "MovementEvent",
    "MovementKind",
    "NeverConnected",
    "OnHandMismatch",
    "OpenHold",
    "OutcomeUnknown",
    "Page",
    "Pager",
    "PlaceHoldRequest",
    "Product",
    "ProductInactive",
    "ProductNotFound",
    "QuantityExceedsHeld",
    "RearmBelowReorder",
    "RefusedLine",
    "ReleaseHoldRequest",
    "RetryPolicy",
    "ServerUnreachable",
    "SetStockLine",
    "SetStockPolicyLine",
    "SlowConsumer",
    "SnapshotEnded",
    "SnapshotLevel",
    "SnapshotStarted",
    "StockEvent",
    "StockLevel",
    "StockLevelNotFound",
    "StockStatus",
    "StockedProduct",
    "StoreFull",
    "StoreRewound",
    "StoreUnavailable",
    "TooManyParts",
    "TooManyStreams",
    "TotalTooLarge",
    "UnknownReason",
    "UnknownTransient",
    "ValueTooLarge",
    "Watch",
    "item_error",
]
