"""Section 2 of the API: starlistings, and their candles, funding rates and open interest.

index.py          which starlistings there are, and which one a path means
query.py          a URL's parameters, checked
answers.py        rows from memory or Postgres, with their version
routes.py         HTTP
schemas.py        shapes, documentation.py what /openapi.json says of them
"""
