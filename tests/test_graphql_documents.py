"""Every GraphQL document in the repository is valid on the Admin API's published schema and uses nothing deprecated."""

from pathlib import Path

import pytest
from graphql import TypeInfo, TypeInfoVisitor, Visitor, get_named_type, parse, validate, visit
from graphql.validation import NoDeprecatedCustomRule

from sandbox.admin_api import introspection, schema
from sandbox.world import SCOPES

ROOT = Path(__file__).parent.parent
OUTSIDE = {"node_modules", ".venv", ".rapport", "build"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.graphql") if not OUTSIDE & set(path.relative_to(ROOT).parts))


def needed_scopes(document):
    """For every field and type the document touches: the alternatives Shopify lists for offline tokens."""
    items = introspection()["offline_scopes"]["items"]
    listed = {(item["typeName"], item.get("fieldName")): item["offlineScopes"] for item in items}
    info, needed = TypeInfo(schema()), []

    class Reads(Visitor):
        def enter_field(self, node, *_):
            parent, kind = info.get_parent_type(), info.get_type()
            keys = [(parent.name, node.name.value), (get_named_type(kind).name, None)]
            needed.extend(listed[key] for key in keys if listed.get(key))

    visit(document, TypeInfoVisitor(info, Reads()))
    return needed


def test_there_are_documents():
    assert DOCUMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document(path):
    document = parse(path.read_text())
    assert [error.message for error in validate(schema(), document)] == []
    assert [error.message for error in validate(schema(), document, [NoDeprecatedCustomRule])] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document_needs_no_scope_the_app_does_not_have(path):
    missing = [scopes for scopes in needed_scopes(parse(path.read_text())) if not set(scopes) & set(SCOPES.split(","))]
    assert missing == []
