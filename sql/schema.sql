-- The schema that sql/migrations add up to; a test keeps the two equal. Change it by adding a migration.

CREATE SCHEMA dagster;

CREATE FUNCTION public.lake_totals_add() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO lake_totals AS total (trading_pair_id, kind, days, rows, bytes)
    SELECT trading_pair_id, kind, count(*) FILTER (WHERE rows > 0), sum(rows), sum(bytes)
    FROM added GROUP BY trading_pair_id, kind ORDER BY trading_pair_id, kind
    ON CONFLICT (trading_pair_id, kind) DO UPDATE
    SET days = total.days + excluded.days, rows = total.rows + excluded.rows, bytes = total.bytes + excluded.bytes;
    RETURN NULL;
END $$;

CREATE FUNCTION public.lake_totals_subtract() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.notify_candle_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    ids text := '*';
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        SELECT string_agg(DISTINCT starlisting_id::text, ',') INTO ids FROM changed;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM pg_notify('candle_days', CASE WHEN length(ids) < 7900 THEN ids ELSE '*' END);
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION public.notify_candle_days() IS 'channel candle_days: the starlisting ids that changed, or * for all';

CREATE FUNCTION public.notify_reference() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('reference', TG_TABLE_NAME);
    RETURN NULL;
END $$;

COMMENT ON FUNCTION public.notify_reference() IS 'channel reference: the name of the table that changed';

CREATE TABLE public.api_keys (
    id integer NOT NULL,
    user_id integer NOT NULL,
    name text NOT NULL,
    key_hash bytea NOT NULL,
    key_prefix text NOT NULL,
    rate_limit integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_keys_rate_limit_check CHECK ((rate_limit > 0))
);

COMMENT ON COLUMN public.api_keys.key_hash IS 'keyed hash; the key itself is shown once and never stored';

ALTER TABLE public.api_keys ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.bulk_loads (
    id integer NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL,
    indexes jsonb DEFAULT '[]'::jsonb NOT NULL,
    progress jsonb DEFAULT '{}'::jsonb NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT bulk_loads_rows_check CHECK ((rows >= 0)),
    CONSTRAINT bulk_loads_state_check CHECK ((state = ANY (ARRAY['loading'::text, 'indexing'::text, 'done'::text, 'rolled_back'::text])))
);

ALTER TABLE public.bulk_loads ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.bulk_loads_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.candle_days (
    starlisting_id integer NOT NULL,
    day date NOT NULL,
    revision integer NOT NULL,
    rows integer NOT NULL,
    first_time timestamp with time zone,
    last_time timestamp with time zone,
    condition text NOT NULL,
    data_version text NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    input_version text DEFAULT ''::text NOT NULL,
    CONSTRAINT candle_days_condition_check CHECK ((condition = ANY (ARRAY['available'::text, 'degraded'::text, 'pending'::text, 'closed'::text, 'missing'::text]))),
    CONSTRAINT candle_days_revision_check CHECK ((revision >= 0)),
    CONSTRAINT candle_days_rows_check CHECK ((rows >= 0)),
    CONSTRAINT candle_days_span CHECK ((((rows = 0) = (first_time IS NULL)) AND ((rows = 0) = (last_time IS NULL))))
);

COMMENT ON COLUMN public.candle_days.input_version IS 'up to 1d: lake_days.content_hash; 1w and 1M: digest of the days; empty: unknown, or no ticks';

CREATE TABLE public.candles (
    starlisting_id integer NOT NULL,
    source smallint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    num_trades bigint,
    open numeric(30,18) NOT NULL,
    high numeric(30,18) NOT NULL,
    low numeric(30,18) NOT NULL,
    close numeric(30,18) NOT NULL,
    volume numeric(40,18) NOT NULL,
    CONSTRAINT candles_high_is_highest CHECK (((high >= low) AND (high >= open) AND (high >= close) AND (high <> 'NaN'::numeric))),
    CONSTRAINT candles_low_is_lowest CHECK (((low <= open) AND (low <= close))),
    CONSTRAINT candles_num_trades_not_negative CHECK ((num_trades >= 0)),
    CONSTRAINT candles_source_is_a_rank CHECK ((source > 0)),
    CONSTRAINT candles_volume_not_negative CHECK (((volume >= (0)::numeric) AND (volume <> 'NaN'::numeric)))
);

