"""Read an export with polars: exact decimals, NULL where nobody knew, and a folder of days as one table.

python examples/exports/with_polars.py BTCUSDT.P_merged_1m.parquet
python examples/exports/with_polars.py 's3://bucket/exports/merged/**/*.parquet'
"""

import sys

import polars as pl

rows = pl.scan_parquet(sys.argv[1], hive_partitioning="**" in sys.argv[1])
hours = (
    rows.sort("time")
    .group_by_dynamic("time", every="1h")
    .agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("funding_rate").drop_nulls().last().alias("last_funding_rate"),
    )
    .collect()
)
print(hours)
exact = (
    "every digit is the exchange's own" if hours["volume"].dtype.is_decimal() else "rounded, as its numbers are doubles"
)
print(f"{hours['volume'].sum()} traded; {exact}")
