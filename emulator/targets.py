"""Targets of target groups: registered by the loop, health-checked for real, drained before they go."""

from __future__ import annotations

import http.client
import itertools
import time
from collections import defaultdict
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Any

from moto.elbv2.models import FakeTargetGroup

LONGEST_INTERVAL = 1.0  # seconds between two health checks, whatever the target group says: a demo shall be quick
LONGEST_DRAINING = 2.0  # seconds that requests under way hold up a target that goes

Failure = tuple[str, str]  # reason and description, as DescribeTargetHealth tells them
REFUSED: Failure = ("Target.FailedHealthChecks", "Health checks failed")


@dataclass(eq=False)
class Target:
    """A task in a target group, by its address on AWS, and the loopback address where its process listens."""

    group: FakeTargetGroup
    id: str
    port: int
    address: tuple[str, int]
    zone: str | None
    state: str = "initial"
    failure: Failure | None = ("Elb.RegistrationInProgress", "Target registration is in progress")
    in_flight: int = 0
    passed: int = 0
    failed: int = 0
    registered: float = field(default_factory=time.monotonic)
    drained_at: float = 0.0
    gone: Event = field(default_factory=Event)

    def describe(self) -> dict[str, Any]:
        """One element of DescribeTargetHealth."""
        health = {"State": self.state}
        if self.failure:
            health |= {"Reason": self.failure[0], "Description": self.failure[1]}
        target = {"Id": self.id, "Port": self.port} | ({"AvailabilityZone": self.zone} if self.zone else {})
        return {"Target": target, "HealthCheckPort": str(self.port), "TargetHealth": health}

    def check(self) -> Failure | None:
        """Do one health check; None says that it passed."""
        connection = http.client.HTTPConnection(*self.address, timeout=float(self.group.health_check_timeout_seconds))
        try:
            headers = {"Host": f"{self.id}:{self.port}", "User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"}
            connection.request("GET", self.group.health_check_path or "/", headers=headers)
            status = connection.getresponse().status
        except TimeoutError:
            return "Target.Timeout", "Request timed out"
        except (OSError, http.client.HTTPException):
            return REFUSED
        finally:
            connection.close()
        if matches(status, (self.group.matcher or {}).get("HttpCode", "200")):
            return None
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"

    def count(self, failure: Failure | None) -> None:
        """Take a health check into account: the first that passes makes a new target healthy, later the thresholds decide."""
        if self.state == "draining":
            return
        if failure is None:
            self.passed, self.failed = self.passed + 1, 0
            if self.state == "initial" or self.passed >= int(self.group.healthy_threshold_count):
                self.state, self.failure = "healthy", None
            return
        threshold = int(self.group.unhealthy_threshold_count)
        patience = threshold * float(self.group.health_check_interval_seconds)
        if self.state == "initial" and failure == REFUSED and time.monotonic() < self.registered + patience:
            return  # Checks come faster here than on AWS; a process that does not listen yet keeps the time that AWS gives it.
        self.passed, self.failed = 0, self.failed + 1
        if self.failed >= threshold:
            self.state, self.failure = "unhealthy", failure
        elif self.state == "initial":
            self.failure = ("Elb.InitialHealthChecking", "Initial health checks in progress")

    def drain(self) -> None:
        """Give the target no further request."""
        if self.state != "draining":
            delay = min(float(self.group.attributes["deregistration_delay.timeout_seconds"]), LONGEST_DRAINING)
            self.drained_at = time.monotonic() + delay
            self.state, self.failure = "draining", ("Target.DeregistrationInProgress", "Target deregistration is in progress")

    @property
    def drained(self) -> bool:
        """Whether the requests under way have ended, or had their time."""
        return self.state == "draining" and (not self.in_flight or time.monotonic() > self.drained_at)


class Targets:
    """All targets that the emulator itself registered, by the ARN of their target group."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._targets: dict[str, list[Target]] = defaultdict(list)
        self._turns = itertools.count()

    def of(self, group_arn: str) -> list[Target]:
        """Targets of a target group."""
        with self._lock:
            return list(self._targets[group_arn])

    def register(self, target: Target) -> None:
        """Add a target and begin to check its health."""
        with self._lock:
            self._targets[target.group.arn].append(target)
        Thread(target=self._watch, args=(target,), daemon=True).start()

    def remove(self, target: Target) -> None:
        """Take a target away."""
        target.gone.set()
        with self._lock:
            if target in self._targets[target.group.arn]:
                self._targets[target.group.arn].remove(target)

    def clear(self) -> None:
        """Take all targets away."""
        with self._lock:
            for target in itertools.chain(*self._targets.values()):
                target.gone.set()
            self._targets.clear()

    def take(self, group_arn: str) -> Target | None:
        """The healthy target whose turn it is, for one request; to be given back by C(release)."""
        with self._lock:
            healthy = [target for target in self._targets[group_arn] if target.state == "healthy"]
            if not healthy:
                return None
            target = healthy[next(self._turns) % len(healthy)]
            target.in_flight += 1
            return target

    def release(self, target: Target) -> None:
        """Say that a request has ended."""
        with self._lock:
            target.in_flight -= 1

    def _watch(self, target: Target) -> None:
        while not target.gone.is_set():
            failure = target.check()
            with self._lock:
                target.count(failure)
            target.gone.wait(min(float(target.group.health_check_interval_seconds), LONGEST_INTERVAL))


def matches(status: int, codes: str) -> bool:
    """Whether a status is among codes like C(200,202) or C(200-299)."""
    ranges = [part.partition("-") for part in codes.split(",")]
    return any(int(low) <= status <= int(high or low) for low, _, high in ranges)
