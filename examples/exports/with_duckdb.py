"""Ask an export with SQL in DuckDB, without loading it; a folder of days works the same.

python examples/exports/with_duckdb.py BTCUSDT.P_merged_1m.parquet
python examples/exports/with_duckdb.py 'exports/merged/**/*.parquet'
"""

import sys

import duckdb

question = """
SELECT time_bucket(INTERVAL '1 hour', time) AS hour, arg_min(open, time) AS open, max(high) AS high, min(low) AS low,
    arg_max(close, time) AS close, sum(volume) AS volume, count(funding_rate) AS funding_rates
FROM read_parquet($file, hive_partitioning = $folder)
GROUP BY hour ORDER BY hour
"""
answer = duckdb.execute(question, {"file": sys.argv[1], "folder": "**" in sys.argv[1]})
names = [column[0] for column in answer.description or []]
print("\t".join(names))
for row in answer.fetchall():
    print("\t".join(map(str, row)))
