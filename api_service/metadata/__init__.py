"""`/api/metadata`: which symbols have data, from when to when, in which timeframes."""
