"""Promises about the repository itself: imports, docs, settings, schema, commands, locks and containers."""
