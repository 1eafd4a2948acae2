"""Admin GraphQL over Shopify's published 2026-10 schema, answered from the sandbox's state.

The schema comes from the npm package @shopify/dev-mcp. Documents are validated as Shopify does; a field or argument
the sandbox has no answer for is refused with an error that names it, never answered with a silent null.
"""

import functools
import gzip
import hashlib
import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_client_schema,
    execute_sync,
    parse,
    validate,
)

SCHEMA = Path("node_modules/@shopify/dev-mcp/dist/data/admin_2026-10.json.gz")
VERSIONS = ("2026-10",)
# Shopify's limits for a standard shop, in cost points.
BUCKET, RESTORE_PER_SECOND, QUERY_LIMIT, MUTATION_COST = 2_000, 100, 1_000, 10


@functools.cache
def introspection(path: Path = SCHEMA) -> dict[str, Any]:
    """The package's file: `data` (an introspection result) and `offline_scopes`."""
    if not path.exists():
        path = Path(__file__).resolve().parent.parent / path
    with gzip.open(path) as file:
        found: dict[str, Any] = json.load(file)
    return found


@functools.cache
def schema() -> GraphQLSchema:
    return build_client_schema(introspection()["data"], assume_valid=True)


@functools.lru_cache(maxsize=256)
def checked(query: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document, max_errors=20))


class Forced(NamedTuple):
    """A root field whose answer is decided, whatever its arguments."""

    answer: Callable[[], Any]


def answer_field(source: dict[str, Any], info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    """The one resolver: a node is a dict of values and of functions that take the field's arguments."""
    name = f"{info.parent_type.name}.{info.field_name}"
    if info.field_name not in source:
        raise GraphQLError(f"The sandbox store does not answer {name}.")
    value = source[info.field_name]
    if isinstance(value, Forced):
        return value.answer()
    known = inspect.signature(value).parameters if callable(value) else {}
    refuse_arguments(name, {arg: given for arg, given in args.items() if snake(arg) not in known}, info)
    return (
        value(**{snake(arg): given for arg, given in args.items() if snake(arg) in known}) if callable(value) else value
    )


def refuse_arguments(name: str, args: dict[str, Any], info: GraphQLResolveInfo[Any]) -> None:
    """The schema's own defaults ask for nothing and pass; so does an explicit null or false."""
    written = {argument.name.value for node in info.field_nodes for argument in node.arguments or ()}
    asked = sorted(arg for arg, value in args.items() if arg in written and value not in (None, False))
    if asked:
        raise GraphQLError(f"The sandbox store does not answer {name} with the argument {', '.join(asked)}.")


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


class Throttle:
    """Shopify's leaky bucket, one per shop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.level: dict[str, tuple[float, float]] = {}
        self.lock = threading.Lock()

    def available(self, shop: str) -> float:
        points, at = self.level.get(shop, (BUCKET, self.clock()))
        return min(BUCKET, points + (self.clock() - at) * RESTORE_PER_SECOND)

    def take(self, shop: str, cost: int) -> bool:
        """Spend `cost` points unless the bucket holds fewer."""
        with self.lock:
            points = self.available(shop)
            if points < cost:
                return False
            self.level[shop] = (points - cost, self.clock())
            return True

    def give_back(self, shop: str, cost: int) -> None:
        with self.lock:
            self.level[shop] = (min(BUCKET, self.available(shop) + cost), self.clock())

    def status(self, shop: str) -> dict[str, float]:
        return {
            "maximumAvailable": float(BUCKET),
            "currentlyAvailable": int(self.available(shop)),
            "restoreRate": float(RESTORE_PER_SECOND),
        }


class AdminApi:
    """Runs operations for a shop. `roots(shop)` gives the Query and Mutation fields as one dict of answers."""

    def __init__(self, roots: Callable[[str], dict[str, Any]], throttle: Throttle | None = None) -> None:
        self.roots = roots
        self.throttle = throttle or Throttle()

    def run(
        self, shop: str, request: dict[str, Any], *, throttled: bool = False, forced: Mapping[str, Forced] | None = None
    ) -> dict[str, Any]:
        """`request` has `query`, maybe `variables` and `operationName`. Returns Shopify's response body (HTTP 200)."""
        document, errors = checked(str(request.get("query") or ""))
        if document is None or errors:
            return {"errors": [error.formatted for error in errors]}
        variables = request.get("variables") or {}
        cost = requested_cost(document, variables)
        if cost > QUERY_LIMIT:
            return too_expensive(cost)
        if throttled or not self.throttle.take(shop, cost):
            return self.refused(shop, cost)
        result = execute_sync(
            schema(),
            document,
            root_value=self.roots(shop) | dict(forced or {}),
            variable_values=variables,
            operation_name=request.get("operationName"),
            field_resolver=answer_field,
        )
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [error.formatted for error in result.errors]
        actual = min(cost, actual_cost(document, result.data))
        self.throttle.give_back(shop, cost - actual)
        return body | self.cost(shop, cost, actual)

    def refused(self, shop: str, cost: int) -> dict[str, Any]:
        extensions = {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}
        return {"errors": [{"message": "Throttled", "extensions": extensions}]} | self.cost(shop, cost, None)

    def cost(self, shop: str, requested: int, actual: int | None) -> dict[str, Any]:
        status = self.throttle.status(shop)
        return {
            "extensions": {
                "cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}
            }
        }


def too_expensive(cost: int) -> dict[str, Any]:
    text = f"Query cost is {cost}, which exceeds the single query max cost limit ({QUERY_LIMIT})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": QUERY_LIMIT}
    return {"errors": [{"message": text, "extensions": extensions}]}


