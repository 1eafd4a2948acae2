"""`flask sandbox traffic`, from its options to the deliveries, the store and the manifest."""

import json

import pytest
from click.testing import CliRunner

from sandbox.cli import sandbox
from tests.sandbox.conftest import DEMO


@pytest.fixture
def traffic(listener, tmp_path, monkeypatch):
    monkeypatch.setenv("RAPPORT_STATE", str(tmp_path / "nothing"))
    return lambda *args: CliRunner().invoke(sandbox, ["traffic", "--url", listener.url, "--now", "1795305600", *args])


def test_traffic_is_sent_and_counted(traffic, listener):
    result = traffic("--orders", "30", "--duplicates", "5%", "--shuffle")
    assert result.exit_code == 0, result.output
    assert f"200: {len(listener.received)}" in result.output
    assert len({headers["X-Shopify-Webhook-Id"] for headers, _ in listener.received}) < len(listener.received)


def test_an_answer_other_than_200_fails_the_command(traffic, listener):
    listener.answers[:] = [401]
    result = traffic("--orders", "3")
    assert (result.exit_code, "401: 1" in result.output) == (1, True)


def test_the_store_learns_of_the_orders_and_the_manifest_tells_what_is_owed(traffic, store, tmp_path):
    before = len(store.sandbox.world.orders(DEMO))
    path = tmp_path / "manifest.json"
    result = traffic("--orders", "25", "--withhold", "50%", "--store", store.url, "--manifest", str(path))
    assert result.exit_code == 0, result.output
    assert len(store.sandbox.world.orders(DEMO)) == before + 25
    manifest = json.loads(path.read_text())
    assert len(manifest["orders"]) == 25
    assert manifest["expected"]["available"] == sum(m["available"] for m in manifest["expected"]["members"].values())


@pytest.mark.parametrize("wrong", [["--refunds", "lots"], ["--hot", "200%"], ["--shop", "elsewhere.example"]])
def test_wrong_options_are_named(traffic, wrong):
    result = traffic(*wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.output
