"""Exchange to lake to candles: runs beside each other, days that change meanwhile, poorer answers."""
