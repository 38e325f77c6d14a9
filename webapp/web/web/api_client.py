"""The api tier, as this tier sees it. Only this module speaks to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import urllib3
from common.request_log import HEADER
from flask import Flask
from flask import current_app
from flask import g

# The api gives up on DynamoDB within 9 s and then says why: wait for that.
_TIMEOUT = urllib3.Timeout(connect=1, read=10)
# Once more after a broken connection, never after an answer. urllib3 repeats only what does no harm twice: a POST only when no
# connection came about, so that it was never sent.
_RETRIES = urllib3.Retry(total=1, respect_retry_after_header=False)


class ApiUnavailable(Exception):
    """The api does not answer, or not as it should. The message is fit for the page."""


class ApiRefused(Exception):
    """The api refuses what the user entered. The message is the api's and says what is allowed."""


class ApiClient:
    """The calls of the api, over a pool of connections that all requests share."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = urllib3.PoolManager(maxsize=8, timeout=_TIMEOUT, retries=_RETRIES)

    def list_items(self, cursor: str | None) -> dict[str, Any]:
        """Return one page of items with the cursors of the pages beside it."""
        return self._call("GET", "/items", fields={"cursor": cursor} if cursor else {})

    def add_item(self, text: str) -> None:
        """Add an item."""
        self._call("POST", "/items", json={"text": text})

    def delete_item(self, item_id: str) -> None:
        """Delete an item."""
        self._call("DELETE", f"/items/{quote(item_id, safe='')}")

    def probe(self) -> None:
        """Fail unless the api is ready."""
        self._call("GET", "/readyz")

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, self._url + path, headers={HEADER: g.request_id}, redirect=False, **arguments)
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnavailable("The api tier does not answer. Try again in a moment.") from error
        try:
            body = response.json() if response.data else {}
            message = body.get("error")
        except (ValueError, AttributeError):  # not the api's JSON: a load balancer's own page
            body = message = None
        if response.status in (400, 413) and message:
            raise ApiRefused(message)
        if response.status >= 300 or body is None:
            raise ApiUnavailable(message or f"The api tier answers with status {response.status}. Try again in a moment.")
        return body


def init_app(app: Flask) -> None:
    """Give the application its client."""
    app.extensions["api_client"] = ApiClient(app.config["API_URL"])


def get_api() -> ApiClient:
    """Return the client of the current application."""
    return current_app.extensions["api_client"]
