"""Every GraphQL document in the repository is valid on the Admin API's published schema and uses nothing deprecated."""

import functools
from pathlib import Path

import pytest
from graphql import (
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    parse,
    validate,
    visit,
)
from graphql.validation import NoDeprecatedCustomRule

from sandbox.admin_api import SCHEMA, introspection
from sandbox.world import SCOPES

ROOT = Path(__file__).parent.parent
# Functions ask of schemas of their own: tests/extensions checks those.
OUTSIDE = {"node_modules", ".venv", ".rapport", "build", "extensions"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.graphql") if not OUTSIDE & set(path.relative_to(ROOT).parts))


VERSIONS = ("2026-07", "2026-10")


@functools.cache
def published(version):
    """A version's introspection and schema, as the npm package carries them."""
    found = introspection(SCHEMA.with_name(f"admin_{version}.json.gz"))
    return found, build_client_schema(found["data"], assume_valid=True)


def needed_scopes(document, version):
    """For every field and type the document touches: the alternatives Shopify lists for offline tokens."""
    found, schema = published(version)
    items = found["offline_scopes"]["items"]
    listed = {(item["typeName"], item.get("fieldName")): item["offlineScopes"] for item in items}
    info, needed = TypeInfo(schema), []

    class Reads(Visitor):
        def enter_field(self, node, *_):
            parent, kind = info.get_parent_type(), info.get_type()
            keys = [(parent.name, node.name.value), (get_named_type(kind).name, None)]
            needed.extend(listed[key] for key in keys if listed.get(key))

    visit(document, TypeInfoVisitor(info, Reads()))
    return needed


def test_there_are_documents():
    assert DOCUMENTS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document(path, version):
    document, (_, schema) = parse(path.read_text()), published(version)
    assert [error.message for error in validate(schema, document)] == []
    assert [error.message for error in validate(schema, document, [NoDeprecatedCustomRule])] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document_needs_no_scope_the_app_does_not_have(path, version):
    needed = needed_scopes(parse(path.read_text()), version)
    assert [scopes for scopes in needed if not set(scopes) & set(SCOPES.split(","))] == []


def test_every_document_is_named_as_its_file():
    """Logs and metrics show operations by name."""
    for path in DOCUMENTS:
        (operation,) = (
            part for part in parse(path.read_text()).definitions if isinstance(part, OperationDefinitionNode)
        )
        assert operation.name.value == path.stem.title().replace("_", "")
