-- migrate:up

-- What is traded where. Filled from config/starlistings.yaml by `market-platform config sync`; rows are deactivated, never
-- deleted, so that stored data keeps its meaning.

CREATE TABLE exchanges (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9_]+$'),
    display_name text NOT NULL,
    licence text NOT NULL DEFAULT 'private' CHECK (licence IN ('public', 'private')),
    active boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN exchanges.licence IS 'public: anyone may be served the data; private: only keys of its owner';

CREATE TABLE coins (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    active boolean NOT NULL DEFAULT true
);

CREATE TABLE quote_currencies (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    active boolean NOT NULL DEFAULT true
);

CREATE TABLE market_types (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    display_name text NOT NULL,
    active boolean NOT NULL DEFAULT true
);

CREATE TABLE intervals (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    seconds integer NOT NULL UNIQUE CHECK (seconds > 0),
    active boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN intervals.seconds IS 'nominal for months: 30 days';

CREATE TABLE trading_pairs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange_id smallint NOT NULL REFERENCES exchanges,
    coin_id integer NOT NULL REFERENCES coins,
    quote_currency_id integer NOT NULL REFERENCES quote_currencies,
    market_type_id smallint NOT NULL REFERENCES market_types,
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9.]{2,32}$'),
    price_scale smallint CHECK (price_scale BETWEEN 0 AND 18),
    first_day date,
    instrument jsonb,
    active boolean NOT NULL DEFAULT true,
    UNIQUE (exchange_id, coin_id, quote_currency_id, market_type_id),
    UNIQUE (exchange_id, symbol)
);
CREATE INDEX trading_pairs_symbol ON trading_pairs (symbol);
COMMENT ON COLUMN trading_pairs.instrument IS 'the exchange''s own description, once it was fetched';
COMMENT ON COLUMN trading_pairs.first_day IS 'the earliest day worth asking the exchange for';

CREATE TABLE starlistings (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    interval_id smallint NOT NULL REFERENCES intervals,
    alignment text NOT NULL DEFAULT 'utc' CHECK (alignment IN ('utc', 'new_york_17')),
    candle_price text NOT NULL DEFAULT 'mid' CHECK (candle_price IN ('mid', 'bid', 'ask')),
    active boolean NOT NULL DEFAULT true,
    UNIQUE (trading_pair_id, interval_id, alignment, candle_price)
);
-- Candles of another alignment or price side are another starlisting and never mix; one of them is served.
CREATE UNIQUE INDEX starlistings_one_active ON starlistings (trading_pair_id, interval_id) WHERE active;

-- migrate:down
