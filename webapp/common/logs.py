"""The log: one JSON object a line on standard output, whoever writes it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC
from datetime import datetime

from flask import g
from flask import has_app_context
from gunicorn.glogging import Logger


class JsonFormatter(logging.Formatter):
    """Makes one line of a record, its traceback included. C(extra={"fields": {...}}) adds fields of one's own."""

    def __init__(self, tier: str) -> None:
        super().__init__()
        self._tier = tier

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object; within a request it carries the request's id."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "tier": self._tier,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_app_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(tier: str) -> None:
    """Send all that this process logs, warnings included, to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(tier))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)


class GunicornLogger(Logger):
    """Hands gunicorn's own messages on to the handler above."""

    def setup(self, cfg) -> None:
        super().setup(cfg)
        self.error_log.propagate = True
