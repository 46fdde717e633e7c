"""Real parts together: Postgres, HTTP servers on localhost, S3 on localhost, Dagster instances. No mocks, no sleeps."""
