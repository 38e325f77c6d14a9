"""/items: list, add, delete."""

from __future__ import annotations

import base64
import re
from typing import Any

from flask import Blueprint
from flask import abort
from flask import request
from werkzeug.exceptions import BadRequest
from werkzeug.exceptions import RequestEntityTooLarge

from api.store import MAX_ID_BYTES
from api.store import get_store

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_TEXT = 500

blueprint = Blueprint("items", __name__, url_prefix="/items")


@blueprint.get("")
def list_items() -> dict[str, Any]:
    """Return one page, newest first, and the cursors of the pages beside it."""
    page = get_store().page(_limit(), **_start())
    return {
        "items": page.items,
        "next_cursor": page.older_than and _cursor("older_than", page.older_than),
        "previous_cursor": page.newer_than and _cursor("newer_than", page.newer_than),
    }


@blueprint.post("")
def add_item() -> tuple[dict[str, Any], int]:
    """Add an item and return it."""
    return get_store().add(_text()), 201


@blueprint.delete("/<item_id>")
def delete_item(item_id: str) -> tuple[str, int]:
    """Delete an item. What cannot be a key cannot be in the table either, and is not asked for."""
    if len(item_id.encode()) <= MAX_ID_BYTES:
        get_store().delete(item_id)
    return "", 204


def _limit() -> int:
    limit = request.args.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= MAX_LIMIT:
        abort(400, f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(limit)


def _text() -> str:
    if not request.is_json:
        abort(415, 'Send JSON, with the header "Content-Type: application/json".')
    try:
        body = request.get_json()
    except RequestEntityTooLarge:
        abort(413, f"The body is too large; a text may have at most {MAX_TEXT} characters.")
    except BadRequest:
        body = None
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        abort(400, 'The body must be a JSON object with a string "text", such as {"text": "Buy milk"}.')
    text = text.strip()
    if not 1 <= len(text) <= MAX_TEXT:
        abort(400, f"The text must have 1 to {MAX_TEXT} characters, not counting white space around it; this one has {len(text)}.")
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: JSON can say it, DynamoDB cannot store it
        abort(400, "The text must be valid Unicode.")
    return text


def _cursor(direction: str, item_id: str) -> str:
    """Pack the place in the list where a page begins: C(older_than) or C(newer_than) an item."""
    return base64.urlsafe_b64encode(f"{direction}={item_id}".encode()).decode().rstrip("=")


def _start() -> dict[str, str]:
    """Unpack the request's cursor into the store's own argument."""
    cursor = request.args.get("cursor")
    if cursor is None:
        return {}
    try:
        direction, _, item_id = base64.urlsafe_b64decode(cursor + "==").decode().partition("=")
    except ValueError:
        direction = item_id = ""
    # Packed again it must be the same: base64 has more than one way to say a thing, and its decoder skips what it does not know.
    intact = cursor == _cursor(direction, item_id)
    if not (intact and direction in ("older_than", "newer_than") and 1 <= len(item_id.encode()) <= MAX_ID_BYTES):
        abort(400, "cursor must be the next_cursor or previous_cursor of an earlier answer; leave it out to begin with the newest items.")
    return {direction: item_id}
