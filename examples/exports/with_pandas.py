"""Read an export with pandas: Arrow-backed columns keep decimals exact and NULL apart from zero.

python examples/exports/with_pandas.py BTCUSDT.P_merged_1m.parquet
"""

import sys

import pandas as pd

rows = pd.read_parquet(sys.argv[1], dtype_backend="pyarrow").set_index("time")
print(rows[["open", "high", "low", "close", "volume"]].tail())

# models want doubles: this is where rounding happens, so it is said here
returns = rows["close"].astype("float64").pct_change()
print(f"{len(rows)} rows, {rows['funding_rate'].notna().sum()} with a funding rate, mean return {returns.mean():.3e}")