def requested_cost(document: DocumentNode, variables: dict[str, Any]) -> int:
    """A strict estimate: a point an object, lists sized by their `first`; money and page info are free."""
    fragments = {d.name.value: d.selection_set for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    cost = selection_cost(operation.selection_set, fragments, variables)
    return max(1, cost) + (MUTATION_COST if operation.operation.value == "mutation" else 0)


def selection_cost(
    selection: SelectionSetNode, fragments: dict[str, SelectionSetNode], variables: dict[str, Any]
) -> int:
    return sum(
        size_of(field, variables) * (1 + selection_cost(field.selection_set, fragments, variables))
        for field in fields(selection, fragments)
        if field.selection_set and not free(field)
    )


def fields(selection: SelectionSetNode, fragments: dict[str, SelectionSetNode]) -> Iterable[FieldNode]:
    """Fields with fragments unfolded; `nodes`, `edges` and `node` stand for their connection and are seen through."""
    for node in selection.selections:
        if isinstance(node, FragmentSpreadNode):
            yield from fields(fragments[node.name.value], fragments)
        elif isinstance(node, InlineFragmentNode):
            yield from fields(node.selection_set, fragments)
        elif isinstance(node, FieldNode):
            if node.name.value in ("nodes", "edges", "node") and node.selection_set and not node.arguments:
                yield from fields(node.selection_set, fragments)
            else:
                yield node


def free(field: FieldNode) -> bool:
    name = field.name.value
    return name in ("pageInfo", "shopMoney", "presentmentMoney", "userErrors") or name.endswith("Set")


def size_of(field: FieldNode, variables: dict[str, Any]) -> int:
    for argument in field.arguments or ():
        if argument.name.value in ("first", "last"):
            value = argument.value
            if isinstance(value, IntValueNode):
                return int(value.value)
            if isinstance(value, VariableNode):
                return int(variables.get(value.name.value) or 1)
        if argument.name.value == "ids" and isinstance(argument.value, VariableNode):
            return len(variables.get(argument.value.name.value) or ())
    return 1


def actual_cost(document: DocumentNode, data: Any) -> int:
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return max(1, objects(data) - 1) + (MUTATION_COST if operation.operation.value == "mutation" else 0)


def objects(data: Any) -> int:
    if isinstance(data, dict):
        return 1 + sum(objects(value) for value in data.values())
    return sum(objects(value) for value in data) if isinstance(data, list) else 0


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
