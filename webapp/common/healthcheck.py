"""Asks the gunicorn of this container whether it answers."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection


def main() -> int:
    """Return the exit code that the container's health check wants: 0 when /healthz answers with 200, otherwise 1."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8080")), timeout=3)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except OSError as error:
        print(f"/healthz does not answer: {error}", file=sys.stderr)
        return 1
    return 0 if status == 200 else 1
