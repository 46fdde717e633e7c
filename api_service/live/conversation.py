"""Reading what a client says, one message after the other: its rate, its mistakes, ours.

Belongs here: what holds for every kind of client. Does not: what a message does (session.py, charts.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from api_service.live.actions import RATE, MessageRate
from api_service.live.errors import ActionError, ClientGoneError, ErrorCode
from api_service.live.hub import Hub
from api_service.live.listings import Listings
from api_service.live.messages import error_frame
from api_service.live.metrics import LiveMetrics
from api_service.live.outbox import Outbox
from market_platform.domain.clock import Clock
from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError

AWAY = (WarehouseUnavailableError, SchemaMismatchError)
"""What it means that Postgres can't be asked."""

_log = structlog.get_logger("api.live")


@dataclass(frozen=True, slots=True)
class Services:
    """What every client's session uses."""

    hub: Hub
    listings: Listings
    metrics: LiveMetrics
    clock: Clock


async def converse(
    receive: Callable[[], Awaitable[Any]],
    outbox: Outbox,
    services: Services,
    carry_out: Callable[[str | None], Awaitable[None]],
) -> None:
    """Carry out what the client says until it is gone; a message that is wrong is answered and changes nothing.

    `carry_out` is given the text of a message, None when it was not text.
    """
    rate = MessageRate()

    def complain(code: ErrorCode, message: str) -> None:
        services.metrics.errors.labels(code).inc()
        outbox.send(error_frame(code, message))

    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        services.metrics.received.inc()
        if not rate.take():
            complain("rate_limited", f"more than {RATE:g} messages a second; this one was not carried out")
            await asyncio.sleep(1 / RATE)  # meanwhile nothing is read of it
            continue
        try:
            await carry_out(event.get("text"))
        except ActionError as error:
            complain(error.code, str(error))
        except ClientGoneError:
            return
        except AWAY as error:
            _log.warning("a client's message could not be carried out", reason=str(error))
            complain("internal_error", "the database does not answer; try again in a few seconds")
        except Exception:  # noqa: BLE001 - the next message may be another matter
            _log.exception("a client's message could not be carried out")
            complain("internal_error", "something failed on our side; try again")
