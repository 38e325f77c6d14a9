"""What the browser may do with the page, and whose forms are taken."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask
from flask import Response
from flask import abort
from flask import request

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer": with that a browser sends "Origin: null" with this page's own forms too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def init_app(app: Flask) -> None:
    """Guard every request and every response."""
    app.before_request(refuse_cross_site)
    app.after_request(add_headers)


def refuse_cross_site() -> None:
    """Refuse a form that another site sent with the user's browser.

    A browser says where a form comes from: by Sec-Fetch-Site over HTTPS, and by Origin over plain HTTP as well. What sends neither is
    not a browser (curl, Ansible) and cannot be lured. There is no session, so a token would have nothing to hang on.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    # Only the host: behind a load balancer that ends TLS the scheme here differs from the browser's.
    allowed = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).netloc == request.host
    if not allowed:
        abort(403, "This form was sent from another site. Open this site itself and try again.")


def add_headers(response: Response) -> Response:
    """Add the security headers, and keep pages, which age at once, out of caches."""
    response.headers.update(_HEADERS)
    if not response.cache_control.max_age:
        response.cache_control.no_store = True
    return response
