"""The web tier against a stub of the api."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import web
from flask import Flask
from flask.testing import FlaskClient

pytestmark = pytest.mark.filterwarnings("error")

ITEM = {"id": "0001-a", "text": "Buy milk", "created_at": "2026-01-02T03:04:05.678+00:00"}


class StubApi(ThreadingHTTPServer):
    """Answers what the test says, and notes what it is asked. An answer of None is a broken connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls: list[tuple[str, str, Any]] = []
        self.headers: dict[str, str] = {}
        page = {"items": [ITEM], "next_cursor": None, "previous_cursor": None}
        self.answers: dict[str, tuple[int, Any] | None] = {"GET": (200, page), "POST": (201, ITEM), "DELETE": (204, None)}


class StubHandler(BaseHTTPRequestHandler):
    """One request to the stub."""

    server: StubApi

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.command, self.path, json.loads(body) if body else None))
        self.server.headers = dict(self.headers)
        answer = self.server.answers[self.command]
        if answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, content = answer
        content = content if isinstance(content, bytes) else json.dumps(content).encode() if content is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "60")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stub() -> Iterator[StubApi]:
    with StubApi() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def app(stub: StubApi) -> Iterator[Flask]:
    app = web.create_app({"API_URL": stub.url + "/", "STACK_NAME": "shop"})
    yield app
    app.extensions["api_client"]._http.clear()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_the_page_shows_the_items_and_the_name_of_the_stack(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>shop</title>" in page.text
    assert 'data-item-id="0001-a"' in page.text
    assert "Buy milk" in page.text
    assert "2026-01-02 03:04 UTC" in page.text


def test_an_item_without_a_time_is_shown(client: FlaskClient, stub: StubApi) -> None:
    stub.answers["GET"] = (200, {"items": [ITEM | {"created_at": None}]})
    assert "Buy milk" in client.get("/").text


@pytest.mark.parametrize("field", ["id", "text", "created_at"])
def test_what_a_user_stored_never_becomes_markup(client: FlaskClient, stub: StubApi, field: str) -> None:
    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append((tag, [name for name, _ in attributes]))

    found: list[tuple[str, list[str]]] = []
    Elements().feed(client.get("/").text)
    harmless, found = found, []
    stub.answers["GET"] = (200, {"items": [ITEM | {field: """"><script>alert(1)</script><img src=x onerror='alert(1)'>"""}]})
    Elements().feed(client.get("/").text)
    assert found == harmless


def test_the_form_adds_and_the_button_deletes(client: FlaskClient, stub: StubApi) -> None:
    page = client.get("/").text
    for action, data in {"/items": {"text": "Buy bread"}, "/items/0001-a/delete": {}}.items():
        assert f'method="post" action="{action}"' in page
        answer = client.post(action, data=data)
        assert (answer.status_code, answer.location) == (303, "/")
    assert stub.calls[1:] == [("POST", "/items", {"text": "Buy bread"}), ("DELETE", "/items/0001-a", None)]


def test_an_id_cannot_reach_another_path_of_the_api(client: FlaskClient, stub: StubApi) -> None:
    client.post("/items/a?b%23c%25/delete")
    client.post("/items/a%3Fb%23c%25 d/delete")
    assert stub.calls == [("DELETE", "/items/a%3Fb%23c%25%20d", None)]


def test_a_refused_text_is_shown_with_the_reason_and_the_text(client: FlaskClient, stub: StubApi) -> None:
    stub.answers["POST"] = (400, {"error": "The text must have 1 to 500 characters."})
    answer = client.post("/items", data={"text": '"quoted"'})
    assert answer.status_code == 400
    assert 'role="alert">The text must have 1 to 500 characters.' in answer.text
    assert 'value="&#34;quoted&#34;"' in answer.text
    assert 'data-item-id="0001-a"' in answer.text


def test_the_pages_beside_are_linked_by_their_cursors(client: FlaskClient, stub: StubApi) -> None:
    assert "<nav" not in client.get("/").text
    stub.answers["GET"] = (200, {"items": [ITEM], "next_cursor": "o&1", "previous_cursor": "n&1"})
    page = client.get("/?cursor=c%261")
    assert stub.calls[-1][1] == "/items?cursor=c%261"
    assert re.findall('rel="(prev|next)" href="([^"]+)"', page.text) == [("prev", "/?cursor=n%261"), ("next", "/?cursor=o%261")]


def test_a_bad_cursor_is_the_users_error(client: FlaskClient, stub: StubApi) -> None:
    stub.answers["GET"] = (400, {"error": "cursor must be a cursor"})
    answer = client.get("/?cursor=x")
    assert (answer.status_code, "cursor must be a cursor" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "does not answer"),
        ((502, b"<html>Bad Gateway</html>"), "answers with status 502"),
        ((200, b"<html>Some other site</html>"), "answers with status 200"),
        ((404, {"error": "Not this way"}), "Not this way"),
        ((503, {"error": "The database cannot be used just now (ThrottlingException)."}), "ThrottlingException"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_api_that_fails_makes_a_503_that_says_so(client: FlaskClient, stub: StubApi, method: str, answer: Any, words: str) -> None:
    stub.answers[method] = answer
    page = client.open("/" if method == "GET" else "/items", method=method)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert words in page.text
    assert "<h1>" in page.text


def test_a_broken_connection_repeats_what_is_safe_and_never_an_addition(client: FlaskClient, stub: StubApi) -> None:
    stub.answers = dict.fromkeys(("GET", "POST", "DELETE"))
    client.get("/")
    client.post("/items", data={"text": "one"})
    client.post("/items/0001-a/delete")
    assert [method for method, _, _ in stub.calls] == ["GET", "GET", "POST", "DELETE", "DELETE"]


def test_health_does_not_ask_the_api_and_readiness_does(client: FlaskClient, stub: StubApi) -> None:
    assert (client.get("/healthz").status_code, stub.calls) == (200, [])
    assert client.get("/readyz").status_code == 200
    assert stub.calls == [("GET", "/readyz", None)]
    stub.answers["GET"] = (503, {"error": "The database cannot be used just now."})
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"error": "The database cannot be used just now."})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),  # curl, Ansible
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://shop.example"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://other.example"}, 403),
        ({"Origin": "http://shop.example"}, 303),
        ({"Origin": "https://shop.example"}, 303),  # TLS ends at the load balancer
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://shop.example.evil.example"}, 403),
        ({"Origin": "http://shop.example:8080"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/items", "/items/0001-a/delete"])
def test_forms_of_other_sites_are_refused(client: FlaskClient, stub: StubApi, path: str, headers: dict[str, str], status: int) -> None:
    answer = client.post(path, data={"text": "one"}, headers={"Host": "shop.example"} | headers)
    assert (answer.status_code, len(stub.calls)) == (status, 1 if status == 303 else 0)


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/style.css"])
def test_every_response_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == ("public, max-age=3600" if path.startswith("/static") else "no-store")


def test_the_page_needs_nothing_that_its_policy_forbids(client: FlaskClient) -> None:
    page = client.get("/").text
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|//", page.replace("<!doctype html>", ""))
    for path in re.findall(r'<link [^>]*href="([^"]+)"', page):
        with client.get(path) as answer:
            assert answer.status_code == 200


def test_a_form_that_is_too_large_is_refused(client: FlaskClient, stub: StubApi) -> None:
    assert client.post("/items", data={"text": "x" * 20_000}).status_code == 413
    assert stub.calls == []


def test_a_missing_api_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_URL", raising=False)
    with pytest.raises(RuntimeError, match="API_URL is not set"):
        web.create_app()


def test_a_sane_request_id_is_kept_passed_on_and_returned(client: FlaskClient, stub: StubApi) -> None:
    answer = client.get("/", headers={"X-Request-Id": "abc-1"})
    assert (answer.headers["X-Request-Id"], stub.headers["X-Request-Id"]) == ("abc-1", "abc-1")


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "ä", '"}{"'])
def test_any_other_request_id_is_replaced(client: FlaskClient, stub: StubApi, sent: str) -> None:
    answer = client.get("/", headers={"X-Request-Id": sent})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert stub.headers["X-Request-Id"] == answer.headers["X-Request-Id"]
