-- migrate:up

-- The raw answers that a day of a series was made of, as they last came: a file that an exchange publishes again with other
-- bytes is noticed here.
CREATE TABLE history_inputs (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    series text NOT NULL CHECK (series ~ '^[a-z_0-9A-Z]+$'),
    day date NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    rows bigint NOT NULL CHECK (rows >= 0),
    earlier_sha256 text,
    fetched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id text NOT NULL,
    PRIMARY KEY (trading_pair_id, series, day, name)
);
COMMENT ON COLUMN history_inputs.series IS 'candles_1m, funding_rates, open_interest, trades, corporate_actions';
COMMENT ON COLUMN history_inputs.earlier_sha256 IS 'what the same name held before; set when the exchange published it anew';

-- Days of a pair's series that are not candles (those have candle_days) and not in the lake (those have lake_days).
CREATE TABLE history_days (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    series text NOT NULL CHECK (series IN ('funding_rates', 'open_interest', 'corporate_actions')),
    day date NOT NULL,
    revision integer NOT NULL DEFAULT 1 CHECK (revision > 0),
    rows integer NOT NULL CHECK (rows >= 0),
    condition text NOT NULL CHECK (condition IN ('available', 'degraded', 'pending', 'closed', 'missing')),
    data_version text NOT NULL,
    reason text NOT NULL DEFAULT '',
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trading_pair_id, series, day)
);

-- Dividends and splits, beside prices as the exchange quotes them.
CREATE TABLE corporate_actions (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    "time" timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('dividend', 'split')),
    value numeric(30, 18) NOT NULL CHECK (value > 0),
    run_id text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trading_pair_id, "time", kind)
);
COMMENT ON COLUMN corporate_actions.value IS 'dividend: per share, in the quote currency; split: new shares for an old one';

-- What all processes together may ask of an exchange: theoretical arrival time of each limit's next request (GCRA), and a
-- pause that the exchange ordered.
CREATE TABLE rate_limits (
    name text PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_until timestamptz
);

-- Which of the two databases this is. Written once; a process that was told otherwise refuses to write. A database that has
-- pairs already is of the time when there was only one.
CREATE TABLE database_role (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    role text NOT NULL CHECK (role IN ('realtime', 'training')),
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO database_role (role) SELECT 'realtime' WHERE EXISTS (SELECT FROM trading_pairs);

-- What each configuration file listed at its last sync. When one database keeps both kinds of data, the sync of one file leaves
-- alone what the other lists, and the streamer what only the training file does.
CREATE TABLE reference_listings (
    role text NOT NULL CHECK (role IN ('realtime', 'training')),
    table_name text NOT NULL,
    key text[] NOT NULL,
    PRIMARY KEY (role, table_name, key)
);
COMMENT ON COLUMN reference_listings.key IS 'the natural key: codes and names, such as {binance,BTCUSDT}';
INSERT INTO reference_listings (role, table_name, key)
SELECT 'realtime', 'exchanges', ARRAY[code] FROM exchanges WHERE active
UNION ALL SELECT 'realtime', 'coins', ARRAY[code] FROM coins WHERE active
UNION ALL SELECT 'realtime', 'quote_currencies', ARRAY[code] FROM quote_currencies WHERE active
UNION ALL SELECT 'realtime', 'market_types', ARRAY[code] FROM market_types WHERE active
UNION ALL SELECT 'realtime', 'intervals', ARRAY[name] FROM intervals WHERE active
UNION ALL SELECT 'realtime', 'trading_pairs', ARRAY[exchanges.code, symbol]
FROM trading_pairs JOIN exchanges ON exchanges.id = exchange_id WHERE trading_pairs.active
UNION ALL SELECT 'realtime', 'starlistings', ARRAY[exchanges.code, symbol, intervals.name, alignment, candle_price]
FROM starlistings JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
JOIN intervals ON intervals.id = interval_id
WHERE starlistings.active;

-- The nightly proof: candles as streamed = rebuilt from the lake's ticks = the exchange's own.
CREATE TABLE proof_days (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    day date NOT NULL,
    minutes integer NOT NULL CHECK (minutes >= 0),
    differences integer NOT NULL CHECK (differences >= 0),
    unexplained integer NOT NULL CHECK (unexplained BETWEEN 0 AND differences),
    compared jsonb NOT NULL,
    left_out jsonb NOT NULL DEFAULT '{}',
    inputs jsonb NOT NULL DEFAULT '{}',
    run_id text NOT NULL,
    code_version text NOT NULL,
    proved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trading_pair_id, day)
);
COMMENT ON COLUMN proof_days.minutes IS 'that any side has';
COMMENT ON COLUMN proof_days.compared IS 'minutes compared, by sides';
COMMENT ON COLUMN proof_days.left_out IS 'sides that were not compared, each with why';
COMMENT ON COLUMN proof_days.inputs IS 'what each side was: ranks of rows, data versions, hashes, notes';
CREATE TABLE proof_differences (
    trading_pair_id integer NOT NULL,
    day date NOT NULL,
    "time" timestamptz NOT NULL,
    sides text NOT NULL CHECK (sides IN ('streamed/rebuilt', 'streamed/exchange', 'rebuilt/exchange')),
    field text NOT NULL,
    left_value text,
    right_value text,
    reason text NOT NULL CHECK (reason ~ '^[a-z_]+$'),
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (trading_pair_id, day, "time", sides, field),
    FOREIGN KEY (trading_pair_id, day) REFERENCES proof_days ON DELETE CASCADE
);
COMMENT ON COLUMN proof_differences.sides IS 'streamed/rebuilt, streamed/exchange or rebuilt/exchange: left and right value';
COMMENT ON COLUMN proof_differences.left_value IS 'exact, as text; NULL where the side has no such minute';

-- Legacy ticks on their way from market_ticks into the lake, a row a pair and day.
CREATE TABLE tick_moves (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    day date NOT NULL,
    state text NOT NULL CHECK (state IN ('copied', 'verified', 'kept', 'dropped')),
    rows bigint NOT NULL CHECK (rows >= 0),
    duplicates bigint NOT NULL DEFAULT 0 CHECK (duplicates >= 0),
    truncated bigint NOT NULL DEFAULT 0 CHECK (truncated >= 0),
    merged bigint NOT NULL DEFAULT 0 CHECK (merged >= 0),
    zeroed bigint NOT NULL DEFAULT 0 CHECK (zeroed >= 0),
    relation text NOT NULL CHECK (relation IN ('moved', 'equal', 'lake_has_more', 'postgres_has_more', 'differs')),
    source_hash text NOT NULL,
    object_key text,
    content_hash text,
    run_id text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trading_pair_id, day)
);
COMMENT ON COLUMN tick_moves.state IS 'kept: the lake has other ticks of the day already, which stay; nothing is dropped';
COMMENT ON COLUMN tick_moves.relation IS 'of the rows to what the lake had of the day';
COMMENT ON COLUMN tick_moves.source_hash IS 'of the sorted rows without duplicates, at the least scales that hold them';

-- Bulk loads into market_ticks with managed indexes: what was dropped, so that it can be built again.
CREATE TABLE bulk_loads (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    state text NOT NULL CHECK (state IN ('loading', 'indexing', 'done', 'rolled_back')),
    indexes jsonb NOT NULL DEFAULT '[]',
    progress jsonb NOT NULL DEFAULT '{}',
    rows bigint NOT NULL DEFAULT 0 CHECK (rows >= 0),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX bulk_loads_one_open ON bulk_loads (table_name) WHERE state IN ('loading', 'indexing');

-- migrate:down
