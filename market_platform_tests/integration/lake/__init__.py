"""`market-platform lake …` on a real lake and a real Postgres."""
