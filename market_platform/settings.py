"""Everything the platform takes from the environment, typed, in one place.

Variables keep the names people already have (`DATABASE_URL`, `R2_BUCKET_NAME`, `API_PORT`, …); `.env.example` documents
each one. A `.env` file in the working folder is read too; real environment variables win. Nothing reads `os.environ`
anywhere else, and secrets are `SecretStr`, so that neither logs nor error messages can show them.

Belongs here: which settings there are, their defaults, and what follows from them together. Does not: what one value must
look like (settings_values.py), addresses of exchanges (settings_addresses.py).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from market_platform.domain.errors import ConfigError
from market_platform.settings_addresses import DukascopyUrl, LiveUrl, address_of
from market_platform.settings_values import (
    AddressOrFolder,
    DatabaseName,
    DatabaseUrl,
    EndpointUrl,
    LakeUrl,
    Name,
    StreamAddress,
    WebAddress,
)

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """The platform's settings. Field docs stand in `.env.example`, which a test keeps equal to this class."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    environment: Literal["development", "production", "test"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "console", "json"] = "auto"

    # where things are kept
    market_data_dir: Path = PROJECT_ROOT / ".market"
    starlistings_file: Path = PROJECT_ROOT / "config" / "starlistings.yaml"
    training_stars_file: Path = PROJECT_ROOT / "config" / "training_stars.yaml"

    # Postgres; unset means the embedded one
    database_url: DatabaseUrl | None = None
    training_database_url: DatabaseUrl | None = None
    training_database: DatabaseName | None = None
    database_pool_size: int = Field(10, ge=1, le=200)
    database_timeout_s: float = Field(3.0, gt=0)
    embedded_postgres_port: int = Field(5439, ge=1, le=65535)

    # the lake; unset means a folder below market_data_dir
    lake_url: LakeUrl | None = None
    r2_account_id: Name | None = None
    r2_access_key_id: SecretStr | None = Field(
        None, validation_alias=AliasChoices("R2_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
    )
    r2_secret_access_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("R2_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY")
    )
    r2_bucket_name: Name | None = None
    r2_endpoint: EndpointUrl | None = Field(None, validation_alias=AliasChoices("R2_ENDPOINT", "AWS_ENDPOINT_URL"))
    r2_region: str = "auto"

    # exchanges
    market: Literal["replay", "live"] = "replay"
    recordings: Path | None = None
    replay_host: Name = "127.0.0.1"
    replay_port: int = Field(8190, ge=1, le=65535)
    replay_seed: int = 7
    dukascopy_transport: Literal["json", "bi5"] = "json"
    dukascopy_json_url: AddressOrFolder | None = None
    dukascopy_bi5_url: AddressOrFolder | None = None
    dukascopy_max_in_flight: int = Field(5, ge=1, le=32)
    dukascopy_day_budget_s: float = Field(300.0, gt=0)
    dukascopy_request_timeout_s: float = Field(20.0, gt=0)
    oanda_api_key: SecretStr | None = None
    oanda_account_id: str | None = None
    oanda_stream_url: WebAddress | None = None
    oanda_rest_url: WebAddress | None = None
    binance_spot_stream_url: StreamAddress | None = None
    binance_spot_rest_url: WebAddress | None = None
    binance_usdm_stream_url: StreamAddress | None = None
    binance_usdm_rest_url: WebAddress | None = None
    hyperliquid_stream_url: StreamAddress | None = None
    hyperliquid_rest_url: WebAddress | None = None
    binance_dumps_url: WebAddress | None = None
    yahoo_url: WebAddress | None = None
    ccxt_url: WebAddress | None = None
    replay_speed: float = Field(1.0, gt=0, le=1000)

    # the streamer
    streamer_metrics_host: str = "127.0.0.1"
    streamer_metrics_port: int = Field(9108, ge=1, le=65535)
    stream_exchanges: str | None = None
    stream_part_ticks: int = Field(1000, ge=1, le=1_000_000)
    stream_part_s: float = Field(300.0, gt=0)
    stream_stop_s: float = Field(8.0, gt=0, le=60)
    journal_min_free_mb: int = Field(200, ge=1)

    # what is served
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=1, le=65535)
    api_allow_public: bool = False
    ws_max_connections: int = Field(10_000, ge=1)
    ws_max_outbox_bytes: int = Field(1_048_576, ge=16_384)
    ws_heartbeat_s: float = Field(30.0, gt=0)
    dagster_host: str = "127.0.0.1"
    dagster_port: int = Field(3000, ge=1, le=65535)
    code_location_port: int = Field(4266, ge=1, le=65535)
    code_location_host: str = "127.0.0.1"

    # orchestration
    event_log_retention_days: int = Field(90, ge=1)
    backfill_days_per_run: int = Field(31, ge=1, le=3660)
    repair_lookback_days: int = Field(14, ge=1, le=3660)
    repair_runs_per_tick: int = Field(4, ge=1, le=100)
    stock_poll_minutes: int = Field(15, ge=0, le=59)

    @property
    def postgres_dir(self) -> Path:
        """Where the embedded Postgres keeps its state file (its data may live elsewhere for an unprivileged user)."""
        return self.market_data_dir / "postgres"

    @property
    def dagster_home(self) -> Path:
        """The DAGSTER_HOME that `market-platform up` prepares."""
        return self.market_data_dir / "dagster"

    @property
    def journal_dir(self) -> Path:
        """Where the streamer keeps its write-ahead journal."""
        return self.market_data_dir / "journal"

    @property
    def resolved_lake_url(self) -> str:
        """`lake_url`, or the R2 bucket, or the local folder: `s3://bucket/prefix` or `file:///…`."""
        if self.lake_url:
            return self.lake_url
        if self.r2_bucket_name:
            return f"s3://{self.r2_bucket_name}"
        return (self.market_data_dir / "lake").absolute().as_uri()

    @property
    def resolved_r2_endpoint(self) -> str | None:
        """`r2_endpoint`, or Cloudflare's for the account, or None (AWS's own)."""
        if self.r2_endpoint:
            return self.r2_endpoint
        return f"https://{self.r2_account_id}.r2.cloudflarestorage.com" if self.r2_account_id else None

    @property
    def replay_address(self) -> str:
        """Where the replay exchange is asked, `host:port`; one that listens everywhere is asked on this machine."""
        host = "127.0.0.1" if self.replay_host == "0.0.0.0" else self.replay_host  # noqa: S104 - compared, not bound
        return f"{host}:{self.replay_port}"

    @property
    def resolved_dukascopy_json_url(self) -> str:
        """Root of Dukascopy's JSON API: the configured one, the real one, or the replay exchange's."""
        return self.dukascopy_json_url or self._address_of("dukascopy_json")

    @property
    def resolved_dukascopy_bi5_url(self) -> str:
        """Root of Dukascopy's bi5 files: the configured one, the real one, or the replay exchange's."""
        return self.dukascopy_bi5_url or self._address_of("dukascopy_bi5")

    def live_url(self, name: LiveUrl) -> str:
        """Root of an exchange's stream or REST side: the configured one, the real one, or the replay exchange's."""
        configured: str | None = getattr(self, f"{name}_url")
        return configured.rstrip("/") if configured else self._address_of(name)

    def _address_of(self, name: LiveUrl | DukascopyUrl) -> str:
        return address_of(name, replayed_at=self.replay_address if self.market == "replay" else None)


def load_settings(**overrides: object) -> Settings:
    """Settings of this process, read now.

    Raises:
        ConfigError: naming each variable that is wrong and why, never its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in each['loc']).upper()}: {_rule(each)}" for each in error.errors()]
        raise ConfigError(
            "settings are wrong (environment or .env):\n" + "\n".join(lines) + "\n.env.example explains each of them"
        ) from None
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        told = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f".env in {Path.cwd()} can't be read: {told}") from None


def _rule(error: ErrorDetails) -> str:
    """What a value must be, in our words."""
    context = error.get("ctx", {})
    rules = {
        "value_error": "{error}",
        "literal_error": "must be {expected}",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "finite_number": "must be a number",
        "bool_parsing": "must be true or false",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "greater_than": "must be more than {gt}",
    }
    return rules[error["type"]].format(**context) if error["type"] in rules else error["msg"]


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Settings of this process, read once, on first use."""
    return load_settings()
