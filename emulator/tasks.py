"""Tasks: each is a local process that goes through the states of an ECS task.

PROVISIONING (waits for room, gets a network interface) -> PENDING (the image is pulled, the process starts) -> RUNNING
-> DEACTIVATING (targets drain) -> STOPPING (SIGTERM, later SIGKILL) -> STOPPED.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ecs.models import ContainerInstance, TaskDefinition
from moto.elbv2.models import elbv2_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from emulator import capacity, images, interfaces
from emulator.authorization import session_of
from emulator.container_health import HealthCheck
from emulator.processes import ContainerProcess, free_port
from emulator.state import State
from emulator.targets import Target
from emulator.wire import ACCOUNT

if TYPE_CHECKING:
    from emulator.ecs_services import Deployment, Service

STEADY_AFTER = 1.0  # seconds after which a task without load balancer is taken to have started well
STOP_TIMEOUT = 30  # seconds between SIGTERM and SIGKILL where the container does not say


class CannotStart(Exception):
    """Why a task cannot start; the text is the task's stoppedReason."""


@dataclass(eq=False)
class Task:
    """One task of a service."""

    service: Service
    deployment: Deployment
    definition: TaskDefinition
    launch_type: str
    provider: str | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    times: dict[str, datetime] = field(default_factory=lambda: {"createdAt": datetime.now(UTC)})
    instance: ContainerInstance | None = None
    interface: NetworkInterface | None = None
    pulled: bool = False
    port: int = 0
    process: ContainerProcess | None = None
    health_check: HealthCheck | None = None
    log: tuple[str, str] | None = None
    targets: list[Target] = field(default_factory=list)
    kill_at: float = 0.0

    @property
    def arn(self) -> str:
        """ARN of the task."""
        return f"arn:aws:ecs:{self.service.region}:{ACCOUNT}:task/{self.service.cluster_name}/{self.id}"

    @property
    def container(self) -> dict[str, Any]:
        """Definition of the container that counts: the first essential one."""
        return next(container for container in self.definition.container_definitions if container["essential"])

    @property
    def alive(self) -> bool:
        """Whether nobody has asked the task to stop, and it has not stopped by itself."""
        return self.desired_status == "RUNNING"

    @property
    def healthy(self) -> bool:
        """Whether the task does its work: it runs, and its health check and its load balancers say so too."""
        if not self.alive or self.last_status != "RUNNING" or (self.health_check and self.health_check.status != "HEALTHY"):
            return False
        if self.targets:
            return all(target.state == "healthy" for target in self.targets)
        return (datetime.now(UTC) - self.times["startedAt"]).total_seconds() > STEADY_AFTER

    @property
    def health_status(self) -> str:
        """What the container health check says; UNKNOWN where there is none."""
        return self.health_check.status if self.health_check else "UNKNOWN"

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags that the service propagates."""
        source = {"SERVICE": self.service.tags, "TASK_DEFINITION": self.definition.tags}
        return list(source.get(self.service.settings["propagateTags"]) or [])

    def enter(self, status: str, *times: str) -> None:
        """Go to the next state, and note the time under these names."""
        self.last_status = status
        self.times |= dict.fromkeys(times, datetime.now(UTC))

    def stop(self, code: str, reason: str) -> None:
        """Want the task stopped; the loop does it."""
        if self.alive:
            self.desired_status, self.stop_code, self.stopped_reason = "STOPPED", code, reason
            self.times["stoppingAt"] = datetime.now(UTC)

    def describe(self, include: list[str]) -> dict[str, Any]:
        """One element of DescribeTasks."""
        fargate = {"platformVersion": self.service.platform_version, "platformFamily": "Linux"} if self.launch_type == "FARGATE" else {}
        return {
            "taskArn": self.arn,
            "clusterArn": self.service.cluster_arn,
            "taskDefinitionArn": self.definition.arn,
            "group": f"service:{self.service.name}",
            "startedBy": self.deployment.id,
            "lastStatus": self.last_status,
            "desiredStatus": self.desired_status,
            "launchType": self.launch_type,
            "capacityProviderName": self.provider,
            "containerInstanceArn": self.instance.container_instance_arn if self.instance else None,
            "availabilityZone": self.zone,
            "cpu": self.definition.cpu,
            "memory": self.definition.memory,
            "connectivity": "CONNECTED" if "startedAt" in self.times else None,
            "enableExecuteCommand": self.service.settings["enableExecuteCommand"],
            "healthStatus": self.health_status,
            "stopCode": self.stop_code,
            "stoppedReason": self.stopped_reason,
            "attachments": self._attachments(),
            "containers": [self._describe_container(container) for container in self.definition.container_definitions],
            "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
            "tags": self.tags if "TAGS" in include else [],
            "version": 1,
            **self.times,
            **fargate,
        }

    @property
    def zone(self) -> str | None:
        """Availability zone where the task is."""
        if self.interface:
            return str(self.interface.availability_zone)
        return self.instance.attributes["ecs.availability-zone"] if self.instance else None

    @property
    def attachment_id(self) -> str:
        """ID of the attachment of the task's network interface."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.id))

    def _attachments(self) -> list[dict[str, Any]]:
        if not self.interface:
            return []
        details = {
            "subnetId": self.interface.subnet_id,
            "networkInterfaceId": self.interface.id,
            "macAddress": self.interface.mac_address,
            "privateIPv4Address": self.interface.private_ip_address,
        }
        return [
            {
                "id": self.attachment_id,
                "type": "ElasticNetworkInterface",
                "status": "DELETED" if self.last_status == "STOPPED" else "ATTACHED",
                "details": [{"name": name, "value": value} for name, value in details.items()],
            }
        ]

    def _describe_container(self, container: dict[str, Any]) -> dict[str, Any]:
        status = {"PROVISIONING": "PENDING", "DEACTIVATING": "RUNNING", "STOPPING": "RUNNING"}.get(self.last_status, self.last_status)
        described = {
            "containerArn": f"{self.arn.replace(':task/', ':container/')}/{uuid.uuid5(uuid.NAMESPACE_OID, self.id + container['name'])}",
            "taskArn": self.arn,
            "name": container["name"],
            "image": container["image"],
            "lastStatus": status,
            "healthStatus": self.health_status if container is self.container else "UNKNOWN",
            "exitCode": self.exit_code if container is self.container else None,
            "reason": self.stopped_reason if self.stop_code == "TaskFailedToStart" else None,
            "cpu": str(container.get("cpu", 0)),
            "memory": str(container["memory"]) if "memory" in container else None,
            "networkInterfaces": [],
            "networkBindings": [],
        }
        if self.interface:
            address = {"attachmentId": self.attachment_id, "privateIpv4Address": self.interface.private_ip_address}
            described["networkInterfaces"] = [address]
        elif self.process:
            described["networkBindings"] = [
                {
                    "bindIP": "0.0.0.0",
                    "containerPort": mapping["containerPort"],
                    "hostPort": self.host_port(mapping["containerPort"]),
                    "protocol": mapping.get("protocol", "tcp"),
                }
                for mapping in container["portMappings"]
            ]
        return described

    def host_port(self, container_port: int) -> int:
        """Port of the host for a port of the container: the mapping's own, or a dynamic one."""
        mappings = [mapping for container in self.definition.container_definitions for mapping in container["portMappings"]]
        fixed = next((mapping.get("hostPort") for mapping in mappings if mapping["containerPort"] == container_port), None)
        return int(fixed or self.port)


