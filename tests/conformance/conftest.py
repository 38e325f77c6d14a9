"""The endpoint that the suite runs against: the emulator, or what C(--bare-moto) or C(--endpoint) names.

A test module that needs an emulator of its own says with which options: C(EMULATOR = ["--time-scale", "0.02"]).
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config

from support import CREDENTIALS, REGION, emulator

READY_SECONDS = 20
RESULTS: pytest.StashKey[dict[str, dict[str, Any]]] = pytest.StashKey()
# The emulator sets the same, so that moto fails where it lacks the rule, not for want of data.
MOTO_SETTINGS = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "MOTO_ENABLE_AMI_VALIDATION": "true"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the suite; they must be named together with this directory."""
    group = parser.getgroup("conformance")
    group.addoption("--bare-moto", action="store_true", help="run tests/conformance against moto's own server")
    group.addoption("--endpoint", metavar="URL", help="run tests/conformance against another emulator")
    group.addoption("--reset-path", default="/moto-api/reset", help="what to POST to --endpoint for a fresh account (default: %(default)s)")
    group.addoption(
        "--results", metavar="FILE", type=Path, help="write what became of each test of tests/conformance to this file, as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the suite's mark."""
    config.addinivalue_line("markers", "conforms(url): the AWS document that the test follows")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Keep what table.py wants to know of a test: its document, whether it passed, and the last line of its error."""
    report = yield
    if report.when == "call" or report.failed:
        mark = item.get_closest_marker("conforms")
        results = item.config.stash.setdefault(RESULTS, {})
        name = item.nodeid.rpartition("conformance/")[2].partition("[")[0]  # without its parameters
        known = results.get(name, {"passed": True, "error": ""})
        error = str(call.excinfo.value).splitlines()[0][:300] if call.excinfo and str(call.excinfo.value) else ""
        results[name] = {
            "document": mark.args[0] if mark else None,
            "passed": report.passed and known["passed"],
            "error": known["error"] or error,
        }
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the results, if asked for."""
    if path := session.config.getoption("--results", default=None):
        path.write_text(json.dumps(session.config.stash.get(RESULTS, {}), indent=1))


@contextmanager
def bare_moto() -> Iterator[str]:
    """URL of moto's own server; it is gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | MOTO_SETTINGS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and process.poll() is None, "moto_server did not start"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def session_endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL that all modules share which need no emulator of their own."""
    if url := request.config.getoption("--endpoint", default=None):
        yield url
    elif request.config.getoption("--bare-moto", default=False):
        with bare_moto() as url:
            yield url
    else:
        with emulator(tmp_path_factory.mktemp("conformance") / "requests.jsonl") as url:
            yield url


@pytest.fixture(scope="module")
def request_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The request log of a module with an emulator of its own; there is no such file anywhere else."""
    return tmp_path_factory.mktemp("conformance") / "requests.jsonl"


@pytest.fixture(scope="module")
def endpoint(request: pytest.FixtureRequest, session_endpoint: str, request_log: Path) -> Iterator[str]:
    """URL of a fresh account."""
    options = getattr(request.module, "EMULATOR", None)
    elsewhere = request.config.getoption("--bare-moto", default=False) or request.config.getoption("--endpoint", default=None)
    if options and not elsewhere:
        with emulator(request_log, *options) as url:
            yield url
    else:
        path = request.config.getoption("--reset-path", default="/moto-api/reset")
        urlopen(Request(session_endpoint + path, method="POST")).close()
        yield session_endpoint


@pytest.fixture
def aws(endpoint: str) -> Callable[..., Any]:
    """Makes boto3 clients that neither validate nor retry; takes other credentials or regions too."""

    @functools.cache
    def client(service: str, **options: Any) -> Any:
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        usual = {"region_name": REGION, **{name.lower(): value for name, value in CREDENTIALS.items()}}
        return boto3.client(service, endpoint_url=endpoint, config=config, **usual | options)

    return client
