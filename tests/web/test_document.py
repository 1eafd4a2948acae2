"""Every operation of the OpenAPI document, tried by schemathesis on the real app with what fits and what does not."""

import itertools

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from core.db import database
from loyalty import audit
from tests.web.stores import FIRST_ORDER, Store
from web.api.views import OPERATIONS

TRIED = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Where nothing is asked, nothing wrong can be.
TRIALS = [
    (operation.name, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.query or operation.body or "<" in operation.rule
]


@pytest.fixture
def document(store: Store) -> schemathesis.BaseSchema:
    store.settle(*(store.order(number, store.customer(number)) for number in (1, 2, 3)))
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", store.app)
    document.config.generation.update(with_security_parameters=False)
    return document


@pytest.mark.parametrize(("name", "mode"), TRIALS)
def test_the_app_does_what_its_document_says(
    store: Store, document: schemathesis.BaseSchema, name: str, mode: GenerationMode
) -> None:
    operation = document[path_of(name)]["POST" if name.startswith("create") else "GET"]
    ids = {"member_id": store.member_of(store.customer(1))["id"], "order_id": str(FIRST_ORDER + 1)}

    numbers = itertools.count()

    @TRIED
    @given(case=operation.as_strategy(mode))
    def each(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            # Ids that exist, so that more than a 404 is seen; and no cursor, for only we can make a good one.
            case.path_parameters = {key: ids[key] for key in case.path_parameters}
            (case.query or {}).pop("cursor", None)
            # A key that stood on an earlier example would refuse this one.
            if case.headers and "Idempotency-Key" in case.headers:
                case.headers["Idempotency-Key"] = f"example {next(numbers)}"
        case.call_and_validate(headers=store.headers)

    each()
    with database().transaction(store.shop_id) as session:
        assert audit.differences(session) == []


def path_of(name: str) -> str:
    """The path of an operation as the document writes it."""
    (rule,) = [operation.rule for operation in OPERATIONS if operation.name == name]
    return rule.replace("<id:", "{").replace(">", "}")
