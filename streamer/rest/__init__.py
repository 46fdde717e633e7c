"""What the stream does not say, asked of the exchange's REST side as time goes by.

Belongs here: candles without a flag to confirm, candles and open interest that no stream has. Does not: repairing what a stream
missed (gaps/repair.py), what the answers change (routing/).
"""
