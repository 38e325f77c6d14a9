"""Health: does the process run, and does the table answer?"""

from __future__ import annotations

from flask import Blueprint

from api.store import get_store

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """The load balancer asks here. The table is left out on purpose: replacing the tasks would not bring it back."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> dict[str, str]:
    """The table answers, or the error handler says 503 and why."""
    get_store().probe()
    return {"status": "ok"}
