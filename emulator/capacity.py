"""EC2 capacity: instances of auto-scaling groups join their clusters, tasks find room on them, and managed scaling sizes the groups."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState, autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ecs.models import Cluster, ContainerInstance, EC2ContainerServiceBackend, TaskDefinition, ecs_backends

from emulator.state import State
from emulator.wire import ACCOUNT

if TYPE_CHECKING:
    from emulator.tasks import Task

CPU_UNITS = 1024  # of a vCPU
USABLE_MEMORY = 0.93  # of an instance's memory; the rest is the kernel's: a t3.micro registers some 950 MiB
SCALE_IN_AFTER = 10.0  # seconds that an instance must be spare at least, so that a deployment does not shake the group at time scale 0
MORE = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

# What is under way, by moto's own objects.
launching: WeakSet[InstanceState] = WeakSet()  # not yet in service
joined: WeakSet[InstanceState] = WeakSet()  # their agent has registered, or is about to; it does so once
deleting: WeakSet[FakeAutoScalingGroup] = WeakSet()
attaching: WeakSet[Cluster] = WeakSet()  # clusters whose capacity providers are being attached or detached

_spare_since: dict[str, float] = {}  # by ARN of the group


@dataclass(frozen=True)
class Room:
    """What a task needs, or an instance has left."""

    cpu: int
    memory: int  # MiB
    interfaces: int
    ports: frozenset[int] = frozenset()  # of the host: needed, or taken

    def __sub__(self, need: Room) -> Room:
        return Room(self.cpu - need.cpu, self.memory - need.memory, self.interfaces - need.interfaces, self.ports | need.ports)

    def lacks(self, need: Room) -> str | None:
        """What is missing for a task, in the words of an event; None where it fits."""
        if need.interfaces > self.interfaces:
            return 'encountered error "RESOURCE:ENI".'
        if need.cpu > self.cpu:
            return "has insufficient CPU units available."
        if need.memory > self.memory:
            return "has insufficient memory available."
        if need.ports & self.ports:
            return "is already using a port required by your task."
        return None


def reconcile(state: State) -> None:
    """Bring container instances and groups in line with the clusters."""
    for region, ecs in list(ecs_backends[ACCOUNT].items()):
        for cluster in list(ecs.clusters.values()):
            _drop_gone_instances(state, region, ecs, cluster)
            if cluster.status == "ACTIVE":
                for name, group in groups_of(region, cluster).items():
                    _join(state, ecs, cluster, group)
                    _scale(state, region, cluster, name, group)


# Groups and their instances


def group_by_arn(region: str, arn: str) -> FakeAutoScalingGroup | None:
    """An auto-scaling group by its ARN."""
    group = autoscaling_backends[ACCOUNT][region].autoscaling_groups.get(arn.rpartition("/")[2])
    return group if group and group.arn == arn else None


def groups_of(region: str, cluster: Cluster) -> dict[str, FakeAutoScalingGroup]:
    """The auto-scaling groups of a cluster by the names of their capacity providers; Fargate's have none."""
    providers = ecs_backends[ACCOUNT][region].capacity_providers
    named = [(name, providers[name]) for name in cluster.capacity_providers or [] if name in providers]
    groups = {name: group_by_arn(region, provider.auto_scaling_group_provider["autoScalingGroupArn"]) for name, provider in named}
    return {name: group for name, group in groups.items() if group and group not in deleting}


def provider_of(region: str, cluster: Cluster, ec2_instance_id: str) -> str | None:
    """The capacity provider that an instance belongs to."""
    for name, group in groups_of(region, cluster).items():
        if ec2_instance_id in [member.instance.id for member in group.instance_states]:
            return name
    return None


def container_instances(region: str, cluster_name: str) -> list[ContainerInstance]:
    """Container instances of a cluster."""
    return list(ecs_backends[ACCOUNT][region].container_instances.get(cluster_name, {}).values())


def launch(state: State, group: FakeAutoScalingGroup, before: list[InstanceState]) -> None:
    """Let the instances that a group did not have before take their time until they are in service."""
    for member in [member for member in group.instance_states if member not in before]:
        launching.add(member)
        state.clock.after("group_instance_in_service", member.instance.id, partial(launching.discard, member))


