"""ECS: clusters, their container instances and capacity providers: moto's, amended."""

from __future__ import annotations

import re
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ecs.models import Cluster

from emulator import capacity
from emulator.ecs_services import FARGATE_PROVIDERS, Service
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ecs import backend_of, client_error, cluster_of, invalid, tasks_of
from emulator.rules.ecs_service_checks import check_provider_exists, check_strategy_base, check_strategy_kind, check_strategy_providers
from emulator.wire import ACCOUNT

RESERVED_NAME = re.compile(r"(aws|ecs|fargate)", re.IGNORECASE)


# Clusters


@rule("ecs", "CreateCluster")
def create_cluster(call: Call, proceed: Proceed) -> Answer:
    """AWS answers with the cluster of that name if there is one. Moto makes a new one in its place.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html
    """
    cluster = backend_of(call).clusters.get(call.params.get("clusterName", "default"))
    if cluster is None or cluster.status != "ACTIVE":
        return proceed()
    names = ("settings", "configuration", "capacity_providers", "default_capacity_provider_strategy", "tags", "status")
    described = {camel_case(name): getattr(cluster, name) for name in names}
    return {"cluster": {"clusterArn": cluster.arn, "clusterName": cluster.name, **described, **cluster_counts(call, cluster.name)}}


def camel_case(name: str) -> str:
    """A name of the API from one of Python."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def cluster_counts(call: Call, name: str) -> dict[str, int]:
    """How many services, tasks and instances a cluster has."""
    tasks = [task for task in list(call.state.tasks.values()) if (task.service.region, task.service.cluster_name) == (call.region, name)]
    return {
        "activeServicesCount": len(services_in(call, name)),
        "runningTasksCount": sum(task.last_status == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.last_status in ("PROVISIONING", "PENDING") for task in tasks),
        "registeredContainerInstancesCount": len(capacity.container_instances(call.region, name)),
    }


def services_in(call: Call, cluster_name: str, *statuses: str) -> list[Service]:
    """Services of a cluster in these states; active ones where none are named."""
    return [
        service
        for service in list(call.state.services.values())
        if (service.region, service.cluster_name) == (call.region, cluster_name) and service.status in (statuses or ("ACTIVE",))
    ]


@rule("ecs", "DescribeClusters")
def describe_clusters(call: Call, proceed: Proceed) -> Answer:
    """AWS counts the services, tasks and instances of a cluster, and tells how its capacity providers are attached. Moto knows neither.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Cluster.html
    """
    answer = proceed()
    for described in answer["clusters"]:
        described |= cluster_counts(call, described["clusterName"])
        cluster = backend_of(call).clusters[described["clusterName"]]
        if "ATTACHMENTS" in call.params.get("include", []) and capacity.groups_of(call.region, cluster):
            described["attachmentsStatus"] = "UPDATE_IN_PROGRESS" if cluster in capacity.attaching else "UPDATE_COMPLETE"
    return answer


@rule("ecs", "ListClusters")
def list_clusters(call: Call, proceed: Proceed) -> Answer:
    """A deleted cluster is INACTIVE and still described, but not listed. Moto lists it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    return {"clusterArns": [cluster.arn for cluster in list(backend_of(call).clusters.values()) if cluster.status == "ACTIVE"]}


@rule("ecs", "DeleteCluster")
def cluster_with_tasks(call: Call, proceed: Proceed) -> Answer:
    """A cluster with tasks stays: ClusterContainsTasksException. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    cluster = cluster_of(call)
    standalone = backend_of(call).tasks.get(cluster.name, {}).values()  # moto's, of RunTask
    if any(task.last_status != "STOPPED" for task in [*tasks_of(call, cluster), *standalone]):
        raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    return proceed()


@rule("ecs", "DeleteCluster")
def cluster_with_instances(call: Call, proceed: Proceed) -> Answer:
    """A cluster with container instances stays: ClusterContainsContainerInstancesException. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    if capacity.container_instances(call.region, cluster_of(call).name):
        message = "The Cluster cannot be deleted while Container Instances are active or draining."
        raise AwsError("ClusterContainsContainerInstancesException", message)
    return proceed()


