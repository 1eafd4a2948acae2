"""Prometheus metrics, all named in one place. `/metrics` serves them; labels never hold personal data."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("rapport_deliveries_received_total", "Deliveries answered at the door", ["status"])
ACKNOWLEDGE = Histogram(
    "rapport_acknowledge_seconds",
    "From the request's arrival to its answer at the door",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4),
)
GROUP_SIZE = Histogram("rapport_group_commit_size", "Deliveries per commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
DRAINED = Counter("rapport_deliveries_drained_total", "Deliveries worked off the inbox", ["state"])
DRAIN_SECONDS = Histogram("rapport_drain_batch_seconds", "One batch of the inbox, claim to commit")
PENDING = Gauge("rapport_inbox_pending", "Deliveries waiting in the inbox", multiprocess_mode="mostrecent")
EFFECTS = Counter("rapport_effects_total", "Effects carried out", ["kind", "outcome"])
REQUESTS = Histogram("rapport_request_seconds", "HTTP requests outside the door", ["endpoint", "status"])
SHOPIFY_CALLS = Histogram("rapport_shopify_call_seconds", "Admin GraphQL calls", ["operation", "outcome"])
SHOPIFY_WAITS = Histogram("rapport_shopify_wait_seconds", "Waiting for a shop to allow the next Admin call")
CERTIFICATE_DAYS = Gauge(
    "rapport_apple_certificate_expires_days",
    "Days until the operator's pass certificate expires",
    multiprocess_mode="mostrecent",
)
SIGNATURES = Counter("rapport_apple_signatures_total", "Card files signed; one that was kept costs none")
REDIS_ERRORS = Counter("rapport_redis_errors_total", "Hints that Redis did not take; the sweep makes up for them")
