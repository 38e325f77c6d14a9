"""EC2 capacity: the instances of auto-scaling groups join their clusters, and managed scaling sizes the groups."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ecs.models import Cluster, ContainerInstance, EC2ContainerServiceBackend, ecs_backends

from emulator.state import State
from emulator.wire import ACCOUNT

if TYPE_CHECKING:
    from emulator.tasks import Task

TASKS_ON_INSTANCE = {"awsvpc": 2}  # an awsvpc task needs a network interface, of which small instances have few
OTHER_TASKS_ON_INSTANCE = 8
SCALE_IN_AFTER = 10.0  # seconds that an instance must be spare; AWS takes about 15 minutes

_spare_since: dict[str, float] = {}  # by ARN of the group


def reconcile(state: State) -> None:
    """Bring container instances and groups in line with the clusters."""
    for region, ecs in list(ecs_backends[ACCOUNT].items()):
        for cluster in list(ecs.clusters.values()):
            _drop_gone_instances(state, region, ecs, cluster)
            for name in cluster.capacity_providers or []:
                group = group_of(region, name)
                if group is not None and cluster.status == "ACTIVE":
                    _register(ecs, cluster, group)
                    _scale(state, region, cluster, name, group)


def group_of(region: str, provider_name: str) -> FakeAutoScalingGroup | None:
    """The auto-scaling group of a capacity provider; Fargate's have none."""
    provider = ecs_backends[ACCOUNT][region].capacity_providers.get(provider_name)
    if provider is None:
        return None
    name = provider.auto_scaling_group_provider["autoScalingGroupArn"].rpartition("/")[2]
    return autoscaling_backends[ACCOUNT][region].autoscaling_groups.get(name)


def provider_of(region: str, cluster: Cluster, ec2_instance_id: str) -> str | None:
    """The capacity provider that an instance belongs to."""
    for name in cluster.capacity_providers or []:
        group = group_of(region, name)
        if group and ec2_instance_id in [member.instance.id for member in group.instance_states]:
            return name
    return None


def container_instances(region: str, cluster_name: str) -> list[ContainerInstance]:
    """Container instances of a cluster."""
    return list(ecs_backends[ACCOUNT][region].container_instances.get(cluster_name, {}).values())


def place(state: State, task: Task) -> bool:
    """Find room for a task; Fargate always has some."""
    if task.launch_type == "FARGATE":
        return True
    region, cluster_name = task.service.region, task.service.cluster_name
    cluster = ecs_backends[ACCOUNT][region].clusters[cluster_name]
    rooms = []
    for instance in container_instances(region, cluster_name):
        if instance.status == "ACTIVE" and task.provider in (None, provider_of(region, cluster, instance.ec2_instance_id)):
            used = sum(other.instance is instance and other.last_status != "STOPPED" for other in state.tasks.values())
            rooms.append((capacity_of(task) - used, instance))
    room, instance = max(rooms, key=lambda pair: pair[0], default=(0, None))
    if room > 0:
        task.instance = instance
        return True
    why = (
        "Reason: No Container Instances were found in your cluster."
        if not rooms
        else "The closest matching container-instance has insufficient resources."
    )
    task.service.say_once(f"was unable to place a task because no container instance met all of its requirements. {why}")
    return False


def capacity_of(task: Task) -> int:
    """How many tasks of this kind an instance holds."""
    return TASKS_ON_INSTANCE.get(task.definition.network_mode or "bridge", OTHER_TASKS_ON_INSTANCE)


def _register(ecs: EC2ContainerServiceBackend, cluster: Cluster, group: FakeAutoScalingGroup) -> None:
    known = {instance.ec2_instance_id for instances in ecs.container_instances.values() for instance in instances.values()}
    for member in list(group.instance_states):
        if member.lifecycle_state == "InService" and member.instance.state == "running" and member.instance.id not in known:
            ecs.register_container_instance(cluster.name, member.instance.id)


def _drop_gone_instances(state: State, region: str, ecs: EC2ContainerServiceBackend, cluster: Cluster) -> None:
    """Deregister instances that do not run any more, and stop the tasks that were on them."""
    running = {instance.id for instance in ec2_backends[ACCOUNT][region].all_instances() if instance.state in ("pending", "running")}
    for instance in container_instances(region, cluster.name):
        if instance.ec2_instance_id in running:
            continue
        for task in state.tasks.values():
            if task.instance is instance:
                task.stop("TerminationNotice", f"Host EC2 (instance {instance.ec2_instance_id}) terminated.")
                if task.process:
                    task.process.kill()
        ecs.deregister_container_instance(cluster.name, instance.container_instance_arn, force=True)


def _scale(state: State, region: str, cluster: Cluster, provider_name: str, group: FakeAutoScalingGroup) -> None:
    """Size a group as managed scaling does, so that the tasks of its provider have room."""
    provider: Any = ecs_backends[ACCOUNT][region].capacity_providers[provider_name]
    if provider.auto_scaling_group_provider["managedScaling"]["status"] != "ENABLED":
        return
    tasks = [
        task
        for task in state.tasks.values()
        if task.provider == provider_name and task.service.cluster_arn == cluster.arn and task.last_status != "STOPPED"
    ]
    needed = math.ceil(sum(1 / capacity_of(task) for task in tasks))
    wanted = max(int(group.min_size), min(needed, int(group.max_size)))
    desired = int(group.desired_capacity or 0)
    backend = autoscaling_backends[ACCOUNT][region]
    if wanted >= desired:
        _spare_since.pop(group.arn, None)
        if wanted > desired:
            backend.set_desired_capacity(group.name, wanted)
        return
    if time.monotonic() < _spare_since.setdefault(group.arn, time.monotonic()) + SCALE_IN_AFTER:
        return
    used = {task.instance.ec2_instance_id for task in tasks if task.instance}
    idle = [member.instance.id for member in group.instance_states if member.instance.id not in used]
    for instance_id in idle[: desired - wanted]:
        backend.terminate_instance(instance_id, should_decrement=True)
