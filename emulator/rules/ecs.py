"""ECS: services and their tasks are the emulator's own; clusters, task definitions and the rest are moto's, amended.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, TaskDefinition, ecs_backends
from moto.elbv2.models import elbv2_backends

from emulator import capacity
from emulator.ecs_services import DEPLOYED, FARGATE_PROVIDERS, Service
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.tasks import Task
from emulator.wire import ACCOUNT

SERVICE_PAGE, TASK_PAGE, MOST_DESCRIBED = 10, 100, {"services": 10, "tasks": 100}
NOT_SETTINGS = {"cluster", "service", "serviceName", "desiredCount", "tags", "clientToken", "role", "forceNewDeployment"}


def invalid(message: str) -> AwsError:
    """The error that ECS answers to most wrong requests."""
    return AwsError("InvalidParameterException", message)


def backend_of(call: Call) -> EC2ContainerServiceBackend:
    """Moto's ECS in the region of a call."""
    return ecs_backends[ACCOUNT][call.region]


def cluster_of(call: Call) -> Cluster:
    """The active cluster that a call names by name or ARN, or the default one."""
    cluster = backend_of(call).clusters.get(call.params.get("cluster", "default").rpartition("/")[2])
    if cluster is None or cluster.status != "ACTIVE":
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def find_service(call: Call, cluster: Cluster, name_or_arn: str) -> Service | None:
    """A service by name or ARN, in whatever state."""
    return call.state.services.get((call.region, cluster.name, name_or_arn.rpartition("/")[2]))


def definition_of(call: Call, name: str) -> TaskDefinition:
    """The active task definition that a call names by family, family and revision, or ARN."""
    family, _, revision = name.rpartition("/")[2].partition(":")
    revisions = backend_of(call).task_definitions.get(family, {})
    if not revision:
        active = [number for number, definition in revisions.items() if definition.status == "ACTIVE"]
        revision = str(max(active, default=0))
    definition = revisions.get(int(revision)) if revision.isdigit() else None
    if definition is None:
        raise AwsError("ClientException", "TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise AwsError("ClientException", "TaskDefinition is inactive")
    return definition


def page(call: Call, items: list[Any], name: str, size: int) -> Answer:
    """One page of a list; the token is the place where the next one begins."""
    start = int(call.params.get("nextToken") or 0)
    end = start + int(call.params.get("maxResults") or size)
    return {name: items[start:end]} | ({"nextToken": str(end)} if end < len(items) else {})


# Services


@rule("ecs", "CreateService")
def create_service(call: Call, proceed: Proceed) -> Answer:
    """AWS keeps every field of the request and starts the service's tasks. Moto keeps few and starts nothing.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    with call.state.lock:
        cluster, params = cluster_of(call), call.params
        name = params["serviceName"]
        existing = find_service(call, cluster, name)
        if existing and existing.status == "DRAINING":
            raise invalid("Unable to Start a service that is still Draining.")
        if existing and existing.status == "ACTIVE":
            if existing.request != params:
                raise invalid("Creation of service was not idempotent.")
            return {"service": existing.describe(call.state, ["TAGS"])}
        settings = with_defaults(cluster, params)
        check_settings(call, cluster, settings)
        service = Service(call.region, cluster.name, name, settings, params.get("desiredCount", 0), params.get("tags", []), dict(params))
        call.state.services[call.region, cluster.name, name] = service
        backend_of(call).services[f"{cluster.name}:{name}"] = service  # type: ignore[assignment]
        return {"service": service.describe(call.state, ["TAGS"])}


def with_defaults(cluster: Cluster, params: dict[str, Any]) -> dict[str, Any]:
    """Settings of a new service, with what AWS fills in."""
    settings: dict[str, Any] = {
        "availabilityZoneRebalancing": "ENABLED",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "loadBalancers": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "propagateTags": "NONE",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "schedulingStrategy": "REPLICA",
        "serviceRegistries": [],
    }
    settings |= {name: value for name, value in params.items() if name not in NOT_SETTINGS}
    if not settings.get("capacityProviderStrategy"):
        settings.pop("capacityProviderStrategy", None)
        if "launchType" not in params:
            default = cluster.default_capacity_provider_strategy
            settings |= {"capacityProviderStrategy": default} if default else {"launchType": "EC2"}
    if settings["loadBalancers"]:
        settings.setdefault("healthCheckGracePeriodSeconds", 0)
    return fill_in(settings)


def fill_in(settings: dict[str, Any]) -> dict[str, Any]:
    """Add AWS's defaults within the fields of a service."""
    configuration = {"maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0}
    settings["deploymentConfiguration"] = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        **configuration,
        **settings.get("deploymentConfiguration", {}),
    }
    if network := settings.get("networkConfiguration", {}).get("awsvpcConfiguration"):
        settings["networkConfiguration"] = {"awsvpcConfiguration": {"securityGroups": [], "assignPublicIp": "DISABLED", **network}}
    strategy = settings.get("capacityProviderStrategy", [])
    if strategy:
        settings["capacityProviderStrategy"] = [{"weight": 0, "base": 0, **item} for item in strategy]
    if settings.get("launchType") == "FARGATE" or any(item["capacityProvider"] in FARGATE_PROVIDERS for item in strategy):
        settings.setdefault("platformVersion", "LATEST")
    else:
        settings.pop("platformVersion", None)
    return settings


def check_settings(call: Call, cluster: Cluster, settings: dict[str, Any]) -> None:
    """Refuse what AWS refuses, and write the task definition's full ARN into the settings."""
    definition = definition_of(call, settings.get("taskDefinition", ""))
    settings["taskDefinition"] = definition.arn
    strategy = settings.get("capacityProviderStrategy", [])
    if strategy and settings.get("launchType"):
        raise invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
    for item in strategy:
        name = item["capacityProvider"]
        if name not in FARGATE_PROVIDERS and name not in backend_of(call).capacity_providers:
            raise invalid(f"The specified capacity provider '{name}' was not found. Specify a valid name or ARN and try again.")
        if name not in (cluster.capacity_providers or []):
            raise invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. "
                "Associate the capacity provider with the cluster and try again."
            )
    # AWS finds out by itself what a task definition is compatible with; moto repeats requiresCompatibilities.
    for_fargate = definition.network_mode == "awsvpc" and definition.cpu and definition.memory
    if settings.get("launchType") == "FARGATE" and not for_fargate:
        raise invalid("Task definition does not support launch_type FARGATE.")
    has_network = "awsvpcConfiguration" in settings.get("networkConfiguration", {})
    if definition.network_mode == "awsvpc" and not has_network:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if definition.network_mode != "awsvpc" and has_network:
        raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
    if settings.get("healthCheckGracePeriodSeconds") and not settings["loadBalancers"]:
        raise invalid("Health check grace period is only valid for services configured to use load balancers")
    for balancer in settings["loadBalancers"]:
        check_load_balancer(call, definition, balancer)


