"""What Google's published discovery document allows in a body: names, types, enumerations and formats. Pure.

Nothing is let through that it does not name, as Google's own front door does.
"""

import base64
import binascii
import functools
import json
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, NamedTuple

Schema = dict[str, Any]
_RANGES = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}


@functools.cache
def document() -> dict[str, Any]:
    path = resources.files("googleapiclient") / "discovery_cache" / "documents" / "walletobjects.v1.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def properties(name: str) -> dict[str, Schema]:
    found: dict[str, Schema] = document()["schemas"][name]["properties"]
    return found


class Message(NamedTuple):
    """A part of a body that is a message of its own, and where it stands."""

    name: str
    path: str
    value: dict[str, Any]


def messages(name: str, value: dict[str, Any], path: str = "") -> Iterator[Message]:
    """A body and everything in it that is a message. It must have no faults."""
    yield Message(name, path, value)
    for key, schema in properties(name).items():
        inner, many = schema.get("$ref"), schema.get("items", {}).get("$ref")
        if inner and value.get(key) is not None:
            yield from messages(inner, value[key], _at(path, key))
        for place, one in enumerate(value.get(key) or [] if many else []):
            yield from messages(many, one, f"{_at(path, key)}[{place}]")


def faults(name: str, value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a body; nothing when it is as the document says. A null stands for "not given"."""
    if not isinstance(value, dict):
        yield _invalid(path, f"(type.googleapis.com/google.cloud.walletobjects.{name})", value)
        return
    known = properties(name)
    for key, one in value.items():
        if key not in known:
            where = f" at '{path}'" if path else ""
            yield f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
        elif one is not None:
            yield from _field_faults(known[key], one, _at(path, key))


def _field_faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from faults(schema["$ref"], value, path)
    elif schema["type"] == "array":
        yield from _list_faults(schema["items"], value, path)
    elif "enum" in schema:
        if value not in schema["enum"]:
            yield _invalid(path, "(enum)", value)
    elif not _CHECKS[schema["type"]](schema.get("format", ""), value):
        yield _invalid(path, f"({schema.get('format') or schema['type']})", value)


def _list_faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _invalid(path, "(list)", value)
        return
    for place, one in enumerate(value):
        yield from _field_faults(schema, one, f"{path}[{place}]")


def _string(kind: str, value: Any) -> bool:
    if kind in _RANGES:
        return ((isinstance(value, str) and _decimal(value)) or _whole(value)) and _within(kind, int(value))
    if kind == "byte":
        return isinstance(value, str) and _base64(value)
    return isinstance(value, str)


def _integer(kind: str, value: Any) -> bool:
    return _whole(value) and _within(kind, value)


def _number(kind: str, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[str, Any], bool]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _, value: isinstance(value, bool),
}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit()


def _within(kind: str, value: int) -> bool:
    low, high = _RANGES[kind]
    return low <= value < high


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _invalid(path: str, kind: str, value: Any) -> str:
    return f"Invalid value at '{path}' {kind}, {json.dumps(value, default=str)[:200]}"
