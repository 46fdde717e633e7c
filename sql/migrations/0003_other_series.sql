-- migrate:up

CREATE TABLE funding_rates (
    trading_pair_id integer NOT NULL,
    source smallint NOT NULL CHECK (source > 0),
    "time" timestamptz NOT NULL,
    next_funding_time timestamptz,
    funding_rate numeric(30, 18) NOT NULL,
    premium numeric(30, 18),
    mark_price numeric(30, 18),
    index_price numeric(30, 18),
    oracle_price numeric(30, 18),
    mid_price numeric(30, 18),
    PRIMARY KEY (trading_pair_id, "time")
);

CREATE TABLE open_interest (
    trading_pair_id integer NOT NULL,
    source smallint NOT NULL CHECK (source > 0),
    "time" timestamptz NOT NULL,
    open_interest numeric(40, 18) NOT NULL CHECK (open_interest >= 0),
    notional_value numeric(40, 18) CHECK (notional_value >= 0),
    day_base_volume numeric(40, 18) CHECK (day_base_volume >= 0),
    day_notional_volume numeric(40, 18) CHECK (day_notional_volume >= 0),
    PRIMARY KEY (trading_pair_id, "time")
);

-- One row a candle and indicator; a candle an indicator has no value for yet has no row.
CREATE TABLE indicators (
    starlisting_id integer NOT NULL,
    "time" timestamptz NOT NULL,
    name text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (starlisting_id, name, "time")
);

CREATE TABLE ml_features (
    starlisting_id integer NOT NULL,
    feature_version smallint NOT NULL CHECK (feature_version > 0),
    "time" timestamptz NOT NULL,
    features jsonb NOT NULL,
    PRIMARY KEY (starlisting_id, feature_version, "time")
);

-- Ticks people already have in Postgres, on their way into the lake; the platform's own ticks live in the lake only.
-- No key: legacy ticks hold duplicates, which the move into the lake counts and names.
CREATE TABLE market_ticks (
    trading_pair_id integer NOT NULL,
    "time" timestamptz NOT NULL,
    bid numeric(30, 18) NOT NULL,
    ask numeric(30, 18) NOT NULL,
    bid_volume numeric(40, 18) CHECK (bid_volume >= 0),
    ask_volume numeric(40, 18) CHECK (ask_volume >= 0)
);
CREATE INDEX market_ticks_pair_time ON market_ticks (trading_pair_id, "time");

-- migrate:down
