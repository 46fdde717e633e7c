"""The API keeps its own description: whatever the OpenAPI document allows is answered as it says, and never with a 500."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, store


@pytest.fixture
def api(database_url: str, warehouse: Warehouse) -> Iterator[ApiServer]:
    pair = synced_pair(warehouse, "dukascopy", "BTCUSD")
    store(warehouse, pair, "1h", date(2024, 3, 20), hours(at("2024-03-20"), 24))
    with ApiServer(database_url) as server:
        yield server


def test_every_path_answers_as_described(api: ApiServer) -> None:
    schema = schemathesis.openapi.from_url(f"{api.url}/openapi.json")
    operations: list[Any] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert {operation.path for operation in operations} >= {"/api/candles", "/api/metadata", "/health", "/"}
    for operation in operations:
        _check(operation)


def _check(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def answers_as_described(case: Case[Any]) -> None:
        # a range may be empty or too long although each of its ends is fine: JSON Schema can't say that
        case.call_and_validate(excluded_checks=[positive_data_acceptance, unsupported_method])

    answers_as_described()


def test_the_documented_examples_work(api: ApiServer) -> None:
    document = api.get("/openapi.json").json()
    parameters = document["paths"]["/api/candles"]["get"]["parameters"]
    asked = {each["name"]: each["schema"]["examples"][0] for each in parameters if each["required"]}
    answer = api.get("/api/candles", **asked | {"symbol": "BTCUSD"})
    assert answer.status_code == 200
    assert len(answer.json()) == 17
