"""Health: does the process run, and does the api answer?"""

from __future__ import annotations

from flask import Blueprint

from web.api_client import ApiUnavailable
from web.api_client import get_api

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """The load balancer asks here. The api is left out on purpose: replacing these tasks would not bring it back."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> dict[str, str] | tuple[dict[str, str], int]:
    """Say whether the api is ready, which in turn asks its table."""
    try:
        get_api().probe()
    except ApiUnavailable as error:
        return {"error": str(error)}, 503
    return {"status": "ok"}
