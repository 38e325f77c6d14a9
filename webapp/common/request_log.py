"""Request ids and the line that is logged for each request."""

from __future__ import annotations

import re
import time
import uuid

from flask import Flask
from flask import Response
from flask import g
from flask import request

HEADER = "X-Request-Id"
# What a caller may choose: long enough for every usual scheme, and nothing that could break a log or a header.
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Give every request of the application an id, and log it when it is answered."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SANE.fullmatch(given) else uuid.uuid4().hex
        g.started = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        # Load balancer and container ask for their health all the time: that would bury everything else.
        if request.path != "/healthz":
            fields = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - g.started) * 1000, 1),
            }
            app.logger.info("request", extra={"fields": fields})
        return response
