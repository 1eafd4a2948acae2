"""What makes the pages an app on the phone: a manifest, and a service worker that knows only that there is no network.

Nothing about members is ever kept on the device: without a network nothing is looked up and nothing is guessed.
"""

from flask import Blueprint, Response, json, render_template, url_for

from core.i18n import _
from web.faces import files

OPEN = ("manifest", "service_worker", "offline")


def add_to(pages: Blueprint) -> None:
    pages.get("/app.webmanifest", endpoint="manifest")(manifest)
    pages.get("/sw.js", endpoint="service_worker")(service_worker)
    pages.get("/offline", endpoint="offline")(offline)


def manifest() -> Response:
    """Source: https://www.w3.org/TR/appmanifest/"""
    icon = {"src": files.address("mark.svg"), "type": "image/svg+xml", "sizes": "any", "purpose": "any"}
    told = {
        "name": _("Rapport counter"),
        "short_name": _("Counter"),
        "id": url_for("staff.scanner"),
        "start_url": url_for("staff.scanner"),
        "scope": "/staff/",
        "display": "standalone",
        "orientation": "portrait",
        "background_color": "#0b0e14",
        "theme_color": "#0b0e14",
        "icons": [icon, *_pngs()],
    }
    return Response(json.dumps(told), mimetype="application/manifest+json", headers={"Cache-Control": "no-cache"})


def _pngs() -> list[dict[str, str]]:
    sizes = (192, 512)
    return [
        {"src": files.address(f"staff-{size}.png"), "type": "image/png", "sizes": f"{size}x{size}", "purpose": purpose}
        for size in sizes
        for purpose in ("any", "maskable")
    ]


def service_worker() -> Response:
    """The script of the service worker, with the page it shows without a network."""
    text = render_template("staff/sw.js", page=url_for("staff.offline"), version=files.address("staff.css"))
    return Response(text, mimetype="text/javascript", headers={"Cache-Control": "no-cache"})


def offline() -> str:
    return render_template("staff/offline.html")
