"""What a data engineer sees and clicks in the Dagster UI, in a real Chromium, on a running platform."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from market_platform.domain.clock import day_start_ms, utc_now
from market_platform_tests.e2e.browser import keep_picture, needs_chromium, open_page
from market_platform_tests.e2e.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, needs_chromium, pytest.mark.timeout(900)]

PAIR = "dukascopy_EURUSD"


def last_full_week() -> tuple[date, date]:
    """Monday and Friday of the last week that lies wholly in the past."""
    today = utc_now().date()
    monday = today - timedelta(days=today.weekday() + 7)
    return monday, monday + timedelta(days=4)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("ui"))
    stack.up()
    try:
        yield stack
        assert stack.down() == 0
    finally:
        stack.kill()


def materialised(stack: Stack, layer: str) -> int:
    """How many partitions of a layer are green."""
    found = stack.graphql(
        "query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {"
        " partitionStats { numMaterialized numFailed } } } }",
        key={"path": ["dukascopy", "EURUSD", layer]},
    )
    return int(found["assetNodeOrError"]["partitionStats"]["numMaterialized"])


def launch_backfill(page: Page, first: date, last: date) -> None:
    """Click as a person does: Materialize all…, a range, Launch backfill."""
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Latest", exact=True).wait_for()
    field = dialog.locator("input[type=text]").first
    field.fill(f"[{first}...{last}]")
    field.press("Enter")
    field.press("Tab")
    dialog.get_by_role("button", name="Launch backfill").click()


def test_a_backfill_by_click_turns_partitions_green_and_is_served(stack: Stack, tmp_path: Path) -> None:
    monday, friday = last_full_week()
    with open_page(f"{stack.dagster_url}/locations/market_platform/asset-groups/{PAIR}/lineage") as page:
        for layer in ("ticks", "candles_1m", "candles_5m", "candles_1d", "candles_1w"):
            expect(page.get_by_text(layer, exact=True).first).to_be_visible()
        launch_backfill(page, monday, friday)
        wait_until("the backfill's days are green", lambda: materialised(stack, "candles_1d") == 5, 240, every=1)
        page.set_viewport_size({"width": 2900, "height": 900})
        page.goto(f"{stack.dagster_url}/locations/market_platform/asset-groups/{PAIR}/lineage")
        expect(page.get_by_text("ticks", exact=True).first).to_be_visible()
        page.wait_for_load_state("networkidle")
        keep_picture(page, "lineage", tmp_path)
        page.set_viewport_size({"width": 1600, "height": 900})

        page.goto(f"{stack.dagster_url}/assets/dukascopy/EURUSD/ticks?view=partitions&partition={monday}")
        expect(page.get_by_text("Materialized (5)")).to_be_visible()
        keep_picture(page, "backfill", tmp_path)
        page.get_by_text("[Show Markdown]").click()
        picture = page.get_by_role("dialog").locator("img")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 200")
        keep_picture(page, "day-chart", tmp_path)

    start = day_start_ms(monday) // 1000
    served = httpx.get(f"{stack.api_url}/api/candles/EURUSD/1h", params={"from": start, "to": start + 5 * 86_400 - 1})
    assert served.status_code == 200
    assert served.headers["x-data-condition"] == "available"
    assert {datetime.fromtimestamp(row["time"], UTC).date() for row in served.json()} == {
        monday + timedelta(days=offset) for offset in range(5)
    }


def test_a_failing_check_is_shown_as_failing(stack: Stack, tmp_path: Path) -> None:
    monday, _ = last_full_week()
    rule = {"kind": "empty_once", "times": 1000}
    hour = f"GBP-?USD/{monday.year}/"
    json_hour = {"match": f"ticks/{hour}{monday.month}/{monday.day}/12$", **rule}
    bi5_hour = {"match": f"datafeed/{hour}{monday.month - 1:02}/{monday.day:02}/12h_ticks", **rule}
    faults = httpx.post(f"http://127.0.0.1:{stack.env['REPLAY_PORT']}/_faults", json=[json_hour, bi5_hour])
    assert faults.status_code in (200, 201), faults.text
    stack.run("backfill", "dukascopy/GBPUSD", "--from", monday.isoformat(), "--to", monday.isoformat())
    with open_page(f"{stack.dagster_url}/assets/dukascopy/GBPUSD/ticks?view=checks") as page:
        page.get_by_text("coverage_against_sessions").first.click()
        expect(page.get_by_text("Failed").first).to_be_visible()
        expect(page.get_by_text(monday.isoformat()).first).to_be_visible()
        page.wait_for_load_state("networkidle")
        keep_picture(page, "failing-check", tmp_path)
    shown = stack.run("status", "--json").stdout
    assert "degraded" in shown
