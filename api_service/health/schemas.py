"""The shapes of the health paths. Ages are seconds."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

ExchangeStatus = Literal["healthy", "degraded", "unhealthy", "not_streamed"]
Breaker = Literal["closed", "half_open", "open"]


class Collector(BaseModel):
    """An exchange's stream in short."""

    status: ExchangeStatus
    connections_total: int
    connections_open: int = Field(description="Connections that are open now.")
    breaker: Breaker | None = Field(description="The worst state of a circuit breaker.")
    last_message_age_s: float | None = Field(description="Since the newest message of any connection.")
    lag_ms: float | None = Field(description="From the exchange's event time to its receipt; the worst connection's.")
    subscriptions: int
    stale_subscriptions: int = Field(description="Those that say nothing although their connection lives.")
    gaps_open: int = Field(description="Gaps neither repaired nor given up.")


class ConnectionHealth(BaseModel):
    """One connection; counts are since the streamer's start."""

    name: str
    state: Literal["connecting", "open", "backing_off", "stopped"]
    breaker: Breaker
    connected_at: AwareDatetime | None
    last_message_age_s: float | None
    last_event_time: AwareDatetime | None
    lag_ms: float | None
    subscriptions: int
    stale_subscriptions: int
    messages: int
    dead_letters: int
    reconnects: int
    last_error: str | None
    updated_age_s: float | None = Field(description="Since the streamer wrote this.")
    details: dict[str, Any]


class ExchangeHealth(Collector):
    """An exchange's stream; `reasons` say why it is not healthy."""

    exchange: str
    exchange_display: str
    reasons: list[str]
    timestamp: AwareDatetime
    last_event_time: AwareDatetime | None
    messages: int
    dead_letters: int = Field(description="Since the streamer's start.")
    dead_letters_24h: int
    reconnects: int
    oldest_gap_age_s: float | None
    updated_age_s: float | None = Field(description="Since the streamer wrote the oldest of this.")
    connections: list[ConnectionHealth]


class StreamerHealth(BaseModel):
    """A streamer process. `alarm` is a sentence for a person; null when all is well."""

    name: str
    running: bool
    accepting: bool = Field(description="Whether it takes anything; a full disk stops it.")
    alarm: str | None
    started_at: AwareDatetime
    journal_rows: int
    journal_bytes: int
    oldest_pending_age_s: float | None = Field(description="Of what waits in the journal.")
    updated_age_s: float | None


class Health(BaseModel):
    """How the service is: `degraded` still answers everything, only slower or from a stream that is behind."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: AwareDatetime
    database: Literal["connected", "disconnected", "schema_mismatch"]
    collectors: dict[str, Collector] = Field(description="Live collectors by exchange.")
    streamers: list[StreamerHealth]
    change_feed: Literal["listening", "not_listening"] = Field(
        description="Whether changes are heard of; when not, every request asks Postgres."
    )


class CandleFreshness(BaseModel):
    """How fresh an exchange's candles are; ages are since a candle's open."""

    pairs: int = Field(description="Active pairs.")
    pairs_with_candles: int
    newest_candle: AwareDatetime | None = Field(description="Open time of the newest candle of any pair.")
    newest_candle_age_s: float | None
    stalest_pair: str | None = Field(description="The pair whose newest candle is the oldest.")
    stalest_candle_age_s: float | None


class LakeHealth(BaseModel):
    """What the lake holds by the manifests in Postgres; the lake itself is never asked."""

    days: int = Field(description="Day files.")
    rows: int = Field(description="Ticks, trades and quotes in them.")
    bytes: int
    newest_day: date | None


class VersionsInUse(BaseModel):
    """What runs."""

    service: str
    python: str
    postgres: str | None
    timescaledb: str | None = Field(description="Null where it is not installed.")
    migration: str | None = Field(description="The newest migration applied.")


class DetailedHealth(Health):
    """All that is known; what has to be read from the database is null or empty while that can't be."""

    reasons: list[str] = Field(description="Why it is not healthy.")
    database_latency_ms: float | None
    exchanges: dict[str, ExchangeHealth] = Field(description="Every configured exchange, as /health/{exchange} has it.")
    freshness: dict[str, CandleFreshness] = Field(description="By exchange.")
    lake: LakeHealth | None
    versions: VersionsInUse


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Requests can be answered."""

    status: Literal["ready"]
