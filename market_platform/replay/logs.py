"""Log lines of the replay exchange's process, on standard error: JSON, or for people when that is a terminal.

Belongs here: how lines are written. Does not: what is logged. Requests are not logged; `/_requests` counts them.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor


def configure_logs(level: str, log_format: Literal["auto", "console", "json"]) -> None:
    """Set up structlog for this process."""
    terminal = sys.stderr.isatty()
    for_people = log_format == "console" or (log_format == "auto" and terminal)
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=terminal) if for_people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