COMMENT ON COLUMN public.candles.source IS 'rank of the writer: 30 exchange''s own closed candle, 20 complete ticks, 10 live stream';

COMMENT ON COLUMN public.candles."time" IS 'open time of the candle, UTC; only closed candles are stored';

CREATE TABLE public.exchanges (
    id smallint NOT NULL,
    code text NOT NULL,
    display_name text NOT NULL,
    licence text DEFAULT 'private'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    CONSTRAINT exchanges_code_check CHECK ((code ~ '^[a-z0-9_]+$'::text)),
    CONSTRAINT exchanges_licence_check CHECK ((licence = ANY (ARRAY['public'::text, 'private'::text])))
);

COMMENT ON COLUMN public.exchanges.licence IS 'public: anyone may be served the data; private: only keys of its owner';

CREATE TABLE public.intervals (
    id smallint NOT NULL,
    name text NOT NULL,
    seconds integer NOT NULL,
    active boolean DEFAULT true NOT NULL,
    CONSTRAINT intervals_seconds_check CHECK ((seconds > 0))
);

COMMENT ON COLUMN public.intervals.seconds IS 'nominal for months: 30 days';

CREATE TABLE public.market_types (
    id smallint NOT NULL,
    code text NOT NULL,
    display_name text NOT NULL,
    active boolean DEFAULT true NOT NULL
);

CREATE TABLE public.starlistings (
    id integer NOT NULL,
    trading_pair_id integer NOT NULL,
    interval_id smallint NOT NULL,
    alignment text DEFAULT 'utc'::text NOT NULL,
    candle_price text DEFAULT 'mid'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    CONSTRAINT starlistings_alignment_check CHECK ((alignment = ANY (ARRAY['utc'::text, 'new_york_17'::text]))),
    CONSTRAINT starlistings_candle_price_check CHECK ((candle_price = ANY (ARRAY['mid'::text, 'bid'::text, 'ask'::text])))
);

CREATE TABLE public.trading_pairs (
    id integer NOT NULL,
    exchange_id smallint NOT NULL,
    coin_id integer NOT NULL,
    quote_currency_id integer NOT NULL,
    market_type_id smallint NOT NULL,
    symbol text NOT NULL,
    price_scale smallint,
    first_day date,
    instrument jsonb,
    active boolean DEFAULT true NOT NULL,
    candles_from text DEFAULT 'exchange'::text NOT NULL,
    CONSTRAINT trading_pairs_candles_from_check CHECK ((candles_from = ANY (ARRAY['exchange'::text, 'trades'::text]))),
    CONSTRAINT trading_pairs_price_scale_check CHECK (((price_scale >= 0) AND (price_scale <= 18))),
    CONSTRAINT trading_pairs_symbol_check CHECK ((symbol ~ '^[A-Z0-9.]{2,32}$'::text))
);

COMMENT ON COLUMN public.trading_pairs.first_day IS 'the earliest day worth asking the exchange for';

COMMENT ON COLUMN public.trading_pairs.instrument IS 'the exchange''s own description, once it was fetched';

COMMENT ON COLUMN public.trading_pairs.candles_from IS 'where a live stream''s candles come from: the exchange''s own, or built from its trades';

CREATE VIEW public.candles_12h AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '12h'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_15m AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '15m'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_1d AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '1d'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_1h AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '1h'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_1m AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '1m'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_1mo AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '1M'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_1w AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '1w'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_30m AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '30m'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_4h AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '4h'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE VIEW public.candles_5m AS
 SELECT e.code AS exchange,
    p.symbol,
    m.code AS market_type,
    c."time",
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume,
    c.num_trades,
    c.source,
    s.candle_price,
    s.alignment,
    c.starlisting_id
   FROM (((((public.candles c
     JOIN public.starlistings s ON ((s.id = c.starlisting_id)))
     JOIN public.intervals i ON (((i.id = s.interval_id) AND (i.name = '5m'::text))))
     JOIN public.trading_pairs p ON ((p.id = s.trading_pair_id)))
     JOIN public.exchanges e ON ((e.id = p.exchange_id)))
     JOIN public.market_types m ON ((m.id = p.market_type_id)))
  WHERE s.active;

