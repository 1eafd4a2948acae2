"""The merchant's face: the app embedded in Shopify's admin. One module for each area; `desk` is what all views get.

No cookies: the frame is a third party's. Every request proves by a session token who asks (`access`), and every change
is written under `merchant:<user>`.
"""

from flask import Flask

from web import faces
from web.merchant import (
    access,
    arrival,
    certificates,
    deliveries,
    desk,
    downloads,
    errors,
    home,
    mailing,
    members,
    messages,
    moving,
    navigation,
    profile,
    program,
    referring,
    settings,
    setup,
    staff,
    wallet,
)

# Importing an area declares its pages.
AREAS = (
    home, setup, members, profile, program, wallet, messages, certificates, referring, staff, moving, deliveries,
    settings, mailing, arrival, downloads,
)  # fmt: skip

access.guard(desk.merchant)
faces.dress(desk.merchant, errors.LOOK, allowed=access.allowed)
navigation.offer(desk.merchant)


def register(app: Flask) -> None:
    """Serve the merchant's pages under /merchant."""
    app.register_blueprint(desk.merchant)
