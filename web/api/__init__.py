"""The public API under `/api/v1`: what one shop's members, points, orders and program are, by the key that is sent."""

import functools
from importlib.metadata import PackageNotFoundError, version

from flask import Blueprint, Flask, Response, json

from core import i18n
from web.api import (
    activities,
    connections,
    document,
    expiry,
    passes,
    payouts,
    program,
    referral_lists,
    referral_numbers,
    referral_reviews,
    referrals,
    rewards,
    scans,
    tiers,
    views,
    wallet_certificates,
    wallet_designs,
    wallet_messages,
)
from web.api.endpoint import IdConverter, KeyConverter

PREFIX = "/api/v1"
OPERATIONS = (
    *views.OPERATIONS,
    *expiry.OPERATIONS,
    *activities.OPERATIONS,
    *connections.OPERATIONS,
    *program.OPERATIONS,
    *rewards.OPERATIONS,
    *tiers.OPERATIONS,
    *passes.OPERATIONS,
    *wallet_certificates.OPERATIONS,
    *wallet_designs.OPERATIONS,
    *wallet_messages.OPERATIONS,
    *scans.OPERATIONS,
    *referrals.OPERATIONS,
    *referral_reviews.OPERATIONS,
    *payouts.OPERATIONS,
    *referral_lists.OPERATIONS,
    *referral_numbers.OPERATIONS,
)


def register(app: Flask) -> None:
    """Give the app the API and its OpenAPI document."""
    app.url_map.converters |= {"id": IdConverter, "key": KeyConverter}
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    i18n.speaks(blueprint, lambda: i18n.ENGLISH)
    for operation in OPERATIONS:
        blueprint.add_url_rule(operation.rule, operation.name, operation, methods=[operation.method])
    program.publish_schema(blueprint)
    wallet_designs.publish_schema(blueprint)
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: Response(_described(), mimetype="application/json"))
    app.register_blueprint(blueprint)


@functools.cache
def _described() -> str:
    # Made for who asks first: it takes longer than all else that an app is made of, and most processes never need it.
    return json.dumps(document.build(OPERATIONS, prefix=PREFIX, version=_version()))


def _version() -> str:
    try:
        return version("rapport")
    except PackageNotFoundError:
        return "0"
