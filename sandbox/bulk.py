"""Bulk operations: a query over everything, run in the background, its answer a file of JSON lines to be fetched.

As Shopify does it: connections are followed to their ends, each object of one is a line of its own, and those of an
inner connection name their parent. The file is served to whoever has its address, in parts if asked.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLError,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    parse,
    print_ast,
    validate,
)

from sandbox.admin_api import answer_field, schema
from sandbox.faults import Faults
from sandbox.nodes import Node, user_error
from sandbox.payloads import gid, utc

if TYPE_CHECKING:
    from sandbox.world import World

log = logging.getLogger("sandbox")
PAGE, INNER = 100, 250


class Operation(msgspec.Struct):
    """`size` is the file's in bytes. Times are epoch seconds."""

    id: int
    query: str
    status: str
    created_at: int
    completed_at: int | None = None
    objects: int = 0
    roots: int = 0
    size: int = 0
    error: str | None = None


class Bulk:
    """All shops' operations. `roots(domain)` gives the Query fields; files are kept in `folder`."""

    def __init__(self, world: "World", roots: Callable[[str], Node], faults: Faults, folder: Path) -> None:
        self.world, self.roots, self.faults, self.folder = world, roots, faults, folder

    def start(self, domain: str, query: str) -> Node:
        """What `bulkOperationRunQuery` answers."""
        running = [one for one in self.world.store.all(domain, "bulk", Operation) if one.status == "RUNNING"]
        problem = "Too many bulk operations are running." if len(running) >= 5 else self.problem(query)
        if problem:
            code = "LIMIT_REACHED" if running else "INVALID"
            return {"bulkOperation": None, "userErrors": [user_error(["query"], problem, code)]}
        number = 9_000_000_000 + self.world.store.count(domain, "bulks")
        made = Operation(number, query, "CREATED", self.world.now(None))
        self.keep(domain, made)
        threading.Thread(target=self.work, args=(domain, made), name="bulk", daemon=True).start()
        return {"bulkOperation": self.node(domain, made), "userErrors": []}

    def problem(self, query: str) -> str | None:
        try:
            document = parse(query)
        except GraphQLError as error:
            return error.message
        errors = [error.message for error in validate(schema(), document)]
        if not errors and list_holds_connection(top(document)):
            errors = ["Queries that contain a connection field within a list field are not currently supported."]
        return errors[0] if errors else None

    def keep(self, domain: str, operation: Operation) -> None:
        self.world.store.put(domain, "bulk", operation.id, operation, operation.created_at)

    def find(self, domain: str, number: int) -> Operation | None:
        return self.world.store.get(domain, "bulk", number, Operation)

    def path(self, domain: str, number: int) -> Path:
        return self.folder / domain / f"{number}.jsonl"

    def node(self, domain: str, operation: Operation, base: str = "") -> Node:
        ended = operation.completed_at is not None
        url = f"{base}/{domain}/bulk/{operation.id}.jsonl" if ended and operation.objects else None
        return {
            "__typename": "BulkOperation",
            "id": gid("BulkOperation", operation.id),
            "status": operation.status,
            "errorCode": operation.error,
            "objectCount": str(operation.objects),
            "rootObjectCount": str(operation.roots),
            "fileSize": str(operation.size) if url else None,
            "url": url if operation.status == "COMPLETED" else None,
            "partialDataUrl": url if operation.status == "FAILED" else None,
            "createdAt": utc(operation.created_at),
            "completedAt": utc(operation.completed_at) if operation.completed_at else None,
            "query": operation.query,
            "type": "QUERY",
        }

    def work(self, domain: str, operation: Operation) -> None:
        fault = self.faults.next(["bulk"])
        operation.status = "RUNNING"
        self.keep(domain, operation)
        try:
            self.write(domain, operation, fails=bool(fault and fault.kind == "bulk_fails"))
            operation.status = "COMPLETED"
        except Exception as error:
            log.warning("bulk operation %s failed: %s", operation.id, error)
            operation.status, operation.error = "FAILED", "INTERNAL_SERVER_ERROR"
        path = self.path(domain, operation.id)
        operation.size = path.stat().st_size
        if fault and fault.kind == "bulk_cut":
            cut(path)
        operation.completed_at = self.world.now(None)
        self.keep(domain, operation)
        told = {"admin_graphql_api_id": gid("BulkOperation", operation.id), "status": operation.status.lower()}
        more = {"error_code": operation.error, "type": "query", "created_at": utc(operation.created_at)}
        self.world.emit(domain, {"bulk_operations/finish": told | more}, operation.completed_at)

    def write(self, domain: str, operation: Operation, *, fails: bool) -> None:
        path = self.path(domain, operation.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            for page in self.pages(domain, operation.query):
                for node in page:
                    lines = [json.dumps(line, separators=(",", ":")) for line in flat(node)]
                    file.write("\n".join(lines) + "\n")
                    operation.objects, operation.roots = operation.objects + len(lines), operation.roots + 1
                self.keep(domain, operation)
                if fails:
                    raise RuntimeError("as planned")

    def pages(self, domain: str, query: str) -> Iterator[list[Node]]:
        root = top(parse(query))
        after = None
        while True:
            asked = "query { " + print_ast(paged(root, f"first: {PAGE}, after: {json.dumps(after)}")) + " }"
            result = execute_sync(schema(), parse(asked), root_value=self.roots(domain), field_resolver=answer_field)
            if result.errors or result.data is None:
                raise RuntimeError(f"{result.errors}")
            (found,) = result.data.values()
            yield [edge["node"] for edge in found["edges"]]
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                return


def cut(path: Path) -> None:
    """End a file in the middle of its last line."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 20])


def top(document: Any) -> FieldNode:
    """The one connection a bulk query is about."""
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    (field,) = operation.selection_set.selections
    assert isinstance(field, FieldNode)
    return field


def inner_fields(field: FieldNode) -> list[FieldNode]:
    return [node for node in (field.selection_set or SelectionSetNode(selections=())).selections
            if isinstance(node, FieldNode)]  # fmt: skip


def connects(field: FieldNode) -> bool:
    return any(inner.name.value == "edges" for inner in inner_fields(field))


def list_holds_connection(field: FieldNode, within: str = "QueryRoot") -> bool:
    """Whether some list, which is no connection, holds a connection."""
    types: Any = schema().type_map
    kind = types[within].fields[field.name.value].type
    named = kind
    listed = False
    while hasattr(named, "of_type"):
        listed = listed or str(named).rstrip("!").startswith("[")
        named = named.of_type
    plain_list = listed and field.name.value != "edges"
    for inner in inner_fields(field):
        if inner.name.value == "__typename":
            continue
        if (plain_list and connects(inner)) or list_holds_connection(inner, named.name):
            return True
    return False


def paged(field: FieldNode, arguments: str) -> FieldNode:
    """The connection with its page asked for, and every inner one in full."""
    extra = [parsed for parsed in arguments_of(arguments) if parsed.name.value not in names(field)]
    if field.name.value == "orders" and "sortKey" not in names(field):
        extra += arguments_of("sortKey: UPDATED_AT")
    info = parse("{ pageInfo { hasNextPage endCursor } }").definitions[0]
    selections = [deep(inner) for inner in inner_fields(field)]
    return FieldNode(
        name=NameNode(value=field.name.value),
        arguments=(*(field.arguments or ()), *extra),
        directives=(),
        selection_set=SelectionSetNode(selections=(*selections, *info.selection_set.selections)),  # type: ignore[attr-defined]
    )


def deep(field: FieldNode) -> FieldNode:
    if field.selection_set is None:
        return field
    arguments = (*(field.arguments or ()), *(arguments_of(f"first: {INNER}") if connects(field) else ()))
    return FieldNode(
        name=NameNode(value=field.name.value),
        alias=field.alias,
        arguments=arguments,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(deep(inner) for inner in inner_fields(field))),
    )


def arguments_of(text: str) -> list[ArgumentNode]:
    field = top(parse(f"{{ f({text}) }}"))
    return list(field.arguments or ())


def names(field: FieldNode) -> set[str]:
    return {argument.name.value for argument in field.arguments or ()}


def flat(node: Node, parent: str | None = None) -> Iterator[Node]:
    """A node's line, then those of its inner connections."""
    inner = {name: value for name, value in node.items() if isinstance(value, dict) and set(value) == {"edges"}}
    line = {name: value for name, value in node.items() if name not in inner}
    yield line | ({"__parentId": parent} if parent else {})
    for value in inner.values():
        for edge in value["edges"]:
            yield from flat(edge["node"], node["id"])
