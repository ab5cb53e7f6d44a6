"""The inventory service: stock, holds and availability over gRPC, kept in Redis."""

__version__ = "0.1.0"
