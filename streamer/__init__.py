"""The live side: connections to exchanges' streams, from a message on a socket to a row in Postgres and a tick in the lake.

    connections/ ──events──▶ routing/ ──rows──▶ sink.py = journal/ ──▶ delivery/ ──▶ Postgres, the lake
                     rest/ ──▶│ └──what is missing──▶ gaps/ ──repaired──▶ sink.py

`supervisor.py` puts an exchange's parts together, `app.py` the process's; `health/` tells how they are.

Belongs here: the supervisor of connections, subscriptions, the journal on disk, gap repair, health. Does not: wire formats
(market_platform/exchanges), SQL (market_platform/warehouse), Dagster, the API; it meets them in Postgres and the lake only.
"""
