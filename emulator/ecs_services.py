"""ECS services: what was asked for, the deployments that bring it about, and the scheduler that starts and stops tasks."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.ecs.models import ecs_backends

from emulator import capacity
from emulator.alarms import alarm_states
from emulator.state import State
from emulator.tasks import Task
from emulator.wire import ACCOUNT

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
FARGATE_PLATFORM = "1.4.0"  # what LATEST stands for
# A change to one of these starts a new deployment.
DEPLOYED = (
    "taskDefinition",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)
BACKOFF = (0.2, 5.0)  # seconds before a task that keeps failing is started again: the first, and the longest
MOST_EVENTS = 100
SCHEDULER = "ServiceSchedulerInitiated"


@dataclass(eq=False)
class Deployment:
    """One roll-out of a service's settings."""

    settings: dict[str, Any]
    id: str = field(default_factory=lambda: f"ecs-svc/{random.randrange(10**18, 10**19)}")
    rollout_state: str = "IN_PROGRESS"
    reason: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    failed_tasks: int = 0
    failures_in_a_row: int = 0
    next_start: float = 0.0
    rolls_back: bool = False
    ignored_alarms: set[str] = field(default_factory=set)  # those that were in ALARM when it began
    baking: bool = False  # all its tasks are up, and its alarms are watched for a while
    baked: bool = False

    def __post_init__(self) -> None:
        self.reason = self.reason or f"ECS deployment {self.id} in progress."

    def enter(self, rollout_state: str, reason: str) -> None:
        """Go to another state of the roll-out."""
        self.rollout_state, self.reason, self.updated = rollout_state, reason, datetime.now(UTC)


