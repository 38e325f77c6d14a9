"""Every error is answered as C({"error": "what is wrong and what to do"})."""

from __future__ import annotations

from flask import Flask
from flask import Response
from flask import current_app
from flask import jsonify
from werkzeug.exceptions import HTTPException

from api.store import TableUnavailable


def init_app(app: Flask) -> None:
    """Answer errors as JSON, those of Flask itself included."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(TableUnavailable, table_unavailable)


def http_error(error: HTTPException) -> Response:
    """Keep status and headers of the error (such as Allow) and replace its HTML page."""
    response = error.get_response()
    response.data = jsonify(error=error.description).data
    response.content_type = "application/json"
    return response


def table_unavailable(error: TableUnavailable) -> tuple[dict[str, str], int, dict[str, str]]:
    """Ask the caller to come back, and tell the operator why."""
    current_app.logger.error("The table cannot be used: %s", error.code, exc_info=error, extra={"fields": {"error_code": error.code}})
    return {"error": f"The database cannot be used just now ({error.code}). Try again in a moment."}, 503, {"Retry-After": "5"}
