"""What Binance says about its markets besides trades and candles. Belongs here: the answers. Does not: numbers (contracts.py)."""

from __future__ import annotations

import orjson

from market_platform.replay.live.binance.asking import Asked, RestError
from market_platform.replay.live.binance.contracts import Contract, next_funding_ms
from market_platform.replay.live.binance.texts import SPOT_PLACES, decimal
from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.markets import Market


def exchange_info(asked: Asked, weight_limit: int) -> bytes:
    """`/exchangeInfo`."""
    wanted = asked.request.query_params.get("symbol")
    if wanted is not None and asked.world.market(asked.venue, wanted) is None:
        raise RestError(-1121, "Invalid symbol.")
    symbols = [
        _described(market) for market in asked.world.markets(asked.venue) if wanted is None or market.symbol == wanted
    ]
    return orjson.dumps(
        {
            "timezone": "UTC",
            "serverTime": asked.now_ms,
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": weight_limit,
                }
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }
    )


def server_time(asked: Asked) -> bytes:
    """`/time`."""
    return b'{"serverTime":%d}' % asked.now_ms


def open_interest(asked: Asked) -> bytes:
    """`/openInterest` of USD-M."""
    market, book = asked.market()
    now = asked.now_ms
    interest = Contract(book.tape).open_interest(now // 1000)
    return orjson.dumps({"openInterest": interest, "symbol": market.symbol, "time": now})


def premium_index(asked: Asked) -> bytes:
    """`/premiumIndex` of USD-M, of one contract or all."""
    if asked.request.query_params.get("symbol") is None:
        return orjson.dumps(
            [_premium(asked, market, asked.world.book(market)) for market in asked.world.markets(asked.venue)]
        )
    return orjson.dumps(_premium(asked, *asked.market()))


def _premium(asked: Asked, market: Market, book: CandleBook) -> dict[str, str | int]:
    now = asked.now_ms
    second, contract = now // 1000, Contract(book.tape)
    return {
        "symbol": market.symbol,
        "markPrice": contract.mark_price(second),
        "indexPrice": contract.index_price(second),
        "estimatedSettlePrice": contract.index_price(second),
        "lastFundingRate": contract.funding_rate(second),
        "interestRate": "0.00010000",
        "nextFundingTime": next_funding_ms(second),
        "time": now,
    }


def _described(market: Market) -> dict[str, object]:
    spot = market.venue == "binance-spot"
    tick = decimal(market.tick, market.price_scale, SPOT_PLACES if spot else market.price_scale)
    step = decimal(1, market.lot_scale, SPOT_PLACES if spot else market.lot_scale)
    listed: dict[str, object] = {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.coin,
        "quoteAsset": market.quote,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
        ],
    }
    if spot:
        return listed | {"baseAssetPrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True}
    return listed | {
        "pair": market.symbol,
        "contractType": "PERPETUAL",
        "marginAsset": market.quote,
        "pricePrecision": market.price_scale,
        "quantityPrecision": market.lot_scale,
    }
