"""Finds the application's packages as gunicorn does, and runs a tier under the real gunicorn."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WEBAPP = Path(__file__).parents[2] / "webapp"
sys.path += [str(WEBAPP / "web"), str(WEBAPP / "api"), str(WEBAPP)]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fails after 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class Gunicorn:
    """One tier in a process of its own, started as its container starts it."""

    def __init__(self, tier: str, home: Path, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "error",
            **environment,
        }
        self.cwd = WEBAPP / tier
        self.stdout, self.stderr = home.parent / "stdout", home.parent / "stderr"
        command = [sys.executable, "-m", "gunicorn", f"{tier}:create_app()"]
        with self.stdout.open("w") as stdout, self.stderr.open("w") as stderr:
            self.process = subprocess.Popen(command, cwd=self.cwd, env=self.environment, stdout=stdout, stderr=stderr)

    def wait_until_it_answers(self) -> None:
        """Return once /healthz answers."""
        wait_until(lambda: self.process.poll() is not None or self._answers())
        assert self.process.poll() is None, f"gunicorn has ended: {self.stderr.read_text()}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz"):
                return True
        except urllib.error.URLError:
            return False

    def lines(self) -> list[dict[str, Any]]:
        """Return the log; fails unless every line of it is a JSON object."""
        return [json.loads(line) for line in self.stdout.read_text().splitlines()]

    def wait_until_it_logs(self, message: str) -> None:
        """Return once a line of the log contains the message."""
        wait_until(lambda: message in self.stdout.read_text())

    def stop(self) -> int:
        """Ask the process to end, as ECS does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=20)


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Callable[..., Gunicorn]]:
    """Starts a tier: C(gunicorn("web", API_URL=...)). All are stopped when the test ends."""
    started: list[Gunicorn] = []

    def start(tier: str, **environment: str) -> Gunicorn:
        home = tmp_path / tier / "home"
        home.mkdir(parents=True)
        started.append(Gunicorn(tier, home, **environment))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()
