"""The shapes of the health paths."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field


class Health(BaseModel):
    """How the service is: `degraded` still answers everything, only slower."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: AwareDatetime
    database: Literal["connected", "disconnected", "schema_mismatch"]
    collectors: dict[str, Any] = Field(description="Live collectors by exchange.")
    change_feed: Literal["listening", "not_listening"] = Field(
        description="Whether changes are heard of; when not, every request asks Postgres."
    )


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Requests can be answered."""

    status: Literal["ready"]
