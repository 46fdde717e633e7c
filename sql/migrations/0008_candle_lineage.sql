-- migrate:up

-- What the day's candles were built from, so that candles of ticks replaced since are noticed and built again.
ALTER TABLE candle_days ADD COLUMN input_version text NOT NULL DEFAULT '';
COMMENT ON COLUMN candle_days.input_version IS 'up to 1d: lake_days.content_hash; 1w and 1M: digest of the days; empty: unknown, or no ticks';

-- migrate:down
