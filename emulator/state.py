"""What the emulator knows beside moto: services, tasks, targets, load balancers, metric data. One lock guards it all."""

from __future__ import annotations

from pathlib import Path
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any

from emulator.clock import Clock
from emulator.hold import Hold
from emulator.load_balancers import LoadBalancers
from emulator.processes import Processes
from emulator.targets import Targets

if TYPE_CHECKING:
    from emulator.alarms import MetricKey
    from emulator.ecs_services import Service
    from emulator.metric_math import Datum
    from emulator.tasks import Task

TURN_SECONDS = 0.1


class State:
    """Everything that rules and the loop share. Each call is answered under C(lock), and so is each turn of the loop."""

    def __init__(self, images: Path, clock: Clock) -> None:
        self.lock = RLock()
        self.clock = clock
        self.images = images
        self.endpoint = ""
        self.enforce_iam = False
        self.hold = Hold()
        self.services: dict[tuple[str, str, str], Service] = {}  # by region, name of the cluster, own name
        self.tasks: dict[str, Task] = {}  # by ARN
        self.scalable_target_tags: dict[str, dict[str, str]] = {}  # by ARN
        self.metric_data: dict[tuple[str, *MetricKey], list[Datum]] = {}  # by region and metric
        self.alarm_history: list[tuple[str, dict[str, Any]]] = []  # region and entry, the oldest first
        self.made_by_token: dict[tuple[str, str, str], tuple[dict[str, Any], dict[str, Any]]] = {}  # request and answer, by region, operation, token
        self.targets = Targets(self.lock)
        self.balancers = LoadBalancers(self.lock, self.targets)
        self.processes = Processes()
        self._stopped = Event()
        self._loop = Thread(target=self._run, name="loop")

    def start(self, endpoint: str) -> None:
        """Begin to reconcile; tasks are given the endpoint."""
        self.endpoint = endpoint
        self._loop.start()

    def stop(self) -> None:
        """End the loop and every process of every task."""
        self._stopped.set()
        self._loop.join()
        self.targets.clear()
        self.processes.close()

    def reset(self) -> None:
        """Forget all, as moto does on its reset."""
        with self.lock:
            for task in self.tasks.values():
                if task.process:
                    task.process.kill()
            self.clock.clear()
            self.services.clear()
            self.tasks.clear()
            self.scalable_target_tags.clear()
            self.metric_data.clear()
            self.alarm_history.clear()
            self.made_by_token.clear()
            self.targets.clear()

    def _run(self) -> None:
        from emulator import loop

        while not self._stopped.wait(TURN_SECONDS):
            with self.lock:
                loop.turn(self)