def advance(state: State, task: Task) -> None:
    """Take a task one step on."""
    if task.last_status == "STOPPED":
        return
    if task.process and task.log:
        _write_log(task)
    exit_code = task.process.exit_code if task.process else None
    if exit_code is not None and task.exit_code is None:
        task.exit_code = exit_code
        task.stop("EssentialContainerExited", "Essential container in task exited")
    if task.health_check and task.last_status == "RUNNING":
        task.health_check.turn()
    if task.last_status in ("PROVISIONING", "PENDING"):
        _start(state, task)
    elif task.last_status == "RUNNING" and not task.alive:
        for target in task.targets:
            target.drain()
        if task.targets:
            task.service.say(f"deregistered 1 targets in (target-group {task.targets[0].group.arn})")
        task.enter("DEACTIVATING")
    elif task.last_status == "DEACTIVATING" and (exit_code is not None or all(target.drained for target in task.targets)):
        if task.process and exit_code is None:
            task.process.terminate()
        task.kill_at = time.monotonic() + int(task.container.get("stopTimeout") or STOP_TIMEOUT)
        task.enter("STOPPING")
    elif task.last_status == "STOPPING" and exit_code is not None:
        _end(state, task)
    elif task.last_status == "STOPPING" and task.process and time.monotonic() > task.kill_at:
        task.process.kill()