def resize(state: State, region: str, group: FakeAutoScalingGroup, desired: int) -> None:
    """Set the number of instances of a group."""
    before = list(group.instance_states)
    autoscaling_backends[ACCOUNT][region].set_desired_capacity(group.name, desired)
    launch(state, group, before)


def _join(state: State, ecs: EC2ContainerServiceBackend, cluster: Cluster, group: FakeAutoScalingGroup) -> None:
    """Register the instances of a group with the cluster, as the agents on them do once they have started."""
    for member in list(group.instance_states):
        if member.instance.state == "running" and member not in launching and member not in joined:
            joined.add(member)
            state.clock.after("container_instance_registered", member.instance.id, _registration(ecs, cluster, group, member))


def _registration(
    ecs: EC2ContainerServiceBackend, cluster: Cluster, group: FakeAutoScalingGroup, member: InstanceState
) -> Callable[[], None]:
    def register() -> None:
        if member not in group.instance_states or cluster.status != "ACTIVE" or cluster.name not in ecs.clusters:
            return
        instance = ecs.register_container_instance(cluster.name, member.instance.id)
        room = whole(instance)
        for resource in (*instance.registered_resources, *instance.remaining_resources):
            resource["integerValue"] = {"CPU": room.cpu, "MEMORY": room.memory}.get(resource["name"], 0)

    return register


def _drop_gone_instances(state: State, region: str, ecs: EC2ContainerServiceBackend, cluster: Cluster) -> None:
    """Deregister instances that do not run any more, and stop the tasks that were on them."""
    instances = container_instances(region, cluster.name)
    if not instances:
        return
    running = {instance.id for instance in ec2_backends[ACCOUNT][region].all_instances() if instance.state in ("pending", "running")}
    for instance in instances:
        if instance.ec2_instance_id in running:
            continue
        for task in tasks_on(state, instance):
            task.stop("TerminationNotice", f"Host EC2 (instance {instance.ec2_instance_id}) terminated.")
            if task.process:
                task.process.kill()
        ecs.deregister_container_instance(cluster.name, instance.container_instance_arn, force=True)


# Room


def need_of(definition: TaskDefinition) -> Room:
    """What a task needs: the sizes of the task, or else those of its containers together."""
    containers = definition.container_definitions
    cpu = int(definition.cpu or 0) or sum(container.get("cpu", 0) for container in containers)
    memory = int(definition.memory or 0) or sum(
        container.get("memoryReservation") or container.get("memory", 0) for container in containers
    )
    if definition.network_mode == "awsvpc":
        return Room(cpu, memory, interfaces=1)
    ports = frozenset(mapping.get("hostPort", 0) for container in containers for mapping in container["portMappings"])
    return Room(cpu, memory, interfaces=0, ports=ports - {0})


def whole(instance: ContainerInstance) -> Room:
    """What an instance has without tasks. One of its network interfaces is its own.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-eni.html
    """
    return room_of_type(instance.attributes["ecs.instance-type"])


def room_of_type(instance_type: str) -> Room:
    """What an instance of a type has."""
    facts = INSTANCE_TYPES[instance_type]
    return Room(
        cpu=int(facts["VCpuInfo"]["DefaultVCpus"]) * CPU_UNITS,
        memory=int(facts["MemoryInfo"]["SizeInMiB"] * USABLE_MEMORY),
        interfaces=int(facts["NetworkInfo"]["MaximumNetworkInterfaces"]) - 1,
    )


def tasks_on(state: State, instance: ContainerInstance) -> list[Task]:
    """Tasks on an instance that have not stopped."""
    return [task for task in list(state.tasks.values()) if task.instance is instance and task.last_status != "STOPPED"]


def room_on(state: State, instance: ContainerInstance) -> Room:
    """What the tasks on an instance leave."""
    room = whole(instance)
    for task in tasks_on(state, instance):
        room -= need_of(task.definition)
    return room


