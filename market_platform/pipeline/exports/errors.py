"""What goes wrong with an export and not with a database or an argument.

MarketPlatformError
└── ExportError          the export was not made, or is not what its JSON says
    └── LeakageError     a row would hold something that was known later than its close
"""

from __future__ import annotations

from market_platform.domain.errors import MarketPlatformError


class ExportError(MarketPlatformError):
    """An export was not made, or a file is not what its JSON says."""


class LeakageError(ExportError):
    """A row would hold what nobody knew yet when its candle closed."""
