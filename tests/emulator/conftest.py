"""An emulator whose only image is a page server, and a small stack on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from service_stack import Emulator, Stack, make_stack
from support import ROOT

# It ends at once on SIGTERM: if no request is cut, then because none was under way any more.
PAGE_SERVER = '''
import http.server, os, time


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.5)
        body = f"{os.environ['VERSION']} {os.getpid()}".encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page)
print("page server", os.environ["VERSION"], sorted(os.environ), flush=True)
server.serve_forever()
'''


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of images with one image, C(page)."""
    directory = tmp_path_factory.mktemp("images")
    (directory / "page").mkdir()
    (directory / "page" / "serve.py").write_text(PAGE_SERVER)
    (directory / "page" / "Containerfile").write_text('FROM python\nENV COLOUR=blue\nCMD ["python", "-B", "serve.py"]\n')
    return directory


@pytest.fixture(scope="session")
def start_emulator(images: Path) -> Callable[[Path], Emulator]:
    """Starts an emulator; whoever calls ends it."""

    def start(request_log: Path) -> Emulator:
        command = [sys.executable, "-m", "emulator", "--port", "0", "--request-log", request_log, "--images", images]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        with process.stdout:  # it says one line, and no more
            return Emulator(process, process.stdout.readline().removeprefix("ready: ").strip(), request_log)

    return start


@pytest.fixture(scope="session")
def emulator(start_emulator: Callable[[Path], Emulator], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator of the session."""
    running = start_emulator(tmp_path_factory.mktemp("emulator") / "requests.jsonl")
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0


@pytest.fixture
def aws(emulator: Emulator) -> Callable[[str], Any]:
    """Makes boto3 clients of the emulator."""
    return emulator.client


@pytest.fixture
def stack(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack named after the test."""
    made = make_stack(aws, request.node.name.removeprefix("test_").replace("_", "-")[:30].strip("-"))
    yield made
    made.remove()