@rule("ecs", "DeleteCluster")
def cluster_with_services(call: Call, proceed: Proceed) -> Answer:
    """A cluster with services stays, draining ones included: ClusterContainsServicesException. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    if services_in(call, cluster_of(call).name, "ACTIVE", "DRAINING"):
        raise AwsError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    return proceed()


# Capacity providers of a cluster


@rule("ecs", "CreateCluster", "PutClusterCapacityProviders")
def attach_capacity_providers(call: Call, proceed: Proceed) -> Answer:
    """AWS attaches the providers of auto-scaling groups in the background, and takes no other change meanwhile. Moto is done at once.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html
    """
    name = (call.params.get("clusterName") or call.params.get("cluster") or "default").rpartition("/")[2]
    cluster = backend_of(call).clusters.get(name)
    before = list(cluster.capacity_providers or []) if cluster else []
    answer = proceed()
    cluster = backend_of(call).clusters[name]
    if any(provider not in FARGATE_PROVIDERS for provider in {*before} ^ {*(cluster.capacity_providers or [])}):
        attach(call, cluster)
    return answer


def attach(call: Call, cluster: Cluster) -> None:
    """Have a cluster busy with its capacity providers for a while."""
    capacity.attaching.add(cluster)
    call.state.clock.after("capacity_providers_attached", cluster.name, lambda: capacity.attaching.discard(cluster))


@rule("ecs", "PutClusterCapacityProviders", "DeleteCluster")
def attachments_are_changing(call: Call, proceed: Proceed) -> Answer:
    """A cluster whose capacity providers are still being attached or detached is not changed: UpdateInProgressException. Moto changes it.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html
    """
    if cluster_of(call) in capacity.attaching:
        raise AwsError(
            "UpdateInProgressException",
            "The specified cluster is in a busy state. Cluster attachments must be in UPDATE_COMPLETE or UPDATE_FAILED state before they "
            "can be updated. Wait and try again.",
        )
    return proceed()


@rule("ecs", "PutClusterCapacityProviders")
def provider_in_use(call: Call, proceed: Proceed) -> Answer:
    """A provider that services or tasks of the cluster use stays: ResourceInUseException. Moto takes it away.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html
    """
    cluster = cluster_of(call)
    strategies = [service.settings.get("capacityProviderStrategy", []) for service in services_in(call, cluster.name, "ACTIVE", "DRAINING")]
    used = {item["capacityProvider"] for strategy in strategies for item in strategy}
    used |= {str(task.provider) for task in tasks_of(call, cluster) if task.last_status != "STOPPED"}
    if ({*(cluster.capacity_providers or [])} - {*call.params["capacityProviders"]}) & used:
        raise AwsError("ResourceInUseException", "The specified capacity provider is in use and cannot be removed.")
    return proceed()


@rule("ecs", "CreateCluster", "PutClusterCapacityProviders")
def default_strategy(call: Call, proceed: Proceed) -> Answer:
    """A cluster's providers exist, and its default strategy names them alone, of one kind: InvalidParameterException. Moto takes any name.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutClusterCapacityProviders.html
    """
    providers, strategy = call.params.get("capacityProviders", []), call.params.get("defaultCapacityProviderStrategy", [])
    for name in providers:
        check_provider_exists(call, name)
    check_strategy_providers(call, strategy, providers)
    check_strategy_kind(strategy)
    check_strategy_base(strategy)
    return proceed()


# Capacity providers themselves


@rule("ecs", "CreateCapacityProvider")
def managed_group_is_tagged(call: Call, proceed: Proceed) -> Answer:
    """ECS tags a group that it scales with AmazonECSManaged, for its new instances too. Moto tags nothing.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html
    """
    answer = proceed()
    provider = call.params.get("autoScalingGroupProvider", {})
    if provider.get("managedScaling", {}).get("status") == "ENABLED":
        tag = {"Key": "AmazonECSManaged", "Value": "", "PropagateAtLaunch": True, "ResourceType": "auto-scaling-group"}
        name = provider["autoScalingGroupArn"].rpartition("/")[2]
        autoscaling_backends[ACCOUNT][call.region].create_or_update_tags([tag | {"ResourceId": name}])
    return answer


@rule("ecs", "CreateCapacityProvider")
def provider_name_is_free(call: Call, proceed: Proceed) -> Answer:
    """A provider of that name, or a name that AWS reserves: ClientException. Moto puts the new provider in the place of the old one.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
    """
    if RESERVED_NAME.match(call.params["name"]):
        raise client_error("The specified capacity provider name is invalid. Names cannot be prefixed with aws, ecs, or fargate.")
    if call.params["name"] in backend_of(call).capacity_providers:
        raise client_error(
            "The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the "
            "capacity provider."
        )
    return proceed()


@rule("ecs", "CreateCapacityProvider")
def provider_has_a_group_of_its_own(call: Call, proceed: Proceed) -> Answer:
    """The auto-scaling group exists and serves no other provider: ClientException. Moto does not look.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AutoScalingGroupProvider.html
    """
    arn = group_arn(call)
    group = capacity.group_by_arn(call.region, arn)
    if group is None or group in capacity.deleting:
        raise client_error(f"The specified Auto Scaling group ARN is not valid: {arn}. Specify a valid ARN and try again.")
    if any(arn == provider.auto_scaling_group_provider["autoScalingGroupArn"] for provider in backend_of(call).capacity_providers.values()):
        raise client_error(
            "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a unique Auto Scaling group "
            "ARN and try again."
        )
    return proceed()


def group_arn(call: Call) -> str:
    """ARN of the group of the provider that a call makes or changes."""
    given = call.params.get("autoScalingGroupProvider", {})
    if "autoScalingGroupArn" in given:
        return str(given["autoScalingGroupArn"])
    provider = backend_of(call).capacity_providers.get(call.params["name"])
    return str(provider.auto_scaling_group_provider["autoScalingGroupArn"]) if provider else ""


@rule("ecs", "CreateCapacityProvider", "UpdateCapacityProvider")
def termination_protection(call: Call, proceed: Proceed) -> Answer:
    """Managed termination protection needs a group that protects new instances from scale-in: ClientException. Moto does not look.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-termination-protection.html
    """
    given = call.params.get("autoScalingGroupProvider", {})
    group = capacity.group_by_arn(call.region, group_arn(call))
    if given.get("managedTerminationProtection") == "ENABLED" and group and not group.new_instances_protected_from_scale_in:
        raise client_error(
            "The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection "
            "for a capacity provider, the Auto Scaling group must have instance protection from scale in enabled."
        )
    return proceed()


@rule("ecs", "CreateCapacityProvider", "UpdateCapacityProvider")
def scaling_steps(call: Call, proceed: Proceed) -> Answer:
    """The smallest step of managed scaling is at most the largest: ClientException. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedScaling.html
    """
    scaling = call.params.get("autoScalingGroupProvider", {}).get("managedScaling", {})
    if scaling.get("minimumScalingStepSize", 1) > scaling.get("maximumScalingStepSize", 10000):
        raise client_error("The minimum or maximum scaling step size value is invalid.")
    return proceed()


@rule("ecs", "UpdateCapacityProvider")
def managed_draining(call: Call, proceed: Proceed) -> Answer:
    """Managed draining can be changed. Moto keeps what the provider was made with.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AutoScalingGroupProviderUpdate.html
    """
    answer = proceed()
    draining = call.params.get("autoScalingGroupProvider", {}).get("managedDraining")
    if draining:
        backend_of(call).capacity_providers[answer["capacityProvider"]["name"]].auto_scaling_group_provider["managedDraining"] = draining
        answer["capacityProvider"]["autoScalingGroupProvider"]["managedDraining"] = draining
    return answer


@rule("ecs", "DeleteCapacityProvider", "UpdateCapacityProvider")
def provider_exists(call: Call, proceed: Proceed) -> Answer:
    """A provider that does not exist: ClientException. Moto fails with an error of its own.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCapacityProvider.html
    """
    if backend_of(call)._get_provider(call.params.get("capacityProvider") or call.params.get("name", "")) is None:
        raise client_error("The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
    return proceed()


@rule("ecs", "DeleteCapacityProvider")
def provider_of_a_cluster(call: Call, proceed: Proceed) -> Answer:
    """A provider that belongs to a cluster stays: ClientException. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCapacityProvider.html
    """
    name = call.params["capacityProvider"].rpartition("/")[2]
    for cluster in list(backend_of(call).clusters.values()):
        if cluster.status == "ACTIVE" and name in (cluster.capacity_providers or []):
            raise client_error(
                f"The capacity provider cannot be deleted because it is associated with cluster: {cluster.name}. "
                "Remove the capacity provider from the cluster and try again."
            )
    return proceed()


# Container instances


@rule("ecs", "DescribeContainerInstances")
def describe_container_instances(call: Call, proceed: Proceed) -> Answer:
    """AWS tells the capacity provider of an instance, its tasks and what room they leave. Moto does not know.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html
    """
    answer, cluster = proceed(), cluster_of(call)
    instances = {instance.container_instance_arn: instance for instance in capacity.container_instances(call.region, cluster.name)}
    for described in answer["containerInstances"]:
        instance = instances[described["containerInstanceArn"]]
        tasks = capacity.tasks_on(call.state, instance)
        described["runningTasksCount"] = sum(task.last_status == "RUNNING" for task in tasks)
        described["pendingTasksCount"] = sum(task.last_status == "PENDING" for task in tasks)
        described["capacityProviderName"] = capacity.provider_of(call.region, cluster, described["ec2InstanceId"])
        room = capacity.room_on(call.state, instance)
        for name, value in (("CPU", room.cpu), ("MEMORY", room.memory)):
            next(each for each in described["remainingResources"] if each["name"] == name)["integerValue"] = value
    return answer


@rule("ecs", "DeregisterContainerInstance")
def instance_with_tasks(call: Call, proceed: Proceed) -> Answer:
    """An instance with tasks is deregistered only by force: InvalidParameterException. Moto does not see the tasks of services.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterContainerInstance.html
    """
    wanted: Any = call.params["containerInstance"].rpartition("/")[2]
    for instance in capacity.container_instances(call.region, cluster_of(call).name):
        if instance.id == wanted and capacity.tasks_on(call.state, instance) and not call.params.get("force"):
            raise invalid("Found running tasks on the instance.")
    return proceed()
