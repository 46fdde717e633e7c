"""`/binance/dumps/data/…zip` and `….zip.CHECKSUM`. Belongs here: HTTP. Does not: files (archive.py).

    reissued        as it is after a correction: other bytes, and a checksum that fits them
    wrong_checksum  a .CHECKSUM that does not hold
    cut_zip         half a zip, with a checksum that fits it

A rule of these kinds (faults.py) spoils a request; let it match both of a file's paths, and often enough, for a lasting change.
"""

from __future__ import annotations

import anyio.to_thread
import orjson
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from market_platform.replay.faults import FaultKind
from market_platform.replay.live.binance_dumps.addresses import Address, address_of
from market_platform.replay.live.binance_dumps.archive import Archive, checksum, cut, wrong
from market_platform.replay.live.world import World
from market_platform.replay.middleware import ARCHIVE_FLAG

_MAKERS = 2
_CHECKSUM = ".CHECKSUM"


class BinanceDumps:
    """The endpoint."""

    def __init__(self, world: World) -> None:
        self._archive = Archive(world)
        self._makers = CapacityLimiter(_MAKERS)

    def routes(self, root: str) -> list[Route]:
        """Where it is."""
        return [Route(f"{root}/{{path:path}}", self._answer)]

    async def _answer(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        address = address_of(path.removesuffix(_CHECKSUM))
        if address is None or not self._archive.has(address):
            return Response(orjson.dumps({"error": f"no such file: {path}"}), 404, media_type="application/json")
        fault = request.scope.get("state", {}).get(ARCHIVE_FLAG)
        told = path.endswith(_CHECKSUM)
        body = await anyio.to_thread.run_sync(self._made, address, told, fault, limiter=self._makers)
        return Response(body, media_type="text/plain" if told else "application/zip")

    def _made(self, address: Address, told: bool, fault: FaultKind | None) -> bytes:  # noqa: FBT001 - run in a thread
        packed = self._archive.zip(address, reissued=fault is FaultKind.REISSUED)
        if fault is FaultKind.CUT_ZIP:
            packed = cut(packed)
        if not told:
            return packed
        line = checksum(address, packed)
        return wrong(line) if fault is FaultKind.WRONG_CHECKSUM else line
