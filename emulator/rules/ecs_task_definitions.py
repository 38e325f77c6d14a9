"""ECS: which revision a family stands for, and what RegisterTaskDefinition refuses. Moto looks at names, images and memory of containers only.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any

from emulator.rules import Answer, Call, Proceed, rule
from emulator.rules.ecs import backend_of, client_error, newest_active

FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")
ECR_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/")
SIZE = re.compile(r"(?P<number>\d*\.?\d+) *(?P<unit>vcpu|gb)?", re.IGNORECASE)
# MiB that Fargate allows with so many CPU units.
FARGATE_MEMORY = {
    256: {512, 1024, 2048},
    512: set(range(1024, 4096 + 1, 1024)),
    1024: set(range(2048, 8192 + 1, 1024)),
    2048: set(range(4096, 16384 + 1, 1024)),
    4096: set(range(8192, 30720 + 1, 1024)),
    8192: set(range(16384, 61440 + 1, 4096)),
    16384: set(range(32768, 122880 + 1, 8192)),
}
LONGEST_FARGATE_STOP = 120  # seconds
HEALTH_CHECK_RANGES = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}


def containers_of(call: Call) -> list[dict[str, Any]]:
    """Container definitions of the request."""
    return list(call.params.get("containerDefinitions", []))


def for_fargate(call: Call) -> bool:
    """Whether the task definition must be fit for Fargate."""
    return "FARGATE" in call.params.get("requiresCompatibilities", [])


def size(text: str | None) -> int | None:
    """CPU units or MiB of a task, which AWS also takes as C(.25 vCPU) and C(1 GB); None where there is no size."""
    match = SIZE.fullmatch((text or "").strip())
    return int(float(match["number"]) * (1024 if match["unit"] else 1)) if match else None


def fits_fargate(cpu: str | None, memory: str | None) -> bool:
    """Whether Fargate has tasks of this size."""
    return size(memory) in FARGATE_MEMORY.get(size(cpu) or 0, set())


@rule("ecs", "DescribeTaskDefinition")
def family_stands_for_its_newest_active_revision(call: Call, proceed: Proceed) -> Answer:
    """A family without a revision is its newest active one: ClientException where there is none. Moto takes the newest of whatever state.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html
    """
    family, _, revision = call.params["taskDefinition"].rpartition("/")[2].partition(":")
    if not revision:
        newest = newest_active(call, family)
        if newest is None:
            raise client_error("Unable to describe task definition.")
        call.body = json.dumps({**call.params, "taskDefinition": f"{family}:{newest}"}).encode()
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def compatibilities_are_found_out(call: Call, proceed: Proceed) -> Answer:
    """AWS finds out what a definition is compatible with. Moto repeats requiresCompatibilities, and has awsvpc whatever Fargate is given.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html
    """
    answer = proceed()
    registered = answer["taskDefinition"]
    definition = backend_of(call).task_definitions[registered["family"]][registered["revision"]]
    definition.network_mode = call.params.get("networkMode") or "bridge"
    fargate = definition.network_mode == "awsvpc" and fits_fargate(definition.cpu, definition.memory)
    definition.compatibilities = ["EC2", "FARGATE"] if fargate else ["EC2"]
    registered |= {"networkMode": definition.network_mode, "compatibilities": definition.compatibilities}
    return answer


@rule("ecs", "RegisterTaskDefinition")
def family_pattern(call: Call, proceed: Proceed) -> Answer:
    """A family has up to 255 letters, digits, hyphens and underscores: ClientException. Moto takes any name.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
    """
    if not FAMILY.fullmatch(call.params["family"]):
        raise client_error("Family contains invalid characters.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def fargate_network_mode(call: Call, proceed: Proceed) -> Answer:
    """Fargate knows the network mode awsvpc alone: ClientException. Moto makes awsvpc of any other.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
    """
    if for_fargate(call) and call.params.get("networkMode") != "awsvpc":
        raise client_error("Fargate only supports network mode ‘awsvpc’.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def fargate_size(call: Call, proceed: Proceed) -> Answer:
    """Fargate needs CPU and memory of the task, in certain pairs: ClientException. Moto takes any pair, and none.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
    """
    if for_fargate(call):
        cpu, memory = call.params.get("cpu"), call.params.get("memory")
        for name, value in (("cpu", cpu), ("memory", memory)):
            if not value:
                raise client_error(f"Fargate requires that '{name}' be defined at the task level.")
        if not fits_fargate(cpu, memory):
            values = f"{size(cpu)} CPU, {size(memory)} memory"
            raise client_error(
                f"No Fargate configuration exists for given values: {values}. See the Amazon ECS documentation for the valid values."
            )
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def execution_role(call: Call, proceed: Proceed) -> Answer:
    """Fargate needs an execution role for awslogs and for images in ECR, every task for secrets: ClientException. Moto asks for none.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    if not call.params.get("executionRoleArn"):
        for container in containers_of(call):
            if container.get("secrets"):
                raise client_error("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
            if for_fargate(call) and container.get("logConfiguration", {}).get("logDriver") == "awslogs":
                raise client_error("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
            if for_fargate(call) and ECR_IMAGE.match(container.get("image", "")):
                raise client_error("Fargate requires task definition to have execution role ARN to support ECR images.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def container_names_are_unique(call: Call, proceed: Proceed) -> Answer:
    """Two containers of a task cannot have one name: ClientException. Moto takes them.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    names = [container.get("name") for container in containers_of(call)]
    if len(set(names)) < len(names):
        raise client_error("Container names must be unique within a task definition.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def essential_container(call: Call, proceed: Proceed) -> Answer:
    """At least one container must be essential: ClientException. Moto takes a task without.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    if not any(container.get("essential", True) for container in containers_of(call)):
        raise client_error("Task definition doesn't have any essential container.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def host_ports_match(call: Call, proceed: Proceed) -> Answer:
    """In the network modes awsvpc and host, a port of the host is the container's own or left out: ClientException. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
    """
    mode = call.params.get("networkMode")
    mappings = chain.from_iterable(container.get("portMappings", []) for container in containers_of(call))
    if mode in ("awsvpc", "host") and any(mapping.get("hostPort") not in (None, mapping.get("containerPort")) for mapping in mappings):
        raise client_error(f"When networkMode={mode}, the host ports and container ports in port mappings must match.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def mounted_volume(call: Call, proceed: Proceed) -> Answer:
    """A mount point names a volume of the task definition: ClientException. Moto takes any name.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_MountPoint.html
    """
    volumes = {volume.get("name") for volume in call.params.get("volumes", [])}
    for mount in chain.from_iterable(container.get("mountPoints", []) for container in containers_of(call)):
        if mount.get("sourceVolume") not in volumes:
            raise client_error(f"Unknown volume '{mount.get('sourceVolume')}'.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def log_options(call: Call, proceed: Proceed) -> Answer:
    """The awslogs driver needs a group and a region, on Fargate a prefix of its streams too: ClientException. Moto needs no options.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
    """
    for container in containers_of(call):
        logs = container.get("logConfiguration", {})
        options = logs.get("options", {})
        if logs.get("logDriver") != "awslogs":
            continue
        if missing := [name for name in ("awslogs-region", "awslogs-group") if not options.get(name)]:
            raise client_error(f"Log driver awslogs requires options: {', '.join(missing)}")
        if for_fargate(call) and not options.get("awslogs-stream-prefix"):
            raise client_error("Fargate requires log configuration options to include awslogs-stream-prefix to support log driver awslogs.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def containers_fit_into_the_task(call: Call, proceed: Proceed) -> Answer:
    """A container's memory is at most the task's, and so is the CPU of all together: ClientException. Moto does not compare.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#task_size
    """
    cpu, memory = size(call.params.get("cpu")), size(call.params.get("memory"))
    for container in containers_of(call):
        if memory is not None and container.get("memory", 0) > memory:
            raise client_error(f"The 'memory' setting for container '{container.get('name')}' is greater than for the task.")
    if cpu is not None and sum(container.get("cpu", 0) for container in containers_of(call)) > cpu:
        raise client_error("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def container_dependencies(call: Call, proceed: Proceed) -> Answer:
    """A container depends on others of its task, in no circle, and on a condition that they can meet: ClientException. Moto takes any name.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
    """
    containers = {container.get("name"): container for container in containers_of(call)}
    waiting: dict[Any, set[Any]] = {}
    for name, container in containers.items():
        waiting[name] = {dependency["containerName"] for dependency in container.get("dependsOn", [])}
        for dependency in container.get("dependsOn", []):
            other, condition = containers.get(dependency["containerName"]), dependency["condition"]
            if other is None:
                raise client_error(f"Cannot depend on container + '{dependency['containerName']}' because it does not exist")
            if condition in ("COMPLETE", "SUCCESS") and other.get("essential", True):
                raise client_error("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
            if condition == "HEALTHY" and "healthCheck" not in other:
                raise client_error("A dependency container with HEALTHY condition must have health check configured")
    while ready := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        raise client_error("Container dependencies must not form a cycle")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def health_check_range(call: Call, proceed: Proceed) -> Answer:
    """Times and retries of a container's health check have ranges: ClientException. Moto takes any number.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
    """
    for container in containers_of(call):
        for name, value in container.get("healthCheck", {}).items():
            low, high = HEALTH_CHECK_RANGES.get(name, (None, None))
            if low is not None and high is not None and not low <= value <= high:
                raise client_error(f"Health check {name} of container '{container.get('name')}' must be between {low} and {high}.")
    return proceed()


@rule("ecs", "RegisterTaskDefinition")
def fargate_stop_timeout(call: Call, proceed: Proceed) -> Answer:
    """Fargate waits 120 seconds at most between SIGTERM and SIGKILL: ClientException. Moto takes any time.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    if for_fargate(call) and any(container.get("stopTimeout", 0) > LONGEST_FARGATE_STOP for container in containers_of(call)):
        raise client_error("Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds.")
    return proceed()
