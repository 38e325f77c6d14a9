"""ECS: what all its rules share. Services and their tasks are the emulator's own; clusters, task definitions and so on are moto's, amended.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition, ecs_backends

from emulator.ecs_services import Service
from emulator.rules import Answer, AwsError, Call
from emulator.tasks import Task
from emulator.wire import ACCOUNT

MOST_DESCRIBED = {"services": 10, "tasks": 100}


def invalid(message: str) -> AwsError:
    """The error that ECS answers to most wrong requests."""
    return AwsError("InvalidParameterException", message)


def client_error(message: str) -> AwsError:
    """The error that ECS answers to wrong task definitions and capacity providers."""
    return AwsError("ClientException", message)


def backend_of(call: Call) -> EC2ContainerServiceBackend:
    """Moto's ECS in the region of a call."""
    return ecs_backends[ACCOUNT][call.region]


def cluster_of(call: Call) -> Cluster:
    """The active cluster that a call names by name or ARN, or the default one."""
    cluster = backend_of(call).clusters.get((call.params.get("cluster") or "default").rpartition("/")[2])
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    if cluster.status != "ACTIVE":
        raise AwsError("ClusterNotFoundException", "The referenced cluster was inactive.")
    return cluster


def find_service(call: Call, cluster: Cluster, name_or_arn: str) -> Service | None:
    """A service by name or ARN, in whatever state."""
    return call.state.services.get((call.region, cluster.name, name_or_arn.rpartition("/")[2]))


def newest_active(call: Call, family: str) -> int | None:
    """The newest active revision of a family, or None where it has none."""
    revisions = backend_of(call).task_definitions.get(family, {})
    return max((number for number, definition in revisions.items() if definition.status == "ACTIVE"), default=None)


def definition_of(call: Call, name: str) -> TaskDefinition:
    """The active task definition that a call names by family, family and revision, or ARN."""
    family, _, revision = name.rpartition("/")[2].partition(":")
    number = revision or str(newest_active(call, family))
    definition = backend_of(call).task_definitions.get(family, {}).get(int(number)) if number.isdigit() else None
    if definition is None:
        raise AwsError("ClientException", "TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise AwsError("ClientException", "TaskDefinition is inactive")
    return definition


def page(call: Call, items: list[Any], name: str, size: int) -> Answer:
    """One page of a list; the token is the place where the next one begins."""
    token = call.params.get("nextToken") or "0"
    if not token.isdecimal():
        raise invalid("Invalid token.")
    start = int(token)
    end = start + int(call.params.get("maxResults") or size)
    return {name: items[start:end]} | ({"nextToken": str(end)} if end < len(items) else {})


def describe(
    call: Call,
    kind: str,
    find: Callable[[Cluster, str], Any],
    tell: Callable[[Any], Answer],
    arn: Callable[[Cluster, str], str],
) -> Answer:
    """The answer of DescribeServices and DescribeTasks: what was found, and failures for the rest."""
    cluster, names = cluster_of(call), call.params[kind]
    if not names or len(names) > MOST_DESCRIBED[kind]:
        raise invalid(f"{kind.capitalize()} {'cannot be empty' if not names else 'cannot be more than ' + str(MOST_DESCRIBED[kind])}.")
    found = {name: find(cluster, name) for name in names}
    return {
        kind: [tell(item) for item in found.values() if item],
        "failures": [
            {"arn": name if name.startswith("arn:") else arn(cluster, name), "reason": "MISSING"}
            for name, item in found.items()
            if not item
        ],
    }


def tasks_of(call: Call, cluster: Cluster) -> list[Task]:
    """Tasks of services in a cluster."""
    return [task for task in list(call.state.tasks.values()) if task.service.cluster_arn == cluster.arn]
