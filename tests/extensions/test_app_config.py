"""`shopify.app.toml` asks Shopify for what the code does: no topic unheard, no scope too many or too few."""

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from graphql import parse

from core.config import settings
from sandbox.world import SCOPES
from tests.test_graphql_documents import DOCUMENTS, needed_scopes, published
from tiers import perks
from webhooks.door import PATH
from webhooks.topics import TOPICS

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "shopify.app.toml").read_text())
COMPLIANCE = {"customers/data_request", "customers/redact", "shop/redact"}
REQUIRED = set(CONFIG["access_scopes"]["scopes"].split(","))
OPTIONAL = set(CONFIG["access_scopes"]["optional_scopes"])
# What no document of ours names: an app proxy needs the first, orders older than 60 days the second.
UNNAMED = {"write_app_proxy", "read_all_orders"}


def implied(scopes):
    return scopes | {scope.replace("write_", "read_", 1) for scope in scopes if scope.startswith("write_")}


def topic_scopes():
    """The alternatives the schema names for each topic we hear."""
    types = {kind["name"]: kind for kind in published("2026-10")[0]["data"]["__schema"]["types"]}
    told = {value["name"]: value["description"] for value in types["WebhookSubscriptionTopic"]["enumValues"]}
    words = [told[topic.upper().replace("/", "_")] for topic in TOPICS - COMPLIANCE]
    return [found for text in words if (found := set(re.findall(r"\bread_\w+", text)))]


def all_needed():
    documents = [set(scopes) for path in DOCUMENTS for scopes in needed_scopes(parse(path.read_text()), "2026-10")]
    return documents + topic_scopes()


def subscribed(kind):
    subscriptions = CONFIG["webhooks"]["subscriptions"]
    return {topic for one in subscriptions for topic in one.get(kind, ())}


def test_every_topic_that_is_handled_is_subscribed_to_and_no_other():
    assert subscribed("topics") == TOPICS - COMPLIANCE
    assert subscribed("compliance_topics") == COMPLIANCE <= TOPICS
    assert {urlsplit(one["uri"]).path for one in CONFIG["webhooks"]["subscriptions"]} == {PATH}


def test_api_version_is_the_one_the_app_speaks():
    assert CONFIG["webhooks"]["api_version"] == settings().shopify_api_version


def test_the_scopes_suffice():
    granted = implied(REQUIRED | OPTIONAL)
    assert [sorted(scopes) for scopes in all_needed() if not scopes & granted] == []


@pytest.mark.parametrize("scope", sorted((REQUIRED | OPTIONAL) - UNNAMED))
def test_no_scope_is_asked_for_in_vain(scope):
    """Without this one, something could not be done."""
    left = implied((REQUIRED | OPTIONAL) - {scope})
    assert [scopes for scopes in all_needed() if not scopes & left] != []


def test_the_sandbox_store_grants_the_same():
    assert implied(set(SCOPES.split(","))) == implied(REQUIRED | OPTIONAL)


def test_the_app_is_installed_and_shown_inside_shopify():
    assert CONFIG["embedded"] is True
    assert CONFIG["access_scopes"]["use_legacy_install_flow"] is False


def test_the_app_proxy_ends_at_the_portal():
    proxy = CONFIG["app_proxy"]
    assert (proxy["prefix"], proxy["subpath"]) == ("apps", "rewards")
    assert urlsplit(proxy["url"]).path == "/apps/rewards"


def test_every_address_is_on_one_host():
    hosts = {urlsplit(url).netloc for url in re.findall(r'"(https://[^"]+)"', (ROOT / "shopify.app.toml").read_text())}
    assert hosts == {"rapport.example"}


def test_metafields_are_defined_as_they_are_written():
    written = {"tier": perks.TEXT, "points": perks.NUMBER, "perks": perks.LIST}
    assert {key: field["type"] for key, field in CONFIG["customer"]["metafields"]["app"].items()} == written
    assert perks.NAMESPACE == "$app"
