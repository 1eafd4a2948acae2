"""Jobs of Apple's certificates."""

from core import clock, logs
from core.db import database
from shops.queries import installed_shop_ids
from wallet_passes.apple import certificate, uploads
from wallet_passes.apple.certificate import BadCertificate, NotSetUp

log = logs.logger(__name__)


def warn_of_expiry() -> None:
    """Tell merchants and the operator 30 days ahead that a pass certificate expires."""
    with database().transaction(*(shops := installed_shop_ids(database()))) as session:
        uploads.warn(session, shops)
    try:
        expires_at = certificate.loaded().expires_at
    except (BadCertificate, NotSetUp):
        return
    if expires_at - clock.now() < uploads.WARNED:
        log.warning("the pass certificate expires", expires_at=expires_at.isoformat())
