"""Both tiers as they run in their containers: the task definition's commands, gunicorn, and an AWS behind them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from http.server import HTTPServer
from pathlib import Path
from threading import Event
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.filterwarnings("error")

WEBAPP = Path(__file__).parents[2] / "webapp"
REQUEST_LINE = {"time", "level", "tier", "logger", "message", "request_id", "method", "path", "status", "duration_ms"}


@pytest.fixture
def moto() -> Iterator[dict[str, str]]:
    """An AWS with the table of the items, as the environment that leads to it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client(
        "dynamodb", endpoint_url=f"http://{host}:{port}", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    ).create_table(
        TableName="demo-items",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "list", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("list", "id")],
    )
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TABLE_NAME": "demo-items",
    }
    server.stop()


def test_an_item_goes_through_both_tiers_and_its_request_id_through_both_logs(moto: dict[str, str], gunicorn: Callable[..., Any]) -> None:
    api = gunicorn("api", **moto)
    web = gunicorn("web", API_URL=api.url, STACK_NAME="shop")
    for server in (api, web):
        server.wait_until_it_answers()

    # A redirect is followed by a GET with the same headers: one id for three requests to each tier.
    headers = {"X-Request-Id": "one-id-for-all"}
    form = urllib.parse.urlencode({"text": "<b>Bread & milk</b>"}).encode()
    page = ask(urllib.request.Request(f"{web.url}/items", data=form, headers=headers))
    assert "&lt;b&gt;Bread &amp; milk&lt;/b&gt;" in page
    [item_id] = re.findall('data-item-id="([^"]+)"', page)
    page = ask(urllib.request.Request(f"{web.url}/items/{item_id}/delete", data=b"", headers=headers))
    assert "data-item-id" not in page
    assert json.loads(ask(f"{web.url}/readyz")) == {"status": "ok"}

    for server in (api, web):
        assert server.stop() == 0
        assert server.stderr.read_text() == ""
        assert not list(server.home.iterdir()), "the root file system is read-only, and so is the home directory"
    assert traced(web) == [
        ("POST", "/items", 303),
        ("GET", "/", 200),
        ("POST", f"/items/{item_id}/delete", 303),
        ("GET", "/", 200),
    ]
    assert traced(api) == [
        ("POST", "/items", 201),
        ("GET", "/items", 200),
        ("DELETE", f"/items/{item_id}", 204),
        ("GET", "/items", 200),
    ]


def ask(request: urllib.request.Request | str) -> str:
    """Return what is answered."""
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def traced(server: Any) -> list[tuple[str, str, int]]:
    """Return the requests that carried the test's id, and check every line of the log on the way."""
    lines = server.lines()
    requests = [line for line in lines if line["message"] == "request"]
    assert all(line.keys() == REQUEST_LINE for line in requests)
    assert {line["tier"] for line in lines} == {server.cwd.name}
    assert "gunicorn.error" in {line["logger"] for line in lines}
    assert "/healthz" not in server.stdout.read_text()
    return [(line["method"], line["path"], line["status"]) for line in requests if line["request_id"] == "one-id-for-all"]


@pytest.fixture
def slow_api() -> Any:
    """An api that takes a request and answers when the test says so."""
    asked, answer_now = Event(), Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            answer_now.wait(10)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"items": []}')

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked, answer_now
        answer_now.set()
        server.shutdown()
        thread.join()


def test_sigterm_lets_a_slow_request_finish(slow_api: Any, gunicorn: Callable[..., Any]) -> None:
    url, asked, answer_now = slow_api
    web = gunicorn("web", API_URL=url)
    web.wait_until_it_answers()
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(ask, web.url)
        assert asked.wait(10)
        web.process.terminate()
        web.wait_until_it_logs("Worker exiting")  # the idle worker; the other one is busy
        answer_now.set()
        assert "There are no items here." in page.result(timeout=10)
    assert web.process.wait(timeout=10) == 0


def test_the_container_health_check_tells_a_running_tier_from_a_dead_one(gunicorn: Callable[..., Any]) -> None:
    web = gunicorn("web", API_URL="http://127.0.0.1:9")
    web.wait_until_it_answers()

    def check() -> int:
        return subprocess.run([sys.executable, "-m", "healthcheck"], cwd=web.cwd, env=web.environment, stderr=subprocess.DEVNULL).returncode

    assert check() == 0
    web.stop()
    assert check() == 1


@pytest.mark.parametrize("tier", ["api", "web"])
def test_an_image_holds_the_versions_that_are_tested(tier: str) -> None:
    def pinned(path: Path) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[^\s;]+", path.read_text(), re.MULTILINE))

    assert pinned(WEBAPP / tier / "requirements.txt") <= pinned(WEBAPP.parent / "requirements.txt")


def test_a_tier_that_cannot_start_says_why_in_json(gunicorn: Callable[..., Any]) -> None:
    api = gunicorn("api", TABLE_NAME="")
    assert api.process.wait(timeout=20) != 0
    assert any("TABLE_NAME is not set" in line.get("traceback", "") for line in api.lines())


def test_an_error_of_the_application_is_one_line_with_its_traceback(gunicorn: Callable[..., Any]) -> None:
    web = gunicorn("web", API_URL="http://127.0.0.1:9")
    web.wait_until_it_answers()
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        ask(urllib.request.Request(web.url, headers={"X-Request-Id": "lost"}))
    refused.value.close()
    web.stop()
    [error] = [line for line in web.lines() if line["level"] == "error"]
    assert (error["request_id"], error["message"]) == ("lost", "The api tier does not answer. Try again in a moment.")
    assert "ApiUnavailable" in error["traceback"]
