-- migrate:up

-- Readers that keep answers (the API) hear of changes in the commit that makes them, whoever the writer is. One trigger a
-- statement, never a row: NOTIFY takes a lock at commit. Equal notifications of one transaction are sent once.

CREATE FUNCTION notify_candle_days() RETURNS trigger LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION notify_candle_days() IS 'channel candle_days: the starlisting ids that changed, or * for all';

CREATE TRIGGER candle_days_inserted AFTER INSERT ON candle_days
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION notify_candle_days();
CREATE TRIGGER candle_days_updated AFTER UPDATE ON candle_days
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION notify_candle_days();
CREATE TRIGGER candle_days_deleted AFTER DELETE ON candle_days
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION notify_candle_days();
CREATE TRIGGER candle_days_truncated AFTER TRUNCATE ON candle_days
    FOR EACH STATEMENT EXECUTE FUNCTION notify_candle_days();

CREATE FUNCTION notify_reference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('reference', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION notify_reference() IS 'channel reference: the name of the table that changed';

CREATE TRIGGER exchanges_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON exchanges
    FOR EACH STATEMENT EXECUTE FUNCTION notify_reference();
CREATE TRIGGER trading_pairs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON trading_pairs
    FOR EACH STATEMENT EXECUTE FUNCTION notify_reference();
CREATE TRIGGER starlistings_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON starlistings
    FOR EACH STATEMENT EXECUTE FUNCTION notify_reference();

-- migrate:down
