"""Container health checks: a command in the container's own environment, run again and again.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emulator.processes import ContainerProcess

FIRST_INTERVAL = 1.0  # seconds between two checks until one passes: whoever waits for a deployment shall not wait for the check
DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}


class HealthCheck:
    """The health check of one container. C(status) is UNKNOWN, HEALTHY or UNHEALTHY, as DescribeTasks tells it."""

    def __init__(self, definition: dict[str, Any], run: Callable[[list[str]], ContainerProcess]) -> None:
        """C(run) starts a command in the container and returns its process; it may raise OSError."""
        kind, *command = definition["command"]
        self.status = "UNKNOWN"
        self._command = ["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command
        self._run = run
        times = {**DEFAULTS, **definition}
        self._interval, self._timeout, self._retries = float(times["interval"]), float(times["timeout"]), int(times["retries"])
        self._failures = 0
        self._process: ContainerProcess | None = None
        self._next = self._began = time.monotonic()
        self._patient_until = self._began + float(times["startPeriod"])

    def turn(self) -> None:
        """Begin a check, or look how the one under way goes. Never waits."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next:
                self._next, self._began = now + (FIRST_INTERVAL if self.status == "UNKNOWN" else self._interval), now
                try:
                    self._process = self._run(self._command)
                except OSError:
                    self._count(passed=False)
            return
        if self._process.exit_code is not None:
            self._count(passed=self._process.exit_code == 0)
            self._process = None
        elif now > self._began + self._timeout:
            self.close()
            self._count(passed=False)

    def close(self) -> None:
        """End a check that is under way."""
        if self._process:
            self._process.kill()
            self._process = None

    def _count(self, passed: bool) -> None:
        if passed:
            self.status, self._failures = "HEALTHY", 0
            return
        # The first checks come faster here than on AWS, so before one has passed, failures count at AWS's pace.
        if self.status == "UNKNOWN" and time.monotonic() < self._patient_until + self._interval * (self._failures + 1):
            return
        self._failures += 1
        if self._failures >= self._retries:
            self.status = "UNHEALTHY"
