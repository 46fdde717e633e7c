"""One side of the bench of exports, as a program: `python -m … ours|peer DATABASE_URL YEARS FILE` prints what it took as JSON.

Belongs here: our export and its peer, each in a process of its own, so that its peak memory is its own. Does not: the rows, the
comparison (bench_exports.py). The peer reads the same tables with ADBC, makes polars decimals of them and writes Parquet.
"""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS_A_YEAR = 365
_QUERY = """
SELECT c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    f.funding_rate, f.premium, f.mark_price, f.index_price, f.oracle_price, f.mid_price, f.next_funding_time,
    o.open_interest, o.notional_value, o.day_base_volume, o.day_notional_volume
FROM candles AS c
LEFT JOIN funding_rates AS f ON f.trading_pair_id = 1 AND f."time" = c."time"
LEFT JOIN open_interest AS o ON o.trading_pair_id = 1 AND o."time" = c."time"
WHERE c.starlisting_id = 1 AND c."time" >= '{start}' AND c."time" < '{end}' ORDER BY c."time"
"""


def main() -> None:
    """Run a side and say its seconds (imports excluded), rows, and peak memory in MB (imports included)."""
    side, database_url, years, path = sys.argv[1:]
    seconds, rows = {"ours": ours, "peer": peer}[side](database_url, _end(int(years)), Path(path))
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """This process's peak memory; Linux's own count, because `getrusage` counts what started the process too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def ours(database_url: str, end: datetime, path: Path) -> tuple[float, int]:
    """The export."""
    from market_platform.domain.intervals import parse_interval
    from market_platform.pipeline.exports.export import export
    from market_platform.pipeline.exports.request import Dataset, ExportRequest
    from market_platform.warehouse.engine import create_warehouse

    request = ExportRequest(Dataset.MERGED, "bench", "BTC", "USDT", "perps", FIRST, end, interval=parse_interval("1m"))
    warehouse = create_warehouse(database_url)
    started = time.perf_counter()
    result = export(warehouse, request, path, overwrite=True)
    seconds = time.perf_counter() - started
    warehouse.close()
    return seconds, result.rows


def peer(database_url: str, end: datetime, path: Path) -> tuple[float, int]:
    """ADBC and polars."""
    import polars as pl

    adbc: Any = importlib.import_module("adbc_driver_postgresql.dbapi")  # without types of its own

    started = time.perf_counter()
    with adbc.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(_QUERY.format(start=FIRST.isoformat(), end=end.isoformat()))
        table = cursor.fetch_arrow_table()
    columns = [_plain(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    frame = pl.DataFrame(columns).with_columns(
        pl.col(pl.String).cast(pl.Decimal(38, 18)), pl.col(pl.Datetime).cast(pl.Datetime("ms", "UTC"))
    )
    frame.write_parquet(path, compression="zstd")
    return time.perf_counter() - started, frame.height


def _plain(name: str, column: Any) -> Any:
    """A column as polars takes it: ADBC hands a NUMERIC over as text of an opaque type."""
    import polars as pl

    whole = column.combine_chunks()
    return pl.from_arrow(getattr(whole, "storage", whole)).alias(name)  # type: ignore[union-attr]


def _end(years: int) -> datetime:
    return datetime.fromtimestamp(FIRST.timestamp() + years * DAYS_A_YEAR * 86_400, UTC)


if __name__ == "__main__":
    main()
