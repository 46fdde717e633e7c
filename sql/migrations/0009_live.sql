-- migrate:up

ALTER TABLE trading_pairs ADD COLUMN candles_from text NOT NULL DEFAULT 'exchange' CHECK (candles_from IN ('exchange', 'trades'));
COMMENT ON COLUMN trading_pairs.candles_from IS 'where a live stream''s candles come from: the exchange''s own, or built from its trades';

-- The number of the last final change of each starlisting: a candle, or a funding or open-interest row of its pair. Bumped in
-- the very transaction that changes the rows, with the rows locked in the order of starlisting_id. Clients resume by it.
CREATE TABLE series_state (
    starlisting_id integer PRIMARY KEY REFERENCES starlistings,
    epoch bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0)
);
COMMENT ON COLUMN series_state.epoch IS 'tells numbering apart: another one after the table was lost';

-- What each number was. `resync`: so much changed at once that reading anew is the only sensible answer. Old ones are pruned.
CREATE TABLE series_changes (
    starlisting_id integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('candle', 'funding', 'open_interest', 'resync')),
    "time" timestamptz,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (starlisting_id, seq),
    CONSTRAINT series_changes_time CHECK ((kind = 'resync') = ("time" IS NULL))
);
CREATE INDEX series_changes_written ON series_changes (written_at);

-- The gap ledger: a row for every stretch that a stream may have missed, until it is repaired or known to be lost.
CREATE TABLE gaps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    kind text NOT NULL CHECK (kind IN ('candles', 'trades', 'quotes', 'context')),
    "interval" text,
    gap_start timestamptz NOT NULL,
    gap_end timestamptz,
    first_id bigint,
    last_id bigint,
    reason text NOT NULL CHECK (reason IN ('start', 'disconnect', 'id_hole', 'missing_candle', 'stale', 'intake_stopped', 'shutdown')),
    detail text NOT NULL DEFAULT '',
    detected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_attempt_at timestamptz,
    last_error text,
    repaired_at timestamptz,
    repaired_rows bigint,
    unrepairable text,
    run_id text,
    CONSTRAINT gaps_order CHECK (gap_end >= gap_start),
    CONSTRAINT gaps_ids CHECK (last_id >= first_id),
    CONSTRAINT gaps_one_end CHECK (repaired_at IS NULL OR unrepairable IS NULL)
);
CREATE INDEX gaps_open ON gaps (trading_pair_id, gap_start) WHERE repaired_at IS NULL AND unrepairable IS NULL;
CREATE INDEX gaps_detected ON gaps (detected_at);
COMMENT ON COLUMN gaps.gap_end IS 'exclusive; NULL while the stream is still away';
COMMENT ON COLUMN gaps.unrepairable IS 'why the exchange can''t give it back; NULL while there is hope';

-- One row a connection of the streamer, rewritten every few seconds: what /health/{exchange} answers from.
CREATE TABLE stream_connections (
    exchange text NOT NULL,
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('connecting', 'open', 'backing_off', 'stopped')),
    breaker text NOT NULL CHECK (breaker IN ('closed', 'half_open', 'open')),
    connected_at timestamptz,
    last_message_at timestamptz,
    last_event_time timestamptz,
    lag_ms double precision,
    subscriptions integer NOT NULL DEFAULT 0,
    stale_subscriptions integer NOT NULL DEFAULT 0,
    messages bigint NOT NULL DEFAULT 0,
    dead_letters bigint NOT NULL DEFAULT 0,
    reconnects integer NOT NULL DEFAULT 0,
    last_error text,
    details jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (exchange, name)
);

-- The streamer itself, a row a process name: journal, intake, alarms.
CREATE TABLE stream_state (
    name text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    accepting boolean NOT NULL DEFAULT true,
    alarm text,
    journal_rows bigint NOT NULL DEFAULT 0,
    journal_bytes bigint NOT NULL DEFAULT 0,
    oldest_pending_at timestamptz,
    details jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the stream wrote of each pair, layer and day: what Dagster is told as materialisations.
CREATE TABLE stream_days (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    layer text NOT NULL,
    day date NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    first_time timestamptz,
    last_time timestamptz,
    lag_ms double precision,
    gaps integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reported_at timestamptz,
    PRIMARY KEY (trading_pair_id, layer, day)
);
COMMENT ON COLUMN stream_days.layer IS 'trades, ticks, candles_1m, …, funding_rates, open_interest';

-- migrate:down
