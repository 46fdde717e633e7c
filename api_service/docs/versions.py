"""What `/openapi.json` says of versions, the same on every path that has them: tags, and 304 for those a client has.

Belongs here: those headers and that parameter. Does not: how a version is made or compared.
"""

from __future__ import annotations

from typing import Any

IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Tags the client has; 304 when one is current.",
    "schema": {"type": "string"},
}


def described_header(description: str, **schema: Any) -> dict[str, Any]:
    """A header of an answer; its value is text."""
    return {"description": description, "schema": {"type": "string", **schema}}


def version_headers() -> dict[str, Any]:
    """The headers that name the version of an answer, and its licence."""
    return {
        "ETag": described_header("Strong tag of the data version, for If-None-Match."),
        "X-Data-Version": described_header("The data version the answer was made of."),
        "X-Licence": described_header("Of data that may not be passed on; absent of other data.", enum=["private"]),
    }
