"""The HTTP API: thin views of what Postgres holds, one folder a resource (routes, schemas, what they need).

Belongs here: HTTP, what is kept in memory between requests, and how data is described to clients. Does not: SQL
(`*_queries` in market_platform.warehouse), the lake, exchanges, Dagster. A request reads Postgres or memory, nothing else.

    app.py         create_app: routes, middleware, what lives as long as the process
    database.py    the bounded pool, time limits, errors
    changes.py     hears from Postgres what changed
    catalogue.py   which symbols and starlistings there are
    candles/       /api/candles
    starlistings/  /starlistings, /candles, /funding, /open-interest
    metadata/      /api/metadata
    health/        /health, /livez, /readyz
    metrics/       /metrics
    live/          the WebSockets /ws, /ws/subscribe and /ws/{symbol}
    docs/          /, /docs, /openapi.json, /problems
"""
