"""The Content-Security-Policy and the other headers of faces' pages. Nothing runs that we did not write.

`frame-ancestors` of an embedded app must name its shop and Shopify's admin, request by request.
Source: https://shopify.dev/docs/apps/build/security/set-up-iframe-protection
"""

import secrets
from typing import NamedTuple

from flask import Response, g


class Allowed(NamedTuple):
    """What a face's pages may load beside our own files, as CSP sources, and who may frame them."""

    frames: str = "'none'"
    scripts: str = ""
    images: str = ""
    connects: str = ""
    camera: bool = False


def nonce() -> str:
    """The nonce of this answer's own `<style>` elements, made when first asked for."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    value: str = g.nonce
    return value


def apply(response: Response, allowed: Allowed) -> Response:
    """Set the headers of a page. An answer that is no page keeps what the edge gives data."""
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    if response.mimetype == "text/html":
        camera = "(self)" if allowed.camera else "()"
        response.headers["Permissions-Policy"] = f"camera={camera}, microphone=(), geolocation=()"
        response.headers["Content-Security-Policy"] = _written(allowed)
    return response


def _written(allowed: Allowed) -> str:
    style = f"'self' 'nonce-{g.nonce}'" if "nonce" in g else "'self'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {allowed.scripts}".rstrip(),
            f"style-src {style}",
            f"img-src 'self' data: blob: {allowed.images}".rstrip(),
            f"connect-src 'self' {allowed.connects}".rstrip(),
            "font-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "media-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors {allowed.frames}",
        )
    )
