"""One function or class at a time; no server, no database, nothing outside the test's own temporary folder."""
