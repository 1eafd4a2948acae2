"""Customer segments that stand for something of ours. Shopify has no key to know them by: we look before we create."""

from shops.admin import AccessDenied, Admin, AdminRefused


def ensure(admin: Admin, name: str, query: str, known: str | None = None) -> str:
    """Have the shop keep a segment of this name and query; returns its id. `known` is the id it had when last seen.

    Queries: https://shopify.dev/docs/api/shopifyql/segment-query-language-reference. Raises as `Admin.call` does.
    """
    found = _named(admin, name)
    if found is None and known and _renamed_back(admin, known, name, query):
        return known
    if found is None:
        return _create(admin, name, query)
    if found["query"] != query:
        admin.call("segment_update", id=found["id"], query=query)
    return found["id"]


def _named(admin: Admin, name: str) -> dict[str, str] | None:
    found = admin.call("segments_find", query=f"name:'{name}'")["segments"]["nodes"]
    return next((node for node in found if node["name"] == name), None)


def _create(admin: Admin, name: str, query: str) -> str:
    try:
        return str(admin.call("segment_create", name=name, query=query)["segmentCreate"]["segment"]["id"])
    except AdminRefused:
        # Another worker may have been faster: a name is taken once.
        if found := _named(admin, name):
            return found["id"]
        raise


def _renamed_back(admin: Admin, known: str, name: str, query: str) -> bool:
    """Whether the segment is still there, under another name than ours."""
    try:
        admin.call("segment_update", id=known, name=name, query=query)
    except AccessDenied:
        raise
    except AdminRefused:
        return False
    return True
