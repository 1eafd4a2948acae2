"""The OpenAPI 3.1 document, made from the declared operations and their models."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from web.api.endpoint import IDEMPOTENCY_KEY, File, Operation, documentation
from web.api.shapes import MAX_LIMIT, Asked, Problem
from web.edge import PROBLEM

Json = dict[str, Any]
ALWAYS = (401, 503)
PATH_SCHEMAS = {
    "id": {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
    "key": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"},
}
_PLACE = re.compile(r"<(id|key):(\w+)>")
DESCRIPTION = f"""Members, points and orders of one shop's program.

Every request carries the shop's API key. Ids are text; money is in minor units of the shop's currency; times are
RFC 3339 in UTC. Listings come in pages of at most {MAX_LIMIT} items: pass `next` as `cursor` until it is null. Errors
are RFC 9457 problem details with a stable `code`."""


def build(operations: Iterable[Operation], *, prefix: str, version: str) -> Json:
    """The document of these operations, served under `prefix`."""
    operations = list(operations)
    references, schemas = _schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(_path(operation), {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rapport", "version": version, "description": DESCRIPTION},
        "servers": [{"url": prefix}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


References = Mapping[tuple[Any, JsonSchemaMode], Json]


def _schemas(operations: list[Operation]) -> tuple[References, Json]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    wanted += [
        (operation.answer, "serialization") for operation in operations if not issubclass(operation.answer, File)
    ]
    wanted += [(operation.body, "validation") for operation in operations if operation.body]
    references, definitions = models_json_schema(
        list(dict.fromkeys(wanted)), ref_template="#/components/schemas/{model}"
    )
    return references, definitions["$defs"]


def _path(operation: Operation) -> str:
    return _PLACE.sub(r"{\2}", operation.rule)


def _operation(operation: Operation, references: References) -> Json:
    summary, description = documentation(operation)
    told: Json = {"operationId": operation.name, "summary": summary}
    if description:
        told["description"] = description
    told["parameters"] = [*_path_parameters(operation), *_query_parameters(operation.query), *_headers(operation)]
    if operation.body:
        schema = references[operation.body, "validation"]
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    told["responses"] = _responses(operation, references)
    return told


def _path_parameters(operation: Operation) -> list[Json]:
    places = _PLACE.findall(operation.rule)
    return [{"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS[kind]} for kind, name in places]


def _query_parameters(query: type[Asked] | None) -> list[Json]:
    if query is None:
        return []
    properties = query.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "required": False} | _told(schema) for name, schema in properties.items()]


def _told(schema: Json) -> Json:
    """A parameter's schema and description. A parameter that is absent is not null, so null is no value of it."""
    bare = {name: value for name, value in schema.items() if name not in ("title", "description", "anyOf", "default")}
    for choice in schema.get("anyOf", ()):
        bare |= choice if choice != {"type": "null"} else {}
    if schema.get("default") is not None:
        bare["default"] = schema["default"]
    return {"description": schema.get("description", ""), "schema": bare}


def _headers(operation: Operation) -> list[Json]:
    if operation.method != "POST":
        return []
    description = "Makes the request count once: the first answer is given again. Kept for a day."
    schema = {"type": "string", "pattern": IDEMPOTENCY_KEY, "maxLength": 255}
    return [
        {"name": "Idempotency-Key", "in": "header", "required": False, "description": description, "schema": schema}
    ]


def _answer(operation: Operation, references: References) -> Json:
    if issubclass(operation.answer, File):
        return {operation.answer.media: {"schema": {"type": "string", "contentMediaType": operation.answer.media}}}
    return {"application/json": {"schema": references[operation.answer, "serialization"]}}


def _responses(operation: Operation, references: References) -> Json:
    answer = _answer(operation, references)
    refusal = {PROBLEM: {"schema": references[Problem, "serialization"]}}
    told = {str(operation.status): {"description": HTTPStatus(operation.status).phrase, "content": answer}}
    for status in sorted({*operation.problems, *ALWAYS}):
        told[str(status)] = {"description": HTTPStatus(status).phrase, "content": refusal}
    return told
