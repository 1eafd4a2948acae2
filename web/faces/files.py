"""Addresses of our own styles, scripts and pictures. Each carries a digest of its content, so it is kept for good."""

import functools
import hashlib
from pathlib import Path

from flask import current_app, url_for

from core.config import settings

_DIGITS = 10


def address(name: str, *, outside: bool = False) -> str:
    """Where a file of `static/` is. `outside`: the whole address, for pages that stand on a shop's own domain."""
    path = url_for("static", filename=name, v=_version(Path(current_app.static_folder or "") / name))
    return settings().app_url.rstrip("/") + path if outside else path


def _version(file: Path) -> str:
    return _digest(file, file.stat().st_mtime_ns)


@functools.cache
def _digest(file: Path, changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]
