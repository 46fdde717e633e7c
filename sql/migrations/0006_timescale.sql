-- migrate:up

-- Where the server has TimescaleDB: hypertables in 30-day chunks, compressed after 90 days. Everywhere else the same plain
-- tables. CREATE EXTENSION without the preloaded library would end the session, so that is looked at first.
DO $$
DECLARE
    series record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        RETURN;
    END IF;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
            IF current_setting('shared_preload_libraries') NOT LIKE '%timescaledb%' THEN
                RAISE NOTICE 'timescaledb is installed but not in shared_preload_libraries; plain tables are used';
                RETURN;
            END IF;
            EXECUTE 'CREATE EXTENSION timescaledb';
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'this role may not create the extension timescaledb; plain tables are used';
        RETURN;
    END;
    FOR series IN
        SELECT * FROM (VALUES
            ('candles', 'starlisting_id'),
            ('funding_rates', 'trading_pair_id'),
            ('open_interest', 'trading_pair_id'),
            ('indicators', 'starlisting_id, name'),
            ('ml_features', 'starlisting_id, feature_version'),
            ('market_ticks', 'trading_pair_id')
        ) AS listed (name, segment)
    LOOP
        EXECUTE format(
            'SELECT create_hypertable(%L, ''time'', chunk_time_interval => interval ''30 days'','
            ' create_default_indexes => false, migrate_data => true, if_not_exists => true)',
            'public.' || series.name
        );
        BEGIN
            EXECUTE format(
                'ALTER TABLE public.%I SET (timescaledb.compress, timescaledb.compress_segmentby = %L,'
                ' timescaledb.compress_orderby = ''time'')',
                series.name, series.segment
            );
            EXECUTE format(
                'SELECT add_compression_policy(%L, interval ''90 days'', if_not_exists => true)', 'public.' || series.name
            );
        EXCEPTION WHEN feature_not_supported OR undefined_function THEN
            RAISE NOTICE 'this edition of timescaledb does not compress; % stays uncompressed', series.name;
        END;
    END LOOP;
END $$;

-- migrate:down
