-- migrate:up

-- Candles by interval with their names, for people and SQL tools. A bare `time` and `symbol` in the predicate are fast.

CREATE VIEW candles_1m AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '1m'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_5m AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '5m'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_15m AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '15m'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_30m AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '30m'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_1h AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '1h'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_4h AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '4h'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_12h AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '12h'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_1d AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '1d'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_1w AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '1w'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

CREATE VIEW candles_1mo AS
SELECT e.code AS exchange, p.symbol, m.code AS market_type, c."time", c.open, c.high, c.low, c.close, c.volume, c.num_trades,
    c.source, s.candle_price, s.alignment, c.starlisting_id
FROM candles AS c
JOIN starlistings AS s ON s.id = c.starlisting_id
JOIN intervals AS i ON i.id = s.interval_id AND i.name = '1M'
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active;

-- migrate:down
