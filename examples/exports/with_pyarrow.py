"""Read an export with PyArrow: what the file says of itself, and a scan that skips what is outside a time range.

python examples/exports/with_pyarrow.py BTCUSDT.P_merged_1m.parquet
"""

import sys

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

file = pq.ParquetFile(sys.argv[1])
for key, value in sorted((file.schema_arrow.metadata or {}).items()):
    if not key.startswith(b"ARROW"):
        print(f"{key.decode()}: {value.decode()}")
for field in file.schema_arrow:
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    print(f"  {field.name}: {field.type} {unit}")

# row groups are cut by time, so only those of the range are read
rows = ds.dataset(sys.argv[1], partitioning="hive")
newest = pc.max(rows.to_table(columns=["time"])["time"])
last = rows.to_table(filter=pc.field("time") == newest, columns=["time", "close"])
print(f"{rows.count_rows()} rows; the last close is {last['close'][0]} at {last['time'][0]}")
