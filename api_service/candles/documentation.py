"""What `/openapi.json` says of the candle paths, made from the model that checks their parameters.

Belongs here: descriptions, shapes and examples of `/api/candles…`. Does not: behaviour.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api_service.candles.conditions import WORST_FIRST
from api_service.candles.query import CandleParameters
from api_service.docs.versions import IF_NONE_MATCH, described_header, version_headers
from api_service.problems import problem_responses

_ABOUT = """Candles that open from `from` to `to`, both included, oldest first. Numbers are exact: read them as decimals.

A range without candles is `[]` with `X-Data-Available: false` and, in `X-Available-From` and `X-Available-To`, where there
are some. `X-Data-Condition` is the worst condition of the range's days: nothing partial is silent, and a weekend is never
missing. `ETag` changes when, and only when, a candle of the range's days changes; `X-Data-Version` names the same version.
A request with `Cache-Control: no-cache` sees every candle that was committed before it; others do within milliseconds."""


class Candle(BaseModel):
    """A closed candle; all numbers exact."""

    time: int = Field(description="Open time, Unix seconds.", examples=[1710918000])
    open: float = Field(examples=[1.08703])
    high: float = Field(examples=[1.08721])
    low: float = Field(examples=[1.0865])
    close: float = Field(examples=[1.08656])
    volume: float = Field(description="In units of the base currency.", examples=[1234567.89])


def candle_paths() -> dict[str, Any]:
    """The OpenAPI path items of both paths."""
    schema = CandleParameters.model_json_schema(ref_template="#/components/schemas/{model}")
    parameters = {
        name: {
            "name": name,
            "in": "query",
            "required": name in schema["required"],
            "description": each.pop("description", ""),
            "schema": each,
        }
        for name, each in schema["properties"].items()
    }
    in_path = [
        {**parameters["symbol"], "in": "path", "required": True},
        {**parameters["timeframe"], "in": "path", "required": True},
    ]
    in_query = [each for name, each in parameters.items() if name not in ("symbol", "timeframe")]
    return {
        "/api/candles": {
            method: _operation(f"{method}_candles", list(parameters.values())) for method in ("get", "head")
        },
        "/api/candles/{symbol}/{timeframe}": {
            method: _operation(f"{method}_candles_of_symbol", [*in_path, *in_query]) for method in ("get", "head")
        },
    }


def candle_schemas() -> dict[str, Any]:
    """The component schemas the path items refer to."""
    return {"Candle": Candle.model_json_schema()}


def _operation(operation_id: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    headers = {
        **version_headers(),
        "X-Data-Condition": described_header("The worst condition of the range's days.", enum=list(WORST_FIRST)),
        "X-Exchange": described_header("The exchange whose candles these are."),
        "Cache-Control": described_header("`public, max-age=` by timeframe."),
    }
    available = {
        "X-Data-Available": described_header("Whether the range has candles.", enum=["true", "false"]),
        "X-Available-From": described_header("Open time of the first candle there is; only where the range has none."),
        "X-Available-To": described_header("Open time of the last candle there is; only where the range has none."),
    }
    example = "time,open,high,low,close,volume\n1710918000,1.08703,1.08721,1.0865,1.08656,1234567.89\n"
    content = {
        "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Candle"}}},
        "text/csv": {"schema": {"type": "string"}, "example": example},
    }
    return {
        "tags": ["chart"],
        "operationId": operation_id,
        "summary": "Candles of a symbol",
        "description": _ABOUT,
        "parameters": [*parameters, IF_NONE_MATCH],
        "responses": {
            "200": {"description": "The candles.", "headers": headers | available, "content": content},
            "304": {"description": "The client has this version; no row was read.", "headers": headers},
            **{str(status): described for status, described in problem_responses(400, 404, 503).items()},
        },
    }
