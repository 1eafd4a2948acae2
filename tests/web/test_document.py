"""Every operation of the OpenAPI document, tried by schemathesis on the real app with what fits and what does not."""

import itertools
import re
from collections.abc import Iterator

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from core.db import database
from loyalty import audit
from tests.apps import opened
from tests.web.stores import FIRST_ORDER, Store, open_store
from web.api import OPERATIONS
from web.api.endpoint import Operation

TRIED = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
SHOPS = itertools.count(1)
# Where nothing is asked, nothing wrong can be.
TRIALS = [
    (operation.name, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.query or operation.body or "<" in operation.rule
]


@pytest.fixture(scope="module")
def app(module_database_url: str, worker_redis_url: str) -> Iterator[Flask]:
    with opened(module_database_url, worker_redis_url) as app:
        yield app


@pytest.fixture(scope="module")
def document(app: Flask) -> schemathesis.BaseSchema:
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    document.config.generation.update(with_security_parameters=False)
    return document


@pytest.fixture
def store(app: Flask, redis_url: str) -> Store:
    """A shop of this trial's own, with three members who have ordered."""
    store = open_store(app, f"trial-{next(SHOPS)}.myshopify.com")
    store.settle(*(store.order(number, store.customer(number)) for number in (1, 2, 3)))
    return store


@pytest.mark.parametrize(("name", "mode"), TRIALS)
def test_the_app_does_what_its_document_says(
    store: Store, document: schemathesis.BaseSchema, name: str, mode: GenerationMode
) -> None:
    declared = BY_NAME[name]
    operation = document[path_of(declared)][declared.method]
    ids = {"member_id": store.member_of(store.customer(1))["id"], "order_id": str(FIRST_ORDER + 1), "version": "1"}
    # What fits may still be refused for what the shop has or has not: there is no such gift, the points are short.
    refused = [] if declared.method == "GET" else [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]

    numbers = itertools.count()

    @TRIED
    @given(case=operation.as_strategy(mode))
    def each(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            # Ids that exist, so that more than a 404 is seen; and no cursor, for only we can make a good one.
            case.path_parameters = {key: ids.get(key, value) for key, value in case.path_parameters.items()}
            (case.query or {}).pop("cursor", None)
            # A key that stood on an earlier example would refuse this one.
            if case.headers and "Idempotency-Key" in case.headers:
                case.headers["Idempotency-Key"] = f"example {next(numbers)}"
        case.call_and_validate(headers=store.headers, excluded_checks=refused)

    each()
    with database().transaction(store.shop_id) as session:
        assert audit.differences(session) == []


def path_of(operation: Operation) -> str:
    """The path of an operation as the document writes it."""
    return re.sub(r"<\w+:(\w+)>", r"{\1}", operation.rule)
