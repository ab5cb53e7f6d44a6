"""Messages as JSON: every field by its name in the protos, always there.

int64 is a JSON number: the service's counts stay below 2^53, which every JSON
reader keeps exactly. Enums are their short names, times are RFC 3339 in UTC,
and what is not set is null.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def document(value: Any) -> str:
    """One JSON document in one line."""
    return json.dumps(value, ensure_ascii=False)


def json_of(message: Message) -> Any:
    """The message as what `json` takes."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        return message.ToJsonString()  # type: ignore[attr-defined]
    if name == "google.protobuf.Struct":
        return MessageToDict(message)
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def enum_word(field: Any, number: int) -> str | None:
    """The short name of a value of the field's enum, as LOW; None where it is not set."""
    kind: Any = field.enum_type
    names = kind.values_by_number
    if number not in names:
        # A value that is newer than this program.
        return str(number)
    prefix = kind.values[0].name.removesuffix("UNSPECIFIED")
    return names[number].name.removeprefix(prefix) if number else None


def word_of(message: Message, name: str) -> str:
    """The short name of the enum's value in this field; empty where it is not set."""
    field = message.DESCRIPTOR.fields_by_name[name]
    return enum_word(field, getattr(message, name)) or ""


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_value(field, one) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(field, value)


def _value(field: Any, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return json_of(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum_word(field, value)
    return value