CREATE TABLE public.coins (
    id integer NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    active boolean DEFAULT true NOT NULL
);

ALTER TABLE public.coins ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.coins_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.corporate_actions (
    trading_pair_id integer NOT NULL,
    "time" timestamp with time zone NOT NULL,
    kind text NOT NULL,
    value numeric(30,18) NOT NULL,
    run_id text NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT corporate_actions_kind_check CHECK ((kind = ANY (ARRAY['dividend'::text, 'split'::text]))),
    CONSTRAINT corporate_actions_value_check CHECK ((value > (0)::numeric))
);

COMMENT ON COLUMN public.corporate_actions.value IS 'dividend: per share, in the quote currency; split: new shares for an old one';

CREATE TABLE public.data_quality (
    id bigint NOT NULL,
    trading_pair_id integer NOT NULL,
    starlisting_id integer,
    day date,
    check_type text NOT NULL,
    passed boolean NOT NULL,
    severity text NOT NULL,
    error_message text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    run_id text NOT NULL,
    checked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT data_quality_severity_check CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'error'::text])))
);

ALTER TABLE public.data_quality ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.data_quality_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.database_role (
    only_row boolean DEFAULT true NOT NULL,
    role text NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT database_role_only_row_check CHECK (only_row),
    CONSTRAINT database_role_role_check CHECK ((role = ANY (ARRAY['realtime'::text, 'training'::text])))
);

CREATE TABLE public.dead_letters (
    id bigint NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    exchange text NOT NULL,
    channel text NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL
);

ALTER TABLE public.dead_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.exchanges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.exchanges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.funding_rates (
    trading_pair_id integer NOT NULL,
    source smallint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    next_funding_time timestamp with time zone,
    funding_rate numeric(30,18) NOT NULL,
    premium numeric(30,18),
    mark_price numeric(30,18),
    index_price numeric(30,18),
    oracle_price numeric(30,18),
    mid_price numeric(30,18),
    CONSTRAINT funding_rates_source_check CHECK ((source > 0))
);

CREATE TABLE public.gaps (
    id bigint NOT NULL,
    trading_pair_id integer NOT NULL,
    kind text NOT NULL,
    "interval" text,
    gap_start timestamp with time zone NOT NULL,
    gap_end timestamp with time zone,
    first_id bigint,
    last_id bigint,
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    detected_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    last_attempt_at timestamp with time zone,
    last_error text,
    repaired_at timestamp with time zone,
    repaired_rows bigint,
    unrepairable text,
    run_id text,
    CONSTRAINT gaps_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT gaps_ids CHECK ((last_id >= first_id)),
    CONSTRAINT gaps_kind_check CHECK ((kind = ANY (ARRAY['candles'::text, 'trades'::text, 'quotes'::text, 'context'::text]))),
    CONSTRAINT gaps_one_end CHECK (((repaired_at IS NULL) OR (unrepairable IS NULL))),
    CONSTRAINT gaps_order CHECK ((gap_end >= gap_start)),
    CONSTRAINT gaps_reason_check CHECK ((reason = ANY (ARRAY['start'::text, 'disconnect'::text, 'id_hole'::text, 'missing_candle'::text, 'stale'::text, 'intake_stopped'::text, 'shutdown'::text])))
);

COMMENT ON COLUMN public.gaps.gap_end IS 'exclusive; NULL while the stream is still away';

COMMENT ON COLUMN public.gaps.unrepairable IS 'why the exchange can''t give it back; NULL while there is hope';

ALTER TABLE public.gaps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.gaps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.history_days (
    trading_pair_id integer NOT NULL,
    series text NOT NULL,
    day date NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    rows integer NOT NULL,
    condition text NOT NULL,
    data_version text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT history_days_condition_check CHECK ((condition = ANY (ARRAY['available'::text, 'degraded'::text, 'pending'::text, 'closed'::text, 'missing'::text]))),
    CONSTRAINT history_days_revision_check CHECK ((revision > 0)),
    CONSTRAINT history_days_rows_check CHECK ((rows >= 0)),
    CONSTRAINT history_days_series_check CHECK ((series = ANY (ARRAY['funding_rates'::text, 'open_interest'::text, 'corporate_actions'::text])))
);