def _start(state: State, task: Task) -> None:
    """Start a task as soon as there is room for it."""
    try:
        if not task.alive:
            _end(state, task)
        elif task.last_status == "PROVISIONING" and capacity.place(state, task):
            _attach_interface(task)
            task.enter("PENDING", "pullStartedAt")
            step = "fargate_task_running" if task.launch_type == "FARGATE" else "ec2_task_running"
            state.clock.after(step, task.id, lambda: setattr(task, "pulled", True))
        elif task.last_status == "PENDING" and task.pulled:
            _start_process(state, task)
            task.enter("RUNNING", "pullStoppedAt", "connectivityAt", "startedAt")
            _register_targets(state, task)
    except CannotStart as error:
        task.stop("TaskFailedToStart", str(error))
        _end(state, task)


def _end(state: State, task: Task) -> None:
    """Take away what a stopped task leaves."""
    for target in task.targets:
        state.targets.remove(target)
    if task.interface:
        _detach_interface(state, task, task.interface)
    if task.health_check:
        task.health_check.close()
    if task.process and task.log:
        _write_log(task)
    task.enter("STOPPED", "stoppedAt", "executionStoppedAt")
    task.service.task_stopped(task)


def _attach_interface(task: Task) -> None:
    """Give a task of network mode awsvpc its network interface."""
    if task.definition.network_mode != "awsvpc":
        return
    network = task.deployment.settings["networkConfiguration"]["awsvpcConfiguration"]
    ec2 = ec2_backends[ACCOUNT][task.service.region]
    # The tasks of a service spread over its subnets.
    subnet = ec2.get_subnet(network["subnets"][task.service.started % len(network["subnets"])])
    task.service.started += 1
    default = ec2.get_default_security_group(subnet.vpc_id)
    task.interface = ec2.create_network_interface(subnet, "")
    interfaces.manage(
        task.interface,
        f"arn:aws:ecs:{task.service.region}:{ACCOUNT}:attachment/{task.attachment_id}",
        network["securityGroups"] or ([default.id] if default else []),
    )


def _detach_interface(state: State, task: Task, interface: NetworkInterface) -> None:
    """Take a task's network interface away, which AWS does some time after the task has stopped."""
    ec2 = ec2_backends[ACCOUNT][task.service.region]
    state.clock.after("task_interface_deleted", interface.id, lambda: interfaces.remove(ec2, interface))


def _credentials(state: State, task: Task) -> dict[str, str]:
    """Credentials of the task's role. Where policies are not enforced, or the task has no role, keys that only look like some."""
    role = getattr(task.definition, "task_role_arn", None)
    if not (state.enforce_iam and role):
        return {"AWS_ACCESS_KEY_ID": "task-access-key", "AWS_SECRET_ACCESS_KEY": "task-secret-key"}
    session = session_of(role, task.arn.rpartition("/")[2])
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }


