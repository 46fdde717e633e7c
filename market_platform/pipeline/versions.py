"""Versions of what the code computes. Raise one when the same input would give a different output."""

TICKS_VERSION = "ticks-1"
CANDLES_VERSION = "candles-1"
PERIODS_VERSION = "periods-1"
COMPACTION_VERSION = "compaction-1"
REPAIR_VERSION = "repair-1"
HISTORY_VERSION = "history-1"
PROOF_VERSION = "proof-1"