@dataclass(eq=False)
class Service:
    """A service; C(settings) holds the fields of the API as they were asked for, with AWS's defaults.

    Moto keeps it among its own services, for application auto-scaling and the tagging API: hence the names of some attributes.
    """

    region: str
    cluster_name: str
    name: str
    settings: dict[str, Any]
    desired_count: int
    tags: list[dict[str, str]]
    request: dict[str, Any]  # as it came, to tell a repeated CreateService from another one
    status: str = "ACTIVE"
    deployments: list[Deployment] = field(default_factory=list)  # the newest, PRIMARY, first
    events: list[dict[str, Any]] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    completed: dict[str, Any] | None = None  # settings of the last deployment that completed
    steady: bool = False
    drained: bool = False  # the time that its removal takes is over
    started: int = 0  # tasks so far
    task_sets: tuple[()] = ()

    def __post_init__(self) -> None:
        self.deploy()

    @property
    def arn(self) -> str:
        """ARN of the service."""
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:service/{self.cluster_name}/{self.name}"

    physical_resource_id = arn

    @property
    def cluster_arn(self) -> str:
        """ARN of the service's cluster."""
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{self.cluster_name}"

    @property
    def launch_type(self) -> str | None:
        """Launch type, None where a capacity provider strategy decides."""
        return self.settings.get("launchType")

    @property
    def scheduling_strategy(self) -> str:
        """REPLICA or DAEMON."""
        return str(self.settings["schedulingStrategy"])

    @property
    def on_fargate(self) -> bool:
        """Whether the service's tasks run on Fargate."""
        strategy = self.settings.get("capacityProviderStrategy", [])
        return self.launch_type == "FARGATE" or any(item["capacityProvider"] in FARGATE_PROVIDERS for item in strategy)

    @property
    def platform_version(self) -> str:
        """Version of Fargate's platform that tasks get."""
        version = self.settings.get("platformVersion", "LATEST")
        return FARGATE_PLATFORM if version == "LATEST" else str(version)

    @property
    def alarms(self) -> dict[str, Any]:
        """The alarms that fail a deployment, as they were asked for."""
        alarms = self.settings["deploymentConfiguration"].get("alarms", {})
        return dict(alarms) if alarms.get("enable") else {"alarmNames": [], "rollback": False}

    def deploy(self) -> Deployment:
        """Begin a deployment of the present settings."""
        deployment = Deployment({name: self.settings[name] for name in DEPLOYED if name in self.settings})
        deployment.ignored_alarms = in_alarm(self.region, self.alarms["alarmNames"])
        self.deployments.insert(0, deployment)
        self.steady = False
        return deployment

    def drain(self, state: State) -> None:
        """Begin the removal of the service: its tasks stop, and after a while it is INACTIVE."""
        self.status, self.desired_count = "DRAINING", 0
        state.clock.after("service_inactive", self.name, lambda: setattr(self, "drained", True))

    def say(self, message: str) -> None:
        """Add an event."""
        event = {"id": str(uuid.uuid4()), "createdAt": datetime.now(UTC), "message": f"(service {self.name}) {message}"}
        self.events = [event, *self.events[: MOST_EVENTS - 1]]

    def say_once(self, message: str) -> None:
        """Add an event, unless the last one says the same."""
        if not self.events or self.events[0]["message"] != f"(service {self.name}) {message}":
            self.say(message)

    def tasks(self, state: State) -> list[Task]:
        """Tasks of the service that have not stopped."""
        return [task for task in state.tasks.values() if task.service is self and task.last_status != "STOPPED"]

    def task_stopped(self, task: Task) -> None:
        """Take into account that a task has stopped: by itself, or because the scheduler wanted it."""
        deployment = task.deployment
        if task.stop_code in (SCHEDULER, "UserInitiated") and "health checks" not in (task.stopped_reason or ""):
            return
        first, longest = BACKOFF
        deployment.next_start = time.monotonic() + min(longest, first * 2**deployment.failures_in_a_row)
        deployment.failures_in_a_row += 1
        if deployment.rollout_state == "IN_PROGRESS":
            deployment.failed_tasks += 1
        if deployment.failures_in_a_row == 3:
            self.say(f"is unable to consistently start tasks successfully.{capacity.MORE}")

    def describe(self, state: State, include: list[str]) -> dict[str, Any]:
        """One element of DescribeServices."""
        tasks = self.tasks(state)
        platform = {"platformFamily": "Linux"} if self.on_fargate else {}
        return {
            **self.settings,
            **platform,
            **counts(tasks),
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster_arn,
            "status": self.status,
            "desiredCount": self.desired_count,
            "deployments": [self._describe_deployment(deployment, tasks) for deployment in self.deployments],
            "events": self.events,
            "createdAt": self.created,
            "createdBy": f"arn:aws:iam::{ACCOUNT}:root",
            "tags": self.tags if "TAGS" in include else None,
        }

    def _describe_deployment(self, deployment: Deployment, tasks: list[Task]) -> dict[str, Any]:
        own = [task for task in tasks if task.deployment is deployment]
        primary = deployment is self.deployments[0]
        platform = {"platformVersion": self.platform_version, "platformFamily": "Linux"} if self.on_fargate else {}
        return {
            **deployment.settings,
            **platform,
            **counts(own),
            "id": deployment.id,
            "status": "PRIMARY" if primary else "ACTIVE",
            "desiredCount": self.desired_count if primary else sum(task.alive for task in own),
            "failedTasks": deployment.failed_tasks,
            "createdAt": deployment.created,
            "updatedAt": deployment.updated,
            "rolloutState": deployment.rollout_state,
            "rolloutStateReason": deployment.reason,
        }


def in_alarm(region: str, names: Iterable[str]) -> set[str]:
    """Which of these alarms are in ALARM."""
    states = alarm_states(region)
    return {name for name in names if states.get(name) == "ALARM"}


def counts(tasks: list[Task]) -> dict[str, int]:
    """How many tasks run, and how many are about to."""
    return {
        "runningCount": sum(task.last_status == "RUNNING" for task in tasks),
        "pendingCount": sum(task.last_status in ("PROVISIONING", "PENDING") for task in tasks),
    }