CREATE TABLE public.history_inputs (
    trading_pair_id integer NOT NULL,
    series text NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    rows bigint NOT NULL,
    earlier_sha256 text,
    fetched_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    run_id text NOT NULL,
    CONSTRAINT history_inputs_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT history_inputs_rows_check CHECK ((rows >= 0)),
    CONSTRAINT history_inputs_series_check CHECK ((series ~ '^[a-z_0-9A-Z]+$'::text)),
    CONSTRAINT history_inputs_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON COLUMN public.history_inputs.series IS 'candles_1m, funding_rates, open_interest, trades, corporate_actions';

COMMENT ON COLUMN public.history_inputs.earlier_sha256 IS 'what the same name held before; set when the exchange published it anew';

CREATE TABLE public.indicators (
    starlisting_id integer NOT NULL,
    "time" timestamp with time zone NOT NULL,
    name text NOT NULL,
    value double precision NOT NULL
);

ALTER TABLE public.intervals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.intervals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.lake_days (
    trading_pair_id integer NOT NULL,
    day date NOT NULL,
    kind text DEFAULT 'ticks'::text NOT NULL,
    object_key text,
    content_hash text,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    first_time timestamp with time zone,
    last_time timestamp with time zone,
    condition text NOT NULL,
    raw_inputs jsonb DEFAULT '[]'::jsonb NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT lake_days_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT lake_days_condition_check CHECK ((condition = ANY (ARRAY['available'::text, 'degraded'::text, 'pending'::text, 'closed'::text, 'missing'::text]))),
    CONSTRAINT lake_days_kind_check CHECK ((kind ~ '^[a-z_0-9]+$'::text)),
    CONSTRAINT lake_days_object CHECK (((rows = 0) = (object_key IS NULL))),
    CONSTRAINT lake_days_rows_check CHECK ((rows >= 0)),
    CONSTRAINT lake_days_span CHECK ((((rows = 0) = (first_time IS NULL)) AND ((rows = 0) = (last_time IS NULL))))
);

CREATE TABLE public.lake_totals (
    trading_pair_id integer NOT NULL,
    kind text NOT NULL,
    days bigint NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL
);

CREATE TABLE public.market_ticks (
    trading_pair_id integer NOT NULL,
    "time" timestamp with time zone NOT NULL,
    bid numeric(30,18) NOT NULL,
    ask numeric(30,18) NOT NULL,
    bid_volume numeric(40,18),
    ask_volume numeric(40,18),
    CONSTRAINT market_ticks_ask_volume_check CHECK ((ask_volume >= (0)::numeric)),
    CONSTRAINT market_ticks_bid_volume_check CHECK ((bid_volume >= (0)::numeric))
);

ALTER TABLE public.market_types ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.market_types_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ml_features (
    starlisting_id integer NOT NULL,
    feature_version smallint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    features jsonb NOT NULL,
    CONSTRAINT ml_features_feature_version_check CHECK ((feature_version > 0))
);

CREATE TABLE public.open_interest (
    trading_pair_id integer NOT NULL,
    source smallint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    open_interest numeric(40,18) NOT NULL,
    notional_value numeric(40,18),
    day_base_volume numeric(40,18),
    day_notional_volume numeric(40,18),
    CONSTRAINT open_interest_day_base_volume_check CHECK ((day_base_volume >= (0)::numeric)),
    CONSTRAINT open_interest_day_notional_volume_check CHECK ((day_notional_volume >= (0)::numeric)),
    CONSTRAINT open_interest_notional_value_check CHECK ((notional_value >= (0)::numeric)),
    CONSTRAINT open_interest_open_interest_check CHECK ((open_interest >= (0)::numeric)),
    CONSTRAINT open_interest_source_check CHECK ((source > 0))
);

CREATE TABLE public.proof_days (
    trading_pair_id integer NOT NULL,
    day date NOT NULL,
    minutes integer NOT NULL,
    differences integer NOT NULL,
    unexplained integer NOT NULL,
    compared jsonb NOT NULL,
    left_out jsonb DEFAULT '{}'::jsonb NOT NULL,
    inputs jsonb DEFAULT '{}'::jsonb NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    proved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT proof_days_check CHECK (((unexplained >= 0) AND (unexplained <= differences))),
    CONSTRAINT proof_days_differences_check CHECK ((differences >= 0)),
    CONSTRAINT proof_days_minutes_check CHECK ((minutes >= 0))
);

COMMENT ON COLUMN public.proof_days.minutes IS 'that any side has';

COMMENT ON COLUMN public.proof_days.compared IS 'minutes compared, by sides';

COMMENT ON COLUMN public.proof_days.left_out IS 'sides that were not compared, each with why';

COMMENT ON COLUMN public.proof_days.inputs IS 'what each side was: ranks of rows, data versions, hashes, notes';

CREATE TABLE public.proof_differences (
    trading_pair_id integer NOT NULL,
    day date NOT NULL,
    "time" timestamp with time zone NOT NULL,
    sides text NOT NULL,
    field text NOT NULL,
    left_value text,
    right_value text,
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    CONSTRAINT proof_differences_reason_check CHECK ((reason ~ '^[a-z_]+$'::text)),
    CONSTRAINT proof_differences_sides_check CHECK ((sides = ANY (ARRAY['streamed/rebuilt'::text, 'streamed/exchange'::text, 'rebuilt/exchange'::text])))
);

COMMENT ON COLUMN public.proof_differences.sides IS 'streamed/rebuilt, streamed/exchange or rebuilt/exchange: left and right value';

COMMENT ON COLUMN public.proof_differences.left_value IS 'exact, as text; NULL where the side has no such minute';

CREATE TABLE public.quote_currencies (
    id integer NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    active boolean DEFAULT true NOT NULL
);

ALTER TABLE public.quote_currencies ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.quote_currencies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.rate_limits (
    name text NOT NULL,
    next_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    paused_until timestamp with time zone
);

CREATE TABLE public.reference_listings (
    role text NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    CONSTRAINT reference_listings_role_check CHECK ((role = ANY (ARRAY['realtime'::text, 'training'::text])))
);

COMMENT ON COLUMN public.reference_listings.key IS 'the natural key: codes and names, such as {binance,BTCUSDT}';

CREATE TABLE public.series_changes (
    starlisting_id integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    "time" timestamp with time zone,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT series_changes_kind_check CHECK ((kind = ANY (ARRAY['candle'::text, 'funding'::text, 'open_interest'::text, 'resync'::text]))),
    CONSTRAINT series_changes_time CHECK (((kind = 'resync'::text) = ("time" IS NULL)))
);

CREATE TABLE public.series_state (
    starlisting_id integer NOT NULL,
    epoch bigint DEFAULT ((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    CONSTRAINT series_state_seq_check CHECK ((seq >= 0))
);

COMMENT ON COLUMN public.series_state.epoch IS 'tells numbering apart: another one after the table was lost';

ALTER TABLE public.starlistings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.starlistings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.stream_connections (
    exchange text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    breaker text NOT NULL,
    connected_at timestamp with time zone,
    last_message_at timestamp with time zone,
    last_event_time timestamp with time zone,
    lag_ms double precision,
    subscriptions integer DEFAULT 0 NOT NULL,
    stale_subscriptions integer DEFAULT 0 NOT NULL,
    messages bigint DEFAULT 0 NOT NULL,
    dead_letters bigint DEFAULT 0 NOT NULL,
    reconnects integer DEFAULT 0 NOT NULL,
    last_error text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT stream_connections_breaker_check CHECK ((breaker = ANY (ARRAY['closed'::text, 'half_open'::text, 'open'::text]))),
    CONSTRAINT stream_connections_state_check CHECK ((state = ANY (ARRAY['connecting'::text, 'open'::text, 'backing_off'::text, 'stopped'::text])))
);

CREATE TABLE public.stream_days (
    trading_pair_id integer NOT NULL,
    layer text NOT NULL,
    day date NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    first_time timestamp with time zone,
    last_time timestamp with time zone,
    lag_ms double precision,
    gaps integer DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reported_at timestamp with time zone
);

COMMENT ON COLUMN public.stream_days.layer IS 'trades, ticks, candles_1m, …, funding_rates, open_interest';

CREATE TABLE public.stream_state (
    name text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    accepting boolean DEFAULT true NOT NULL,
    alarm text,
    journal_rows bigint DEFAULT 0 NOT NULL,
    journal_bytes bigint DEFAULT 0 NOT NULL,
    oldest_pending_at timestamp with time zone,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.tick_moves (
    trading_pair_id integer NOT NULL,
    day date NOT NULL,
    state text NOT NULL,
    rows bigint NOT NULL,
    duplicates bigint DEFAULT 0 NOT NULL,
    truncated bigint DEFAULT 0 NOT NULL,
    merged bigint DEFAULT 0 NOT NULL,
    zeroed bigint DEFAULT 0 NOT NULL,
    relation text NOT NULL,
    source_hash text NOT NULL,
    object_key text,
    content_hash text,
    run_id text NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT tick_moves_duplicates_check CHECK ((duplicates >= 0)),
    CONSTRAINT tick_moves_merged_check CHECK ((merged >= 0)),
    CONSTRAINT tick_moves_relation_check CHECK ((relation = ANY (ARRAY['moved'::text, 'equal'::text, 'lake_has_more'::text, 'postgres_has_more'::text, 'differs'::text]))),
    CONSTRAINT tick_moves_rows_check CHECK ((rows >= 0)),
    CONSTRAINT tick_moves_state_check CHECK ((state = ANY (ARRAY['copied'::text, 'verified'::text, 'kept'::text, 'dropped'::text]))),
    CONSTRAINT tick_moves_truncated_check CHECK ((truncated >= 0)),
    CONSTRAINT tick_moves_zeroed_check CHECK ((zeroed >= 0))
);

COMMENT ON COLUMN public.tick_moves.state IS 'kept: the lake has other ticks of the day already, which stay; nothing is dropped';

COMMENT ON COLUMN public.tick_moves.relation IS 'of the rows to what the lake had of the day';

COMMENT ON COLUMN public.tick_moves.source_hash IS 'of the sorted rows without duplicates, at the least scales that hold them';

ALTER TABLE public.trading_pairs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.trading_pairs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.users (
    id integer NOT NULL,
    email text NOT NULL,
    username text NOT NULL,
    password_hash text,
    is_admin boolean DEFAULT false NOT NULL,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.users ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bulk_loads
    ADD CONSTRAINT bulk_loads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.candle_days
    ADD CONSTRAINT candle_days_pkey PRIMARY KEY (starlisting_id, day);

ALTER TABLE ONLY public.candles
    ADD CONSTRAINT candles_pkey PRIMARY KEY (starlisting_id, "time");

ALTER TABLE ONLY public.coins
    ADD CONSTRAINT coins_code_key UNIQUE (code);

ALTER TABLE ONLY public.coins
    ADD CONSTRAINT coins_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.corporate_actions
    ADD CONSTRAINT corporate_actions_pkey PRIMARY KEY (trading_pair_id, "time", kind);

ALTER TABLE ONLY public.data_quality
    ADD CONSTRAINT data_quality_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.database_role
    ADD CONSTRAINT database_role_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.exchanges
    ADD CONSTRAINT exchanges_code_key UNIQUE (code);

ALTER TABLE ONLY public.exchanges
    ADD CONSTRAINT exchanges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.funding_rates
    ADD CONSTRAINT funding_rates_pkey PRIMARY KEY (trading_pair_id, "time");

ALTER TABLE ONLY public.gaps
    ADD CONSTRAINT gaps_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.history_days
    ADD CONSTRAINT history_days_pkey PRIMARY KEY (trading_pair_id, series, day);

ALTER TABLE ONLY public.history_inputs
    ADD CONSTRAINT history_inputs_pkey PRIMARY KEY (trading_pair_id, series, day, name);

ALTER TABLE ONLY public.indicators
    ADD CONSTRAINT indicators_pkey PRIMARY KEY (starlisting_id, name, "time");

ALTER TABLE ONLY public.intervals
    ADD CONSTRAINT intervals_name_key UNIQUE (name);

ALTER TABLE ONLY public.intervals
    ADD CONSTRAINT intervals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.intervals
    ADD CONSTRAINT intervals_seconds_key UNIQUE (seconds);

ALTER TABLE ONLY public.lake_days
    ADD CONSTRAINT lake_days_pkey PRIMARY KEY (trading_pair_id, kind, day);

ALTER TABLE ONLY public.lake_totals
    ADD CONSTRAINT lake_totals_pkey PRIMARY KEY (trading_pair_id, kind);

ALTER TABLE ONLY public.market_types
    ADD CONSTRAINT market_types_code_key UNIQUE (code);

ALTER TABLE ONLY public.market_types
    ADD CONSTRAINT market_types_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ml_features
    ADD CONSTRAINT ml_features_pkey PRIMARY KEY (starlisting_id, feature_version, "time");

ALTER TABLE ONLY public.open_interest
    ADD CONSTRAINT open_interest_pkey PRIMARY KEY (trading_pair_id, "time");

ALTER TABLE ONLY public.proof_days
    ADD CONSTRAINT proof_days_pkey PRIMARY KEY (trading_pair_id, day);

ALTER TABLE ONLY public.proof_differences
    ADD CONSTRAINT proof_differences_pkey PRIMARY KEY (trading_pair_id, day, "time", sides, field);

ALTER TABLE ONLY public.quote_currencies
    ADD CONSTRAINT quote_currencies_code_key UNIQUE (code);

ALTER TABLE ONLY public.quote_currencies
    ADD CONSTRAINT quote_currencies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.reference_listings
    ADD CONSTRAINT reference_listings_pkey PRIMARY KEY (role, table_name, key);

ALTER TABLE ONLY public.series_changes
    ADD CONSTRAINT series_changes_pkey PRIMARY KEY (starlisting_id, seq);

ALTER TABLE ONLY public.series_state
    ADD CONSTRAINT series_state_pkey PRIMARY KEY (starlisting_id);

ALTER TABLE ONLY public.starlistings
    ADD CONSTRAINT starlistings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.starlistings
    ADD CONSTRAINT starlistings_trading_pair_id_interval_id_alignment_candle_p_key UNIQUE (trading_pair_id, interval_id, alignment, candle_price);

ALTER TABLE ONLY public.stream_connections
    ADD CONSTRAINT stream_connections_pkey PRIMARY KEY (exchange, name);

ALTER TABLE ONLY public.stream_days
    ADD CONSTRAINT stream_days_pkey PRIMARY KEY (trading_pair_id, layer, day);

ALTER TABLE ONLY public.stream_state
    ADD CONSTRAINT stream_state_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.tick_moves
    ADD CONSTRAINT tick_moves_pkey PRIMARY KEY (trading_pair_id, day);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_exchange_id_coin_id_quote_currency_id_market__key UNIQUE (exchange_id, coin_id, quote_currency_id, market_type_id);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_exchange_id_symbol_key UNIQUE (exchange_id, symbol);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX api_keys_user ON public.api_keys USING btree (user_id);

CREATE UNIQUE INDEX bulk_loads_one_open ON public.bulk_loads USING btree (table_name) WHERE (state = ANY (ARRAY['loading'::text, 'indexing'::text]));

CREATE INDEX candle_days_filled ON public.candle_days USING btree (starlisting_id, day) INCLUDE (first_time, last_time) WHERE (rows > 0);

CREATE INDEX data_quality_pair_checked ON public.data_quality USING btree (trading_pair_id, checked_at);

CREATE INDEX dead_letters_received ON public.dead_letters USING btree (received_at);

CREATE INDEX gaps_detected ON public.gaps USING btree (detected_at);

CREATE INDEX gaps_open ON public.gaps USING btree (trading_pair_id, gap_start) WHERE ((repaired_at IS NULL) AND (unrepairable IS NULL));

CREATE INDEX lake_days_filled ON public.lake_days USING btree (trading_pair_id, kind, day) INCLUDE (first_time, last_time) WHERE (rows > 0);

CREATE INDEX market_ticks_pair_time ON public.market_ticks USING btree (trading_pair_id, "time");

CREATE INDEX series_changes_written ON public.series_changes USING btree (written_at);

CREATE UNIQUE INDEX starlistings_one_active ON public.starlistings USING btree (trading_pair_id, interval_id) WHERE active;

CREATE INDEX trading_pairs_symbol ON public.trading_pairs USING btree (symbol);

CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email));

CREATE UNIQUE INDEX users_username ON public.users USING btree (lower(username));

CREATE TRIGGER candle_days_deleted AFTER DELETE ON public.candle_days REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.notify_candle_days();

CREATE TRIGGER candle_days_inserted AFTER INSERT ON public.candle_days REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.notify_candle_days();

CREATE TRIGGER candle_days_truncated AFTER TRUNCATE ON public.candle_days FOR EACH STATEMENT EXECUTE FUNCTION public.notify_candle_days();

CREATE TRIGGER candle_days_updated AFTER UPDATE ON public.candle_days REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.notify_candle_days();

CREATE TRIGGER exchanges_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.exchanges FOR EACH STATEMENT EXECUTE FUNCTION public.notify_reference();

CREATE TRIGGER lake_days_deleted AFTER DELETE ON public.lake_days REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.lake_totals_subtract();

CREATE TRIGGER lake_days_inserted AFTER INSERT ON public.lake_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.lake_totals_add();

CREATE TRIGGER lake_days_updated_from AFTER UPDATE ON public.lake_days REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.lake_totals_subtract();

CREATE TRIGGER lake_days_updated_to AFTER UPDATE ON public.lake_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.lake_totals_add();

CREATE TRIGGER starlistings_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.starlistings FOR EACH STATEMENT EXECUTE FUNCTION public.notify_reference();

CREATE TRIGGER trading_pairs_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.trading_pairs FOR EACH STATEMENT EXECUTE FUNCTION public.notify_reference();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.candle_days
    ADD CONSTRAINT candle_days_starlisting_id_fkey FOREIGN KEY (starlisting_id) REFERENCES public.starlistings(id);

ALTER TABLE ONLY public.corporate_actions
    ADD CONSTRAINT corporate_actions_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.data_quality
    ADD CONSTRAINT data_quality_starlisting_id_fkey FOREIGN KEY (starlisting_id) REFERENCES public.starlistings(id);

ALTER TABLE ONLY public.data_quality
    ADD CONSTRAINT data_quality_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.gaps
    ADD CONSTRAINT gaps_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.history_days
    ADD CONSTRAINT history_days_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.history_inputs
    ADD CONSTRAINT history_inputs_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.lake_days
    ADD CONSTRAINT lake_days_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.lake_totals
    ADD CONSTRAINT lake_totals_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.proof_days
    ADD CONSTRAINT proof_days_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.proof_differences
    ADD CONSTRAINT proof_differences_trading_pair_id_day_fkey FOREIGN KEY (trading_pair_id, day) REFERENCES public.proof_days(trading_pair_id, day) ON DELETE CASCADE;

ALTER TABLE ONLY public.series_state
    ADD CONSTRAINT series_state_starlisting_id_fkey FOREIGN KEY (starlisting_id) REFERENCES public.starlistings(id);

ALTER TABLE ONLY public.starlistings
    ADD CONSTRAINT starlistings_interval_id_fkey FOREIGN KEY (interval_id) REFERENCES public.intervals(id);

ALTER TABLE ONLY public.starlistings
    ADD CONSTRAINT starlistings_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.stream_days
    ADD CONSTRAINT stream_days_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.tick_moves
    ADD CONSTRAINT tick_moves_trading_pair_id_fkey FOREIGN KEY (trading_pair_id) REFERENCES public.trading_pairs(id);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_coin_id_fkey FOREIGN KEY (coin_id) REFERENCES public.coins(id);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_exchange_id_fkey FOREIGN KEY (exchange_id) REFERENCES public.exchanges(id);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_market_type_id_fkey FOREIGN KEY (market_type_id) REFERENCES public.market_types(id);

ALTER TABLE ONLY public.trading_pairs
    ADD CONSTRAINT trading_pairs_quote_currency_id_fkey FOREIGN KEY (quote_currency_id) REFERENCES public.quote_currencies(id);
