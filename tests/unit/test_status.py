"""What leaves the server with each error: status, reason, facts, and the detail that fits."""

from __future__ import annotations

from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from inventory_server.domain import errors
from inventory_server.domain.limits import MAX_DETAILS_BYTES
from inventory_server.servicers.status import pack_status, status_of

AT_MS = 1_767_323_045_678
LONG_SKU, LONG_LOCATION, LONG_HOLD = "S" * 64, "store:" + "L" * 64, "h" * 64


def unpacked(error: errors.InventoryError) -> tuple[status_pb2.Status, dict[str, Any]]:
    """The status as a caller reads it, and its details by their types' names."""
    status = status_pb2.Status.FromString(pack_status(error))
    details = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        details[name] = getattr(error_details_pb2, name)()
        assert packed.Unpack(details[name])
    return status, details


def refused_line(numbers: tuple[str, ...], sku: str = "A", location: str = "online") -> Any:
    return {"sku": sku, "location": location, **dict.fromkeys(numbers, 10**14 - 1)}


def lines_of(kind: type[errors.LinesRefused], count: int) -> errors.LinesRefused:
    """The error over so many lines, each as long as a line can be."""
    width = 64 - 3
    return kind(
        [refused_line(kind.numbers, f"{n:03}" + "S" * width, LONG_LOCATION) for n in range(count)]
    )