def check_load_balancer(call: Call, definition: TaskDefinition, balancer: dict[str, Any]) -> None:
    """Refuse a load balancer that does not fit the task definition, or a target group that no load balancer uses."""
    name, port = balancer.get("containerName"), balancer.get("containerPort")
    container = next((container for container in definition.container_definitions if container["name"] == name), None)
    if container is None:
        raise invalid(f"The container {name} does not exist in the task definition.")
    if port not in [mapping["containerPort"] for mapping in container["portMappings"]]:
        raise invalid(f"The container {name} did not have a container port {port} defined.")
    arn = balancer.get("targetGroupArn", "")
    elb = elbv2_backends[ACCOUNT][call.region]
    if arn not in elb.target_groups:
        raise invalid(f"The specified target group does not exist: {arn}")
    if not elb._any_listener_using(arn):
        raise invalid(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


@rule("ecs", "UpdateService")
def update_service(call: Call, proceed: Proceed) -> Answer:
    """AWS changes the fields that the request names, and deploys anew if one of them concerns tasks. Moto knows few fields.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
    """
    with call.state.lock:
        cluster, params = cluster_of(call), call.params
        service = existing_service(call, cluster)
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        changes = {name: value for name, value in params.items() if name not in NOT_SETTINGS}
        settings = service.settings | changes
        settings["deploymentConfiguration"] = service.settings["deploymentConfiguration"] | changes.get("deploymentConfiguration", {})
        if changes.get("capacityProviderStrategy"):
            settings.pop("launchType", None)
        elif "capacityProviderStrategy" in changes:
            del settings["capacityProviderStrategy"]
            settings["launchType"] = "FARGATE" if service.on_fargate else "EC2"
        fill_in(settings)
        # The present task definition may have been deregistered since: only a new one must be active.
        if "taskDefinition" in changes or {"networkConfiguration", "loadBalancers", "capacityProviderStrategy"} & changes.keys():
            check_settings(call, cluster, settings)
        is_new = params.get("forceNewDeployment") or any(settings.get(name) != service.settings.get(name) for name in DEPLOYED)
        service.settings = settings
        if params.get("desiredCount") is not None and params["desiredCount"] != service.desired_count:
            service.desired_count = params["desiredCount"]
            service.steady = False
        if is_new:
            service.deploy()
        return {"service": service.describe(call.state, [])}


def existing_service(call: Call, cluster: Cluster) -> Service:
    """The service that a call names."""
    service = find_service(call, cluster, call.params["service"])
    if service is None:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    return service


@rule("ecs", "DeleteService")
def delete_service(call: Call, proceed: Proceed) -> Answer:
    """AWS stops the tasks first: the service is DRAINING meanwhile, then INACTIVE. Moto's is gone at once.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html
    """
    with call.state.lock:
        service = existing_service(call, cluster_of(call))
        if service.status == "INACTIVE":
            raise AwsError("ServiceNotFoundException", "Service not found.")
        if service.desired_count and not call.params.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired_count = "DRAINING", 0
        return {"service": service.describe(call.state, [])}


@rule("ecs", "DescribeServices")
def describe_services(call: Call, proceed: Proceed) -> Answer:
    """AWS tells all about up to ten services, inactive ones too. Moto tells what it has kept.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
    """
    return describe(
        call,
        "services",
        lambda cluster, name: find_service(call, cluster, name),
        lambda service: service.describe(call.state, call.params.get("include", [])),
        lambda cluster, name: f"arn:aws:ecs:{call.region}:{ACCOUNT}:service/{cluster.name}/{name}",
    )


def describe(
    call: Call,
    kind: str,
    find: Callable[[Cluster, str], Any],
    tell: Callable[[Any], Answer],
    arn: Callable[[Cluster, str], str],
) -> Answer:
    """The answer of DescribeServices and DescribeTasks: what was found, and failures for the rest."""
    with call.state.lock:
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


@rule("ecs", "ListServices")
def list_services(call: Call, proceed: Proceed) -> Answer:
    """AWS lists active services only, ten a page. Moto lists all at once.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html
    """
    cluster, params = cluster_of(call), call.params
    arns = [
        service.arn
        for (region, cluster_name, _), service in sorted(list(call.state.services.items()))
        if (region, cluster_name, service.status) == (call.region, cluster.name, "ACTIVE")
        and params.get("launchType") in (None, service.launch_type)
        and params.get("schedulingStrategy") in (None, service.scheduling_strategy)
    ]
    return page(call, arns, "serviceArns", SERVICE_PAGE)


# Tasks


def tasks_of(call: Call, cluster: Cluster) -> list[Task]:
    """Tasks of services in a cluster."""
    return [task for task in list(call.state.tasks.values()) if task.service.cluster_arn == cluster.arn]


def find_task(call: Call, cluster: Cluster, name: str) -> Task | None:
    """A task of a service by ID or ARN."""
    return call.state.tasks.get(f"arn:aws:ecs:{call.region}:{ACCOUNT}:task/{cluster.name}/{name.rpartition('/')[2]}")


@rule("ecs", "ListTasks")
def list_tasks(call: Call, proceed: Proceed) -> Answer:
    """AWS lists the tasks of services too. Moto knows only those of RunTask, which are added here.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
    """
    cluster, params = cluster_of(call), call.params
    if "serviceName" in params and not find_service(call, cluster, params["serviceName"]):
        raise AwsError("ServiceNotFoundException", "Service not found.")
    arns = [
        task.arn
        for task in tasks_of(call, cluster)
        if task.desired_status == params.get("desiredStatus", "RUNNING")
        and params.get("serviceName", task.service.name).rpartition("/")[2] == task.service.name
        and params.get("family") in (None, task.definition.family)
        and params.get("launchType") in (None, task.launch_type)
        and params.get("startedBy") in (None, task.deployment.id)
        and params.get("containerInstance", "").rpartition("/")[2] in ("", task.instance.id if task.instance else None)
    ]
    others = [] if "serviceName" in params else proceed().get("taskArns", [])
    return page(call, arns + others, "taskArns", TASK_PAGE)


@rule("ecs", "DescribeTasks")
def describe_tasks(call: Call, proceed: Proceed) -> Answer:
    """AWS tells of the tasks of services too, for a while after they have stopped. Moto knows only those of RunTask.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
    """
    include = call.params.get("include", [])
    moto = {task.id: task for task in backend_of(call).tasks.get(cluster_of(call).name, {}).values()}
    if any(name.rpartition("/")[2] in moto for name in call.params["tasks"]):
        return proceed()
    return describe(
        call,
        "tasks",
        lambda cluster, name: find_task(call, cluster, name),
        lambda task: task.describe(include),
        lambda cluster, name: f"arn:aws:ecs:{call.region}:{ACCOUNT}:task/{cluster.name}/{name}",
    )


@rule("ecs", "StopTask")
def stop_task(call: Call, proceed: Proceed) -> Answer:
    """AWS stops the task, and its service starts another one.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html
    """
    with call.state.lock:
        cluster = cluster_of(call)
        task = find_task(call, cluster, call.params["task"])
        if task:
            task.stop("UserInitiated", call.params.get("reason") or "Task stopped by user")
            return {"task": task.describe([])}
        if not backend_of(call).tasks.get(cluster.name):
            raise invalid("The referenced task was not found.")
        return proceed()


# Clusters and container instances


@rule("ecs", "CreateCluster")
def create_cluster(call: Call, proceed: Proceed) -> Answer:
    """AWS answers with the cluster of that name if there is one. Moto makes a new one in its place.

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


def services_in(call: Call, cluster_name: str) -> list[Service]:
    """Active services of a cluster."""
    return [
        service
        for service in list(call.state.services.values())
        if (service.region, service.cluster_name, service.status) == (call.region, cluster_name, "ACTIVE")
    ]


@rule("ecs", "DescribeClusters")
def describe_clusters(call: Call, proceed: Proceed) -> Answer:
    """AWS counts the services, tasks and instances of a cluster. Moto does not see those of services.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Cluster.html
    """
    with call.state.lock:
        answer = proceed()
        for cluster in answer["clusters"]:
            cluster |= cluster_counts(call, cluster["clusterName"])
        return answer


@rule("ecs", "ListClusters")
def list_clusters(call: Call, proceed: Proceed) -> Answer:
    """A deleted cluster is INACTIVE and still described, but not listed. Moto lists it.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    return {"clusterArns": [cluster.arn for cluster in list(backend_of(call).clusters.values()) if cluster.status == "ACTIVE"]}


@rule("ecs", "DeleteCluster")
def delete_cluster(call: Call, proceed: Proceed) -> Answer:
    """A cluster cannot be deleted while it has services, tasks or container instances. Moto deletes it.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
    """
    with call.state.lock:
        cluster = cluster_of(call)
        if services_in(call, cluster.name):
            raise AwsError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
        if capacity.container_instances(call.region, cluster.name):
            message = "The Cluster cannot be deleted while Container Instances are active or draining."
            raise AwsError("ClusterContainsContainerInstancesException", message)
        if any(task.last_status != "STOPPED" for task in tasks_of(call, cluster)):
            raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
        return proceed()


@rule("ecs", "DescribeContainerInstances")
def describe_container_instances(call: Call, proceed: Proceed) -> Answer:
    """AWS tells the capacity provider of an instance and how many tasks it runs. Moto does not know.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html
    """
    with call.state.lock:
        answer, cluster = proceed(), cluster_of(call)
        for instance in answer["containerInstances"]:
            arn = instance["containerInstanceArn"]
            tasks = [task for task in tasks_of(call, cluster) if task.instance and task.instance.container_instance_arn == arn]
            instance["runningTasksCount"] = sum(task.last_status == "RUNNING" for task in tasks)
            instance["pendingTasksCount"] = sum(task.last_status == "PENDING" for task in tasks)
            instance["capacityProviderName"] = capacity.provider_of(call.region, cluster, instance["ec2InstanceId"])
        return answer
