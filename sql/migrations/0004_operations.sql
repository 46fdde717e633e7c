-- migrate:up

CREATE TABLE users (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    username text NOT NULL,
    password_hash text,
    is_admin boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE UNIQUE INDEX users_username ON users (lower(username));

CREATE TABLE api_keys (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users,
    name text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    key_prefix text NOT NULL,
    rate_limit integer CHECK (rate_limit > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_user ON api_keys (user_id);
COMMENT ON COLUMN api_keys.key_hash IS 'keyed hash; the key itself is shown once and never stored';

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    exchange text NOT NULL,
    channel text NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL
);
CREATE INDEX dead_letters_received ON dead_letters (received_at);

CREATE TABLE data_quality (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trading_pair_id integer NOT NULL REFERENCES trading_pairs,
    starlisting_id integer REFERENCES starlistings,
    day date,
    check_type text NOT NULL,
    passed boolean NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    error_message text,
    details jsonb NOT NULL DEFAULT '{}',
    run_id text NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX data_quality_pair_checked ON data_quality (trading_pair_id, checked_at);

-- Dagster's own storage lives in this schema of the same database; its tables are made by dagster-postgres.
CREATE SCHEMA IF NOT EXISTS dagster;

-- migrate:down