LINES = (
    errors.ProductInactive,
    errors.InsufficientStock,
    errors.QuantityExceedsHeld,
    errors.LevelInUse,
    errors.RearmBelowReorder,
    errors.BelowHeld,
    errors.TotalTooLarge,
    errors.OnHandMismatch,
)
EVERY = [
    (errors.InvalidRequest(("lines[0].sku", "is wrong")), "INVALID_ARGUMENT", "BadRequest"),
    (errors.IdempotencyKeyReused("k"), "INVALID_ARGUMENT", ""),
    (errors.StockLevelNotFound([("online", "A")]), "NOT_FOUND", "ResourceInfo"),
    (errors.HoldNotFound("3-a"), "NOT_FOUND", "ResourceInfo"),
    (errors.HoldAlreadyConfirmed("3-a", AT_MS), "FAILED_PRECONDITION", "PreconditionFailure"),
    (errors.HoldAlreadyReleased("3-a", AT_MS), "FAILED_PRECONDITION", "PreconditionFailure"),
    (errors.HoldExpired("3-a", AT_MS), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.ProductInactive, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.InsufficientStock, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.QuantityExceedsHeld, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.LevelInUse, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (errors.TooManyParts("3-a", 32), "FAILED_PRECONDITION", ""),
    (errors.CursorExpired("1.x"), "OUT_OF_RANGE", ""),
    (errors.SlowConsumer("1.x"), "RESOURCE_EXHAUSTED", ""),
    (errors.TooManyStreams(5), "RESOURCE_EXHAUSTED", ""),
    (errors.LevelBusy("A", "online", 20_000), "ABORTED", "RetryInfo"),
    (lines_of(errors.RearmBelowReorder, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.BelowHeld, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.TotalTooLarge, 2), "FAILED_PRECONDITION", "PreconditionFailure"),
    (lines_of(errors.OnHandMismatch, 2), "ABORTED", "PreconditionFailure"),
    (errors.ProductNotFound(sku="A"), "NOT_FOUND", "ResourceInfo"),
    (errors.EtagMismatch("A", "5f"), "ABORTED", ""),
    (errors.BarcodeTaken("4006381333931", "A"), "ALREADY_EXISTS", ""),
    (errors.CatalogThrottled(), "UNAVAILABLE", "RetryInfo"),
    (errors.ValueTooLarge("EUR"), "FAILED_PRECONDITION", ""),
    (errors.StoreUnavailable("the store is out of reach"), "UNAVAILABLE", "RetryInfo"),
    (errors.OutcomeUnknown("k"), "UNAVAILABLE", "RetryInfo"),
    (errors.StoreRewound(3), "UNAVAILABLE", ""),
    (errors.Draining(), "UNAVAILABLE", "RetryInfo"),
    (errors.StoreFull(), "RESOURCE_EXHAUSTED", "RetryInfo"),
    (errors.Internal("r"), "INTERNAL", ""),
]
every_error = pytest.mark.parametrize(
    ("error", "status", "detail"), EVERY, ids=lambda value: getattr(value, "reason", "")
)


def test_every_error_is_looked_at_here() -> None:
    def tree(kind: type) -> set[type]:
        return {kind}.union(*map(tree, kind.__subclasses__()))

    raised = {kind for kind in tree(errors.InventoryError) if "reason" in vars(kind)}
    assert {type(error) for error, _, _ in EVERY} == raised


@every_error
def test_an_error_has_its_status_its_reason_and_the_detail_that_fits(
    error: errors.InventoryError, status: str, detail: str
) -> None:
    packed, details = unpacked(error)
    assert status_of(error) is StatusCode[status]
    assert packed.code == StatusCode[status].value[0]
    assert packed.message == error.message
    assert set(details) == {"ErrorInfo", *([detail] if detail else [])}
    info = details["ErrorInfo"]
    assert (info.reason, info.domain) == (type(error).reason, "inventory.v1")
    assert dict(info.metadata) == error.facts


def test_a_bad_request_names_every_field() -> None:
    error = errors.InvalidRequest(("lines[0].sku", "is wrong"), ("note", "is too long"))
    _, details = unpacked(error)
    named = [(bad.field, bad.description) for bad in details["BadRequest"].field_violations]
    assert named == [("lines[0].sku", "is wrong"), ("note", "is too long")]
    assert error.facts == {"field": "lines[0].sku"}


def test_a_short_line_is_a_violation_with_its_numbers() -> None:
    numbers = {"requested": 5, "available": 2, "sellable": 2}
    error = errors.InsufficientStock([{"sku": "A", "location": "online", **numbers}])
    _, details = unpacked(error)
    (violation,) = details["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("INSUFFICIENT_STOCK", "online/A")
    assert violation.description == "requested 5, available 2, sellable 2"
    assert error.facts == {
        "short_lines": "1", "sku": "A", "location": "online", "requested": "5", "available": "2",
        "sellable": "2",
    }  # fmt: skip


def test_a_refused_line_without_numbers_says_why() -> None:
    error = errors.ProductInactive([{"sku": "A", "location": "online"}])
    _, details = unpacked(error)
    (violation,) = details["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("PRODUCT_INACTIVE", "online/A")
    assert violation.description == "the product is inactive"
    assert error.facts == {"short_lines": "1", "sku": "A", "location": "online"}


def test_what_is_not_there_is_named() -> None:
    _, details = unpacked(errors.StockLevelNotFound([("online", "A"), ("store:X", "B")]))
    resource = details["ResourceInfo"]
    assert (resource.resource_type, resource.resource_name) == ("StockLevel", "online/A")
    _, details = unpacked(errors.HoldNotFound("3-a"))
    assert details["ResourceInfo"].resource_name == "3-a"


def test_an_ended_hold_says_which_and_when() -> None:
    error = errors.HoldExpired("3-a", AT_MS)
    assert error.facts == {"hold_id": "3-a", "expire_time": "2026-01-02T03:04:05.678Z"}
    _, details = unpacked(error)
    assert details["PreconditionFailure"].violations[0].subject == "holds/3-a"


def test_a_pause_stands_where_a_retry_can_help() -> None:
    _, details = unpacked(errors.StoreUnavailable("the store is out of reach"))
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 200
    _, details = unpacked(errors.StoreFull())
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 5000


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("count", [1, 2, 20, 100, 500])
def test_short_lines_fit_into_trailers_and_are_all_counted(
    kind: type[errors.LinesRefused], count: int
) -> None:
    error = lines_of(kind, count)
    assert len(pack_status(error)) <= MAX_DETAILS_BYTES
    _, details = unpacked(error)
    assert details["ErrorInfo"].metadata["short_lines"] == str(count)
    told = details["PreconditionFailure"].violations
    assert len(told) == count if count < 20 else 10 < len(told) < count or count == 20
    assert [violation.subject for violation in told] == [
        f"{line['location']}/{line['sku']}" for line in error.lines[: len(told)]
    ]
    assert len(error.message) < 512


@pytest.mark.parametrize("count", [1, 100, 500])
def test_unknown_levels_fit_into_trailers_and_are_all_counted(count: int) -> None:
    error = errors.StockLevelNotFound([(LONG_LOCATION, f"{n:03}" + "S" * 61) for n in range(count)])
    assert len(pack_status(error)) <= MAX_DETAILS_BYTES
    assert error.facts["missing_levels"] == str(count)
    named = error.facts["levels"].split(",")
    assert len(named) == min(count, error.MAX_NAMED)
    assert named[0] == f"{LONG_LOCATION}/000{'S' * 61}"


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_bad_fields_fit_into_trailers(count: int) -> None:
    sentence = "1 to 64 of A-Z a-z 0-9 . _ - / + #"
    error = errors.InvalidRequest(*[(f"lines[{n}].sku", sentence) for n in range(count)])
    assert len(pack_status(error)) <= MAX_DETAILS_BYTES
    _, details = unpacked(error)
    assert details["BadRequest"].field_violations[0].field == "lines[0].sku"


@every_error
def test_status_and_sentence_fit_into_trailers(
    error: errors.InventoryError, status: str, detail: str
) -> None:
    # gRPC sends the message beside the details, percent-encoded.
    assert error.message
    assert len(error.message) + len(pack_status(error)) * 4 / 3 < 8 * 1024


@pytest.mark.parametrize("count", [1, 20, 100, 500])
def test_the_sentence_and_the_details_together_stay_below_what_peers_accept(count: int) -> None:
    levels = [(LONG_LOCATION, f"{n:03}" + "S" * 61) for n in range(count)]
    for error in (errors.StockLevelNotFound(levels), lines_of(errors.InsufficientStock, count)):
        assert len(error.message.encode()) + len(pack_status(error)) * 4 / 3 < 8 * 1024
