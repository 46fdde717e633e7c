"""What is being missed: opened when a stream goes, written down at once, brought to Postgres, and repaired.

Belongs here: the streamer's side of the gap ledger. Does not: finding out that something is missing (routing/), what a repair
asks and decides (market_platform/pipeline), the ledger's rows (market_platform/warehouse).
"""