def _start_process(state: State, task: Task) -> None:
    """Start the process of a task, with what its container definition says and what ECS itself gives."""
    container, region = task.container, task.service.region
    image = images.find(state.images, container["image"])
    if image is None:
        raise CannotStart(
            f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {container['image']}: "
            "not found: no directory of the emulator's images has the name of this repository"
        )
    command = [
        *(container.get("entryPoint") or image.entry_point),
        *(container.get("command") or ([] if container.get("entryPoint") else image.command)),
    ]
    task.port = free_port()
    environment = {
        **image.environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_ECS_{task.launch_type}",
        **_credentials(state, task),
        "AWS_ENDPOINT_URL": state.endpoint,  # stands for AWS itself
        **{variable["name"]: variable["value"] for variable in container["environment"]},
        **{secret["name"]: _secret(region, secret["valueFrom"]) for secret in container.get("secrets") or []},
        # Containers have networks of their own, processes share one: the only difference that a process can see.
        "HOST": "127.0.0.1",
        "PORT": str(task.port),
    }
    task.log = _open_log(task)
    try:
        task.process = ContainerProcess(state.processes, command, image.directory, environment, logged=task.log is not None)
        if (check := container.get("healthCheck")) and check["command"][0] != "NONE":
            task.health_check = HealthCheck(check, task.process.execute)
    except (OSError, IndexError, ValueError) as error:
        raise CannotStart(f"CannotStartContainerError: failed to create task for container {container['name']}: {error}") from error


def _secret(region: str, value_from: str) -> str:
    """Value of a secret or parameter that a container definition names."""
    try:
        if ":secretsmanager:" in value_from:
            *arn, key, _, _ = value_from.split(":") if value_from.count(":") == 9 else [*value_from.split(":"), "", "", ""]
            value = secretsmanager_backends[ACCOUNT][region].get_secret_value(":".join(arn), "", "")["SecretString"]
            return str(json.loads(value)[key] if key else value)
        return str(ssm_backends[ACCOUNT][region].get_parameter(value_from).response_object(decrypt=True, region=region)["Value"])
    except Exception as error:
        raise CannotStart(
            f"ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve {value_from}: {error}"
        ) from error


def _open_log(task: Task) -> tuple[str, str] | None:
    """Make the log stream of a task, if its container logs to CloudWatch; the names of group and stream."""
    configuration = task.container.get("logConfiguration") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    options = configuration["options"]
    group, stream = options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{task.container['name']}/{task.id}"
    logs = logs_backends[ACCOUNT][options.get("awslogs-region", task.service.region)]
    if group not in logs.groups:
        if options.get("awslogs-create-group") != "true":
            raise CannotStart(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create "
                "Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
            )
        logs.create_log_group(group, {})
    logs.create_log_stream(group, stream)
    return group, stream


def _write_log(task: Task) -> None:
    """Hand what a process has written to CloudWatch Logs."""
    assert task.process and task.log
    lines = task.process.lines
    events = [dict(zip(("timestamp", "message"), lines.popleft(), strict=True)) for _ in range(len(lines))]
    options = task.container["logConfiguration"]["options"]
    logs = logs_backends[ACCOUNT][options.get("awslogs-region", task.service.region)]
    if events and task.log[0] in logs.groups:
        logs.put_log_events(*task.log, events)


def _register_targets(state: State, task: Task) -> None:
    """Register a task with the target groups of its service, under the address that it has on AWS."""
    groups = elbv2_backends[ACCOUNT][task.service.region].target_groups
    for balancer in task.deployment.settings.get("loadBalancers", []):
        group, port = groups.get(balancer.get("targetGroupArn", "")), balancer["containerPort"]
        if group is None:
            continue
        if task.interface:
            address = task.interface.private_ip_address
        else:
            assert task.instance
            address, port = task.instance.ec2_instance_id, task.host_port(port)
        target = Target(group, address, port, ("127.0.0.1", task.port), task.zone)
        task.targets.append(target)
        state.targets.register(target)
        task.service.say(f"registered 1 targets in (target-group {group.arn})")
