"""The WebSocket API: history, then every change as it is committed, without a hole or a duplicate.

Belongs here: the sockets `/ws`, `/ws/subscribe` and `/ws/{symbol}`, and what lives between Postgres's notifications and a
client. Does not: SQL (market_platform.warehouse), who may connect.

    listener.py  hears which starlistings changed, reads the rows, hands them to the hub
    hub.py       which topics there are; each message is made once and given to every subscriber
    topic.py     one starlisting: its newest messages, its subscribers, and where each of them stands
    reads.py     what many clients ask of Postgres at once, asked once
    outbox.py    what one client has not taken yet: bounded, conflated, never waited for
    wire.py      the socket itself, under uvicorn
    session.py   one client of `/ws`: its requests, and its history before the live messages
    charts.py    one client of `/ws/{symbol}` or `/ws/subscribe`
    actions.py   what a client may say
    messages.py  what we say
    listings.py  which starlistings there are
    routes.py    the paths, and how many clients there may be

Messages of a starlisting are numbered by `series_changes`. A topic's newest number moves only when its rows were read, in
order; a client joins a topic at the number its history was read at, so what it gets next is that number plus one.
"""
