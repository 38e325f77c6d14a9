"""The page: look at the items, add one, delete one. It works without JavaScript."""

from __future__ import annotations

from flask import Blueprint
from flask import redirect
from flask import render_template
from flask import request
from flask import url_for
from werkzeug.wrappers import Response

from web.api_client import ApiRefused
from web.api_client import get_api

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """Show one page of items, the newest unless the cursor says otherwise."""
    return render_template("index.html", page=get_api().list_items(request.args.get("cursor")))


@blueprint.post("/items")
def add_item() -> Response | tuple[str, int]:
    """Add the item of the form, or show the form again with what is wrong with it."""
    text = request.form.get("text", "")
    try:
        get_api().add_item(text)
    except ApiRefused as error:
        return render_template("index.html", page=get_api().list_items(None), text=text, error=error), 400
    return redirect(url_for(".index"), 303)


@blueprint.post("/items/<item_id>/delete")
def delete_item(item_id: str) -> Response:
    """Delete the item of the button."""
    get_api().delete_item(item_id)
    return redirect(url_for(".index"), 303)
