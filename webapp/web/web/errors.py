"""Errors as pages that say what happened and where to go."""

from __future__ import annotations

from flask import Flask
from flask import Response
from flask import current_app
from flask import render_template
from werkzeug.exceptions import HTTPException

from web.api_client import ApiRefused
from web.api_client import ApiUnavailable


def init_app(app: Flask) -> None:
    """Show every error as a page of this site."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(ApiRefused, api_refused)
    app.register_error_handler(ApiUnavailable, api_unavailable)


def http_error(error: HTTPException) -> Response:
    """Keep status and headers of the error (such as Allow) and replace its page."""
    response = error.get_response()
    response.data = render_template("error.html", title=error.name, message=error.description)
    return response


def api_refused(error: ApiRefused) -> tuple[str, int]:
    """Pass on what the api says about the user's input."""
    return render_template("error.html", title="This cannot be done", message=error), 400


def api_unavailable(error: ApiUnavailable) -> tuple[str, int, dict[str, str]]:
    """Ask the user to come back, and tell the operator why."""
    current_app.logger.error("%s", error, exc_info=error)
    page = render_template("error.html", title="The items are out of reach just now", message=error)
    return page, 503, {"Retry-After": "5"}
