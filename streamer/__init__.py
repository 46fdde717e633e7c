"""The live side: connections to exchanges' streams, from a message on a socket to a row in Postgres and a tick in the lake.

Belongs here: the supervisor of connections, subscriptions, the journal on disk, gap repair, health. Does not: wire formats
(market_platform/exchanges), SQL (market_platform/warehouse), Dagster, the API; it meets them in Postgres and the lake only.
"""
