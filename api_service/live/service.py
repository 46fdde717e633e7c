"""Everything of the WebSocket API that lives as long as the process, wired.

Belongs here: making the parts, and their tasks. Does not: what they do.
"""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from api_service.catalogue import Catalogue
from api_service.database import Database
from api_service.live.conversation import Services
from api_service.live.hub import Hub
from api_service.live.listener import LiveListener
from api_service.live.listings import Listings
from api_service.live.metrics import LiveMetrics
from api_service.live.routes import Clients
from market_platform.domain.clock import Clock
from market_platform.settings import Settings


class LiveService:
    """The parts: `clients` is what the routes find in their scope; `run` works until it is cancelled."""

    def __init__(
        self, database: Database, catalogue: Catalogue, settings: Settings, clock: Clock, registry: CollectorRegistry
    ) -> None:
        metrics = LiveMetrics(registry)
        listings = Listings(database, catalogue)
        hub = Hub(database, metrics)
        self._listener = LiveListener(database, hub, metrics, listings.forget)
        self.clients = Clients(
            Services(hub, listings, metrics, clock),
            limit=settings.ws_max_connections,
            outbox_bytes=settings.ws_max_outbox_bytes,
            heartbeat_s=settings.ws_heartbeat_s,
        )

    async def run(self) -> None:
        """Listen and send heartbeats, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listener.run())
            tasks.create_task(self.clients.beat())
