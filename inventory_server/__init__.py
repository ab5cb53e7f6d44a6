"""The inventory service: stock, holds and availability over gRPC, kept in Redis."""

import os

# gRPC would say at each start of a child process that it cannot follow into it: none uses gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

__version__ = "0.1.0"
