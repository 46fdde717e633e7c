"""`/api/candles`: a range of candles of one symbol, from memory where its data version allows.

Its files:

    routes.py          the two paths, as bare ASGI: parse, answer, headers
    query.py           what a request asks for, checked
    answers.py         version, 304, kept body, or rows from Postgres
    conditions.py      what the days of a range may be relied on for
    representation.py  headers, tags, formats
    edges.py           the days a range covers in part
    memory.py          versions and bodies kept between requests
    long_ranges.py     ranges too long for memory
    spool.py           a body too long for memory
    documentation.py   what /openapi.json says of the paths
"""
