"""The private tier: a JSON API on the items in DynamoDB."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from common import request_log
from flask import Flask

from api import errors
from api import health
from api import items
from api import store


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application; its configuration comes from the environment, a test may give its own."""
    app = Flask(__name__)
    # 500 characters of JSON take 6 KB at most; anything much larger is not an item.
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024
    app.config.from_mapping({name: os.environ.get(name) for name in ("TABLE_NAME", "AWS_REGION")})
    app.config.from_mapping(config)
    for name, meaning in {"TABLE_NAME": "the DynamoDB table of the items", "AWS_REGION": "the region of that table"}.items():
        if not app.config[name]:
            raise RuntimeError(f"The environment variable {name} is not set. Set it to {meaning}.")

    request_log.init_app(app)
    errors.init_app(app)
    store.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(items.blueprint)
    return app
