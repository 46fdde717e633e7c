"""What `/openapi.json` says of the paths of rows, made from the model that checks their parameters.

Belongs here: descriptions and examples. Does not: behaviour.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api_service.docs.versions import IF_NONE_MATCH, version_headers
from api_service.problems import problem_responses
from api_service.starlistings.query import RowParameters
from api_service.starlistings.routes import CANDLES_PATH, FUNDING_PATH, OPEN_INTEREST_PATH
from api_service.starlistings.schemas import CandlesOfStarlisting, FundingOfPair, OpenInterestOfPair

_REFERENCE = "#/components/schemas/{model}"
_ABOUT = """The newest `limit` rows of the range, oldest first. Decimals are strings with all 18 decimals.

Coin and quote may be written in either case. `ETag` changes when, and only when, a row that would be answered changes (of
candles: or another candle of its day); `X-Data-Version` names the same version."""

_PATHS: dict[str, tuple[str, str, type[BaseModel]]] = {
    CANDLES_PATH: ("candles_of_starlisting", "Candles of a starlisting", CandlesOfStarlisting),
    FUNDING_PATH: ("funding", "Funding rates of a trading pair", FundingOfPair),
    OPEN_INTEREST_PATH: ("open_interest", "Open interest of a trading pair", OpenInterestOfPair),
}
_IN_PATH = {"exchange": "hyperliquid", "coin": "BTC", "quote": "USD", "market_type": "perps", "interval": "1m"}


def row_paths() -> dict[str, Any]:
    """The OpenAPI path items."""
    return {
        path: {
            method: _operation(f"{method}_{operation}", summary, path, answer.__name__) for method in ("get", "head")
        }
        for path, (operation, summary, answer) in _PATHS.items()
    }


def row_schemas() -> dict[str, Any]:
    """The component schemas the path items refer to."""
    models = [answer for _, _, answer in _PATHS.values()]
    _, document = models_json_schema([(model, "serialization") for model in models], ref_template=_REFERENCE)
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _operation(operation_id: str, summary: str, path: str, answer: str) -> dict[str, Any]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$", "examples": [example]},
        }
        for name, example in _IN_PATH.items()
        if f"{{{name}}}" in path
    ]
    properties = RowParameters.model_json_schema(ref_template=_REFERENCE)["properties"]
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": each.pop("description"),
            "schema": each["anyOf"][0] | {"examples": each["examples"]} if "anyOf" in each else each,
        }
        for name, each in properties.items()
    ]
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=answer)}}}
    problems = {str(status): described for status, described in problem_responses(400, 404, 422, 503).items()}
    return {
        "tags": ["starlistings"],
        "operationId": operation_id,
        "summary": summary,
        "description": _ABOUT,
        "parameters": [*in_path, *in_query, IF_NONE_MATCH],
        "responses": {
            "200": {"description": "The rows.", "headers": version_headers(), "content": content},
            "304": {"description": "The client has this version.", "headers": version_headers()},
            **problems,
        },
    }
