"""Definitions without a database, an exchange or an instance."""