def reconcile(state: State, service: Service) -> None:
    """Bring the tasks of a service one step nearer to what is wanted."""
    tasks = service.tasks(state)
    if service.region not in ecs_backends[ACCOUNT] or service.status == "INACTIVE":
        return
    if service.status == "DRAINING":
        _stop(service, [task for task in tasks if task.alive])
        if not tasks and service.drained:
            service.status, service.deployments = "INACTIVE", []
            ecs_backends[ACCOUNT][service.region].services.pop(f"{service.cluster_name}:{service.name}", None)
        return
    _stop_unhealthy(service, tasks)
    _roll(state, service, tasks)
    _judge(state, service, tasks)


def _stop_unhealthy(service: Service, tasks: list[Task]) -> None:
    """Stop tasks that their load balancer or their own health check has found unhealthy, once their grace period is over."""
    grace = service.settings.get("healthCheckGracePeriodSeconds", 0)
    for task in tasks:
        if not task.alive or "startedAt" not in task.times or (datetime.now(UTC) - task.times["startedAt"]).total_seconds() < grace:
            continue
        sick = next((target for target in task.targets if target.state == "unhealthy"), None)
        if sick:
            assert sick.failure
            host = "" if task.interface else f"(instance {sick.id}) "
            service.say(f"{host}(port {sick.port}) is unhealthy in (target-group {sick.group.arn}) due to (reason {sick.failure[1]}).")
            task.stop(SCHEDULER, f"Task failed ELB health checks in (target-group {sick.group.arn})")
        elif task.health_status == "UNHEALTHY":
            service.say(f"(task {task.id}) failed container health checks.")
            task.stop(SCHEDULER, "Task failed container health checks")


def _roll(state: State, service: Service, tasks: list[Task]) -> None:
    """Start tasks of the current deployment and stop others, within the two percentages of the deployment configuration."""
    current = next((deployment for deployment in service.deployments if deployment.rollout_state != "FAILED"), None)
    if current is None:
        return
    configuration = service.settings["deploymentConfiguration"]
    least = math.ceil(service.desired_count * configuration["minimumHealthyPercent"] / 100)
    most = math.floor(service.desired_count * configuration["maximumPercent"] / 100)
    alive = [task for task in tasks if task.alive]
    kept = [task for task in alive if task.deployment is current and not _on_draining_instance(task)]
    others = [task for task in alive if task not in kept]
    started = []
    if time.monotonic() >= current.next_start:
        for _ in range(min(service.desired_count - len(kept), most - len(alive))):
            task = Task(service, current, *_definition_and_launch(state, service, current))
            # Only where a capacity provider may get more instances does a task wait for one.
            if not task.provider and not capacity.place(state, task):
                break
            state.tasks[task.arn] = task
            service.steady = False
            started.append(task)
    if started:
        service.say(f"has started {len(started)} tasks: {_names(started)}.")
    surplus = sorted(kept, key=lambda task: task.healthy)[: max(0, len(kept) - service.desired_count)]
    spare = sum(task.healthy for task in alive) - least
    leaving = []
    for task in sorted(others, key=lambda task: task.healthy):
        if not task.healthy or spare > 0:
            spare -= task.healthy
            leaving.append(task)
    _stop(service, surplus + leaving)


def _on_draining_instance(task: Task) -> bool:
    return task.instance is not None and task.instance.status != "ACTIVE"


def _definition_and_launch(state: State, service: Service, deployment: Deployment) -> tuple[Any, str, str | None]:
    """Task definition, launch type and capacity provider of the next task."""
    definition = ecs_backends[ACCOUNT][service.region].describe_task_definition(deployment.settings["taskDefinition"])
    strategy = deployment.settings.get("capacityProviderStrategy")
    if not strategy:
        return definition, deployment.settings["launchType"], None
    running = [task.provider for task in service.tasks(state) if task.alive and task.deployment is deployment]

    def load(item: dict[str, Any]) -> tuple[bool, float]:
        """The base comes first, then each provider's share by weight."""
        count, base, weight = running.count(item["capacityProvider"]), item["base"], item["weight"]
        return count >= base, (count - base + 1) / weight if weight else math.inf

    provider = min(strategy, key=load)["capacityProvider"]
    return definition, "FARGATE" if provider in FARGATE_PROVIDERS else "EC2", provider


