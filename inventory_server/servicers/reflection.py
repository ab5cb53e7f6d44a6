"""Reflection: what grpcurl and its like ask to know the services without their protos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import grpc
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection
from inventory.v1 import error_reason_pb2

REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"
ERROR_REASONS: Final = error_reason_pb2.DESCRIPTOR
"""Named so that it is in the pool and can be described: no service's file needs it."""


class _Pool:
    """The default descriptor pool, which finds a method by its service; the library's does not."""

    def FindFileByName(self, name: str) -> FileDescriptor:
        """The file of this name; KeyError where there is none."""
        return Default().FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """The file with this symbol; KeyError where there is none."""
        try:
            return Default().FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            Default().FindServiceByName(service).methods_by_name[method]
            return Default().FindFileContainingSymbol(service)

    def __getattr__(self, name: str) -> Any:
        return getattr(Default(), name)


def add_reflection(server: grpc.aio.Server, services: Sequence[ServiceDescriptor]) -> None:
    """Adds the reflection service under both of its names."""
    names = (*[service.full_name for service in services], reflection.SERVICE_NAME, REFLECTION_V1)
    pool = cast(DescriptorPool, _Pool())
    reflection.enable_server_reflection(names, server, pool)
    servicer = reflection.aio.ReflectionServicer(names, pool)
    # The library serves v1alpha only; v1 has the same messages under another name.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection._reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection._reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))