def place(state: State, task: Task) -> bool:
    """Find room for a task; Fargate always has some. An event of the service says why there is none."""
    if task.launch_type == "FARGATE" or task.instance:
        return True
    region, cluster_name = task.service.region, task.service.cluster_name
    cluster = ecs_backends[ACCOUNT][region].clusters[cluster_name]
    need = need_of(task.definition)
    instances = [
        instance
        for instance in container_instances(region, cluster_name)
        if instance.status == "ACTIVE" and task.provider in (None, provider_of(region, cluster, instance.ec2_instance_id))
    ]
    rooms = [(instance, room_on(state, instance)) for instance in instances]
    fitting = [(instance, room) for instance, room in rooms if not room.lacks(need)]
    if fitting:
        task.instance = min(fitting, key=lambda pair: _preference(state, task, *pair))[0]
        return True
    if rooms:
        closest, room = max(rooms, key=lambda pair: (pair[1].interfaces, pair[1].cpu, pair[1].memory))
        why = f"The closest matching (container-instance {closest.id}) {room.lacks(need)}"
    else:
        why = f"Reason: No Container Instances were found in your {'capacity provider' if task.provider else 'cluster'}."
    task.service.say_once(f"was unable to place a task because no container instance met all of its requirements. {why}{MORE}")
    return False


def _preference(state: State, task: Task, instance: ContainerInstance, room: Room) -> tuple[float, ...]:
    """How an instance ranks by the service's placement strategy; the least is the best. Without one, the tasks spread over the instances.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html
    """
    others = [other for other in task.service.tasks(state) if other.instance and other is not task]
    ranks: list[float] = []
    for strategy in task.service.settings["placementStrategy"]:
        field = strategy.get("field", "").lower()
        if strategy["type"] == "binpack":
            ranks.append(room.cpu if field == "cpu" else room.memory)
        elif field in ("instanceid", "host"):
            ranks.append(sum(other.instance is instance for other in others))
        elif field.startswith("attribute:"):
            name = field.partition(":")[2]
            ranks.append(
                sum(bool(other.instance) and other.instance.attributes.get(name) == instance.attributes.get(name) for other in others)
            )
    return *ranks, len(tasks_on(state, instance))


# Managed scaling


def _scale(state: State, region: str, cluster: Cluster, provider_name: str, group: FakeAutoScalingGroup) -> None:
    """Size a group as managed scaling does: for its tasks, and for the reserve that a target capacity under 100 per cent leaves.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-auto-scaling.html
    """
    provider: Any = ecs_backends[ACCOUNT][region].capacity_providers[provider_name]
    scaling = provider.auto_scaling_group_provider["managedScaling"]
    if scaling["status"] != "ENABLED":
        return
    tasks = [
        task
        for task in state.tasks.values()
        if task.provider == provider_name and task.service.cluster_arn == cluster.arn and task.last_status != "STOPPED"
    ]
    used = {task.instance.ec2_instance_id for task in tasks if task.instance}
    needed = len(used) + _instances_for(group, [task for task in tasks if not task.instance and task.alive])
    desired = int(group.desired_capacity or 0)
    wanted = math.ceil(needed * 100 / scaling["targetCapacity"])
    if wanted > desired:
        wanted = desired + max(scaling["minimumScalingStepSize"], min(wanted - desired, scaling["maximumScalingStepSize"]))
    wanted = max(int(group.min_size or 0), min(wanted, int(group.max_size or 0)))
    if wanted >= desired:
        _spare_since.pop(group.arn, None)
        if wanted > desired:
            resize(state, region, group, wanted)
        return
    patience = max(SCALE_IN_AFTER, state.clock.seconds("capacity_provider_scale_in"))
    if time.monotonic() < _spare_since.setdefault(group.arn, time.monotonic()) + patience:
        return
    idle = [member.instance.id for member in group.instance_states if member.instance.id not in used]
    for instance_id in idle[: desired - wanted]:
        autoscaling_backends[ACCOUNT][region].terminate_instance(instance_id, should_decrement=True)


def _instances_for(group: FakeAutoScalingGroup, waiting: list[Task]) -> int:
    """How many more instances of a group the tasks need that wait for room; none for a task that fits on no empty one."""
    count, room = 0, None
    empty = room_of_type(group.instance_type)
    for need in sorted((need_of(task.definition) for task in waiting), key=lambda need: (need.cpu, need.memory), reverse=True):
        if empty.lacks(need):
            continue
        if room is None or room.lacks(need):
            count, room = count + 1, empty
        room -= need
    return count