def _stop(service: Service, tasks: list[Task]) -> None:
    if not tasks:
        return
    for task in tasks:
        task.stop(SCHEDULER, f"Scaling activity initiated by (deployment {service.deployments[0].id})")
    if any(task.targets for task in tasks):
        service.say(f"has begun draining connections on {len(tasks)} tasks.")
    service.say(f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")


def _names(tasks: list[Task]) -> str:
    """Tasks as an event names them."""
    return " ".join(f"(task {task.id})" for task in tasks)


def _judge(state: State, service: Service, tasks: list[Task]) -> None:
    """Say how the deployment stands: completed, failed, or rolled back."""
    primary = service.deployments[0]
    busy = {task.deployment for task in tasks} | {primary}
    service.deployments = [deployment for deployment in service.deployments if deployment in busy]
    healthy = sum(task.healthy and task.deployment is primary for task in tasks)
    if healthy == service.desired_count == len(tasks) and primary.rollout_state != "FAILED":
        primary.failures_in_a_row = 0
        if primary.rollout_state == "IN_PROGRESS" and _baked(state, service, primary):
            primary.enter("COMPLETED", f"ECS deployment {primary.id} completed.")
            service.completed = primary.settings
            service.say(f"(deployment {primary.id}) deployment completed.")
        if not service.steady:
            service.steady = True
            service.say("has reached a steady state.")
    elif healthy == service.desired_count and primary.rollout_state == "IN_PROGRESS":
        primary.failed_tasks = 0
    if primary.rollout_state == "IN_PROGRESS":
        _watch(service, primary, tasks)


def _baked(state: State, service: Service, primary: Deployment) -> bool:
    """Whether a deployment may complete: with alarms, it is watched for a while after its tasks are up."""
    if service.alarms["alarmNames"] and not primary.baking:
        primary.baking = True
        state.clock.after("deployment_baked", primary.id, lambda: setattr(primary, "baked", True))
    return primary.baked or not primary.baking


def _watch(service: Service, primary: Deployment, tasks: list[Task]) -> None:
    """Fail a deployment whose tasks do not come up, or during which one of its alarms goes off.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
    """
    breaker = service.settings["deploymentConfiguration"]["deploymentCircuitBreaker"]
    threshold = min(max(3, math.ceil(service.desired_count / 2)), 200)
    if breaker["enable"] and primary.failed_tasks >= threshold:
        _fail(service, primary, tasks, "circuit breaker", "tasks failed to start.", breaker["rollback"])
    elif in_alarm(service.region, service.alarms["alarmNames"]) - primary.ignored_alarms:
        _fail(service, primary, tasks, "alarms", "alarm detected.", service.alarms["rollback"])


def _fail(service: Service, primary: Deployment, tasks: list[Task], guard: str, why: str, rollback: bool) -> None:
    """Give a deployment up and, if asked for, go back to the last one that completed; one that goes back itself has no other way."""
    primary.enter("FAILED", f"ECS deployment {guard}: {why}")
    service.say(f"(deployment {primary.id}) deployment failed: {why}")
    _stop(service, [task for task in tasks if task.deployment is primary and not task.healthy and task.alive])
    if rollback and service.completed and not primary.rolls_back:
        service.settings |= service.completed
        back = service.deploy()
        back.rolls_back = True
        back.reason = f"ECS deployment {guard}: rolling back to deploymentId {back.id}."
        service.say(f"rolling back to deployment {back.id}.")
