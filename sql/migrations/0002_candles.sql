-- migrate:up

-- No foreign key to starlistings (a trigger per row costs more than the insert, and starlistings are never deleted), and
-- no index but the primary key.
CREATE TABLE candles (
    starlisting_id integer NOT NULL,
    source smallint NOT NULL,
    "time" timestamptz NOT NULL,
    num_trades bigint,
    open numeric(30, 18) NOT NULL,
    high numeric(30, 18) NOT NULL,
    low numeric(30, 18) NOT NULL,
    close numeric(30, 18) NOT NULL,
    volume numeric(40, 18) NOT NULL,
    CONSTRAINT candles_pkey PRIMARY KEY (starlisting_id, "time"),
    CONSTRAINT candles_source_is_a_rank CHECK (source > 0),
    CONSTRAINT candles_high_is_highest CHECK (high >= low AND high >= open AND high >= close AND high <> 'NaN'),
    CONSTRAINT candles_low_is_lowest CHECK (low <= open AND low <= close),
    CONSTRAINT candles_volume_not_negative CHECK (volume >= 0 AND volume <> 'NaN'),
    CONSTRAINT candles_num_trades_not_negative CHECK (num_trades >= 0)
);
COMMENT ON COLUMN candles."time" IS 'open time of the candle, UTC; only closed candles are stored';
COMMENT ON COLUMN candles.source IS 'rank of the writer: 30 exchange''s own closed candle, 20 complete ticks, 10 live stream';

-- One row a starlisting and day: what is stored, in which condition, and who wrote it. Changed in the transaction that
-- changes candles of the day, and only when a row or the condition changed. Writers lock it before they touch the day's
-- candles. For 1w and 1M the day is the first of the period.
CREATE TABLE candle_days (
    starlisting_id integer NOT NULL REFERENCES starlistings,
    day date NOT NULL,
    revision integer NOT NULL CHECK (revision >= 0),
    rows integer NOT NULL CHECK (rows >= 0),
    first_time timestamptz,
    last_time timestamptz,
    condition text NOT NULL CHECK (condition IN ('available', 'degraded', 'pending', 'closed', 'missing')),
    data_version text NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (starlisting_id, day),
    CONSTRAINT candle_days_span CHECK ((rows = 0) = (first_time IS NULL) AND (rows = 0) = (last_time IS NULL))
);
CREATE INDEX candle_days_filled ON candle_days (starlisting_id, day) INCLUDE (first_time, last_time) WHERE rows > 0;

-- One row a pair, kind and day of the lake: the commit of a day's file.
CREATE TABLE lake_days (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    day date NOT NULL,
    kind text NOT NULL DEFAULT 'ticks' CHECK (kind ~ '^[a-z_0-9]+$'),
    object_key text,
    content_hash text,
    rows bigint NOT NULL CHECK (rows >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    first_time timestamptz,
    last_time timestamptz,
    condition text NOT NULL CHECK (condition IN ('available', 'degraded', 'pending', 'closed', 'missing')),
    raw_inputs jsonb NOT NULL DEFAULT '[]',
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trading_pair_id, kind, day),
    CONSTRAINT lake_days_object CHECK ((rows = 0) = (object_key IS NULL)),
    CONSTRAINT lake_days_span CHECK ((rows = 0) = (first_time IS NULL) AND (rows = 0) = (last_time IS NULL))
);
CREATE INDEX lake_days_filled ON lake_days (trading_pair_id, kind, day) INCLUDE (first_time, last_time) WHERE rows > 0;

-- Sums of lake_days a pair and kind, kept by the triggers below in the transaction that changes them, so that asking for
-- a symbol's tick count never adds up its history.
CREATE TABLE lake_totals (
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    kind text NOT NULL,
    days bigint NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (trading_pair_id, kind)
);

CREATE FUNCTION lake_totals_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lake_totals AS total (trading_pair_id, kind, days, rows, bytes)
    SELECT trading_pair_id, kind, count(*) FILTER (WHERE rows > 0), sum(rows), sum(bytes)
    FROM added GROUP BY trading_pair_id, kind ORDER BY trading_pair_id, kind
    ON CONFLICT (trading_pair_id, kind) DO UPDATE
    SET days = total.days + excluded.days, rows = total.rows + excluded.rows, bytes = total.bytes + excluded.bytes;
    RETURN NULL;
END $$;

CREATE FUNCTION lake_totals_subtract() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE lake_totals AS total
    SET days = total.days - gone.days, rows = total.rows - gone.rows, bytes = total.bytes - gone.bytes
    FROM (
        SELECT trading_pair_id, kind, count(*) FILTER (WHERE rows > 0) AS days, sum(rows) AS rows, sum(bytes) AS bytes
        FROM removed GROUP BY trading_pair_id, kind
    ) AS gone
    WHERE (total.trading_pair_id, total.kind) = (gone.trading_pair_id, gone.kind);
    RETURN NULL;
END $$;

CREATE TRIGGER lake_days_inserted AFTER INSERT ON lake_days
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION lake_totals_add();
CREATE TRIGGER lake_days_updated_from AFTER UPDATE ON lake_days
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION lake_totals_subtract();
CREATE TRIGGER lake_days_updated_to AFTER UPDATE ON lake_days
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION lake_totals_add();
CREATE TRIGGER lake_days_deleted AFTER DELETE ON lake_days
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION lake_totals_subtract();

-- migrate:down
