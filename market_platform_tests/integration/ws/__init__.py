"""The WebSocket API on a real server and a real Postgres."""
