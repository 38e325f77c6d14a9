"""Time: how long AWS's slow steps take, and what happens when they are over.

A step begins with C(after) and ends when the loop runs its action. All times are multiplied by the time scale: 0 means at once, 1 as on
AWS.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock

# Seconds that a step takes on AWS. Where AWS promises nothing, the figure is the middle of published logs of applies and destroys.
SECONDS: dict[str, float] = {
    # ec2
    "vpc_available": 20,
    "nat_gateway_available": 105,
    "nat_gateway_deleted": 55,
    "nat_gateway_address_free": 5,  # seen as AuthFailure after "deleted": https://github.com/eformat/sno-for-100/issues/9
    "gateway_endpoint_available": 5,
    "gateway_endpoint_deleted": 5,
    "interface_endpoint_available": 90,
    "interface_endpoint_deleted": 60,
    "instance_running": 15,
    "instance_terminated": 45,
    # elbv2
    "load_balancer_active": 150,
    "load_balancer_interfaces_deleted": 60,
    # ecs, autoscaling
    "fargate_task_running": 45,
    "group_instance_in_service": 45,
    "container_instance_registered": 60,
    "ec2_task_running": 45,  # pull and start; with the two before it, an instance runs its first task after 150
    "task_interface_deleted": 30,
    "capacity_providers_attached": 60,
    "group_deleted": 60,  # with its instances
    "deployment_baked": 300,  # ECS computes it from the periods of the service's alarms
    "service_inactive": 160,
    "capacity_provider_scale_in": 900,
    # dynamodb
    "table_active": 8,
    "table_deleted": 8,
    "table_updated": 8,
    "continuous_backups_available": 10,
    # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
    "time_to_live_changed": 3600,
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-switching-capacity-modes.html
    "capacity_mode_window": 86400,
    # iam: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    "role_usable": 10,
    "instance_profile_usable": 10,
}


class Clock:
    """Steps that are under way. C(log) is told step, resource, start and end (epoch seconds) of each step that is over."""

    def __init__(self, scale: float, log: Callable[[str, str, float, float], None]) -> None:
        self.scale = scale
        self._log = log
        self._lock = Lock()
        self._order = itertools.count()  # steps that end together end in the order in which they began
        self._steps: list[tuple[float, int, str, str, float, Callable[[], object]]] = []

    def now(self) -> datetime:
        """The time of day, in UTC; policies with a time window are judged by it."""
        return datetime.now(UTC)

    def seconds(self, step: str) -> float:
        """How long a step takes at this scale. Raises KeyError for a step that is not in SECONDS."""
        return SECONDS[step] * self.scale

    def after(self, step: str, resource: str, action: Callable[[], object]) -> None:
        """Run an action when a step is over: in this call where the scale is 0, else by the loop, which then holds the state's lock.

        The action must bear that its resource is gone meanwhile.
        """
        start = time.time()
        seconds = self.seconds(step)
        if not seconds:
            action()
            return
        with self._lock:
            heapq.heappush(self._steps, (time.monotonic() + seconds, next(self._order), step, resource, start, action))

    def due(self) -> list[Callable[[], object]]:
        """Take away the actions of all steps that are over by now, and log these steps."""
        actions = []
        with self._lock:
            while self._steps and self._steps[0][0] <= time.monotonic():
                _, _, step, resource, start, action = heapq.heappop(self._steps)
                actions.append(action)
                self._log(step, resource, start, time.time())
        return actions

    def clear(self) -> None:
        """Forget the steps that are under way."""
        with self._lock:
            self._steps.clear()
