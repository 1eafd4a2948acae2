"""The public API under `/api/v1`: members, postings, adjustments, orders and rewards of the shop whose key is sent."""

from importlib.metadata import PackageNotFoundError, version

from flask import Blueprint, Flask, Response, json

from web.api import document
from web.api.endpoint import IdConverter
from web.api.views import OPERATIONS

PREFIX = "/api/v1"


def register(app: Flask) -> None:
    """Give the app the API and its OpenAPI document."""
    app.url_map.converters["id"] = IdConverter
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for operation in OPERATIONS:
        blueprint.add_url_rule(operation.rule, operation.name, operation, methods=[operation.method])
    described = json.dumps(document.build(OPERATIONS, prefix=PREFIX, version=_version()))
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: Response(described, mimetype="application/json"))
    app.register_blueprint(blueprint)


def _version() -> str:
    try:
        return version("rapport")
    except PackageNotFoundError:
        return "0"
