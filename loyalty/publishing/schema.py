"""The program's JSON Schema (draft 2020-12), made from its models: editors complete and check by it."""

import functools
from collections.abc import Iterable
from typing import Any

from loyalty.program import Program

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json = dict[str, Any]


@functools.cache
def schema() -> Json:
    """The schema of a program document, as JSON."""
    return {"$schema": DIALECT} | Program.model_json_schema() | {"title": "Rapport program"}


def fields_at(path: Iterable[str | int]) -> list[str]:
    """`fields_in` for a program."""
    return fields_in(schema(), path)


def fields_in(root: Json, path: Iterable[str | int]) -> list[str]:
    """The fields that the part at `path` may have by a schema; empty where it is no part with fields of its own.

    A path is one of pydantic's locations: names, positions in lists, and the kinds of activities.
    """
    found = root
    for step in path:
        found = _step(_resolved(root, found), step)
    return list(_resolved(root, found).get("properties", ()))


def _step(schema: Json, step: str | int) -> Json:
    if isinstance(step, int):
        return schema.get("items") or {}
    mapping = schema.get("discriminator", {}).get("mapping", {})
    if step in mapping:
        return {"$ref": mapping[step]}
    return schema.get("properties", {}).get(step) or {}


def _resolved(root: Json, found: Json) -> Json:
    """What a reference, or a choice between something and null, stands for."""
    choices = [choice for choice in found.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        found = choices[0]
    reference = found.get("$ref")
    return _resolved(root, root["$defs"][reference.rsplit("/", 1)[-1]]) if reference else found
