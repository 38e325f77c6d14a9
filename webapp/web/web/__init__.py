"""The public tier: one page on the items of the api tier."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from common import request_log
from flask import Flask

from web import api_client
from web import errors
from web import health
from web import pages
from web import security


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application; its configuration comes from the environment, a test may give its own."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024  # the api's own limit, more than any item takes
    # Without a lifetime a browser asks again for the style sheet with each page, and the answers 304 ring the alarm on redirects.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.config.from_mapping(API_URL=os.environ.get("API_URL"), STACK_NAME=os.environ.get("STACK_NAME", "threetier"))
    app.config.from_mapping(config)
    if not app.config["API_URL"]:
        raise RuntimeError("The environment variable API_URL is not set. Set it to the base URL of the api tier, such as http://api:8080.")

    request_log.init_app(app)
    security.init_app(app)
    errors.init_app(app)
    api_client.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    return app
