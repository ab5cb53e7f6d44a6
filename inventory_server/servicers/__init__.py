"""gRPC in and out: convert, call, convert."""
