"""ECS: services, which the emulator keeps and runs itself."""

from __future__ import annotations

from typing import Any

from moto.ecs.models import Cluster

from emulator.ecs_services import DEPLOYED, FARGATE_PROVIDERS, Service
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ecs import backend_of, cluster_of, definition_of, describe, find_service, invalid, page
from emulator.wire import ACCOUNT

SERVICE_PAGE = 10
NOT_SETTINGS = {"cluster", "service", "serviceName", "desiredCount", "tags", "clientToken", "role", "forceNewDeployment"}


@rule("ecs", "CreateService")
def create_service(call: Call, proceed: Proceed) -> Answer:
    """AWS keeps every field of the request and starts the service's tasks. Moto keeps few and starts nothing.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    cluster, params = cluster_of(call), call.params
    name = params["serviceName"]
    existing = find_service(call, cluster, name)
    if existing and existing.status == "ACTIVE":
        return {"service": existing.describe(call.state, ["TAGS"])}
    settings = wanted(call)
    settings["taskDefinition"] = definition_of(call, settings.get("taskDefinition", "")).arn
    service = Service(call.region, cluster.name, name, settings, params.get("desiredCount", 0), params.get("tags", []), dict(params))
    call.state.services[call.region, cluster.name, name] = service
    backend_of(call).services[f"{cluster.name}:{name}"] = service  # type: ignore[assignment]
    return {"service": service.describe(call.state, ["TAGS"])}


@rule("ecs", "UpdateService")
def update_service(call: Call, proceed: Proceed) -> Answer:
    """AWS changes the fields that the request names, and deploys anew if one of them concerns tasks. Moto knows few fields.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
    """
    service, params = existing_service(call), call.params
    settings = wanted(call)
    if "taskDefinition" in params:
        settings["taskDefinition"] = definition_of(call, params["taskDefinition"]).arn
    is_new = params.get("forceNewDeployment") or any(settings.get(name) != service.settings.get(name) for name in DEPLOYED)
    service.settings = settings
    if params.get("desiredCount") is not None and params["desiredCount"] != service.desired_count:
        service.desired_count = params["desiredCount"]
        service.steady = False
    if is_new:
        service.deploy()
    return {"service": service.describe(call.state, [])}


def existing_service(call: Call) -> Service:
    """The service that a call names."""
    service = find_service(call, cluster_of(call), call.params["service"])
    if service is None:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    return service


def wanted(call: Call) -> dict[str, Any]:
    """Settings that a service is to have after CreateService or UpdateService."""
    params = call.params
    changes = {name: value for name, value in params.items() if name not in NOT_SETTINGS}
    if call.operation == "CreateService":
        return fill_in(with_defaults(cluster_of(call), changes))
    service = existing_service(call)
    settings = service.settings | changes
    settings["deploymentConfiguration"] = service.settings["deploymentConfiguration"] | changes.get("deploymentConfiguration", {})
    if changes.get("capacityProviderStrategy"):
        settings.pop("launchType", None)
    elif "capacityProviderStrategy" in changes:
        del settings["capacityProviderStrategy"]
        settings["launchType"] = "FARGATE" if service.on_fargate else "EC2"
    return fill_in(settings)


def with_defaults(cluster: Cluster, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a new service, with what AWS adds where nothing is said."""
    settings: dict[str, Any] = {
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
        **given,
    }
    if not settings.get("capacityProviderStrategy"):
        settings.pop("capacityProviderStrategy", None)
        if "launchType" not in given:
            default = cluster.default_capacity_provider_strategy
            settings |= {"capacityProviderStrategy": default} if default else {"launchType": "EC2"}
    if settings["loadBalancers"]:
        settings.setdefault("healthCheckGracePeriodSeconds", 0)
    return settings


def fill_in(settings: dict[str, Any]) -> dict[str, Any]:
    """Add AWS's defaults within the fields of a service."""
    configuration = {"maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0}
    settings["deploymentConfiguration"] = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        **configuration,
        **settings.get("deploymentConfiguration", {}),
    }
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
    balanced = settings["deploymentConfiguration"]["maximumPercent"] > 100 and settings["schedulingStrategy"] == "REPLICA"
    settings.setdefault("availabilityZoneRebalancing", "ENABLED" if balanced else "DISABLED")
    if network := settings.get("networkConfiguration", {}).get("awsvpcConfiguration"):
        settings["networkConfiguration"] = {"awsvpcConfiguration": {"securityGroups": [], "assignPublicIp": "DISABLED", **network}}
    strategy = settings.get("capacityProviderStrategy", [])
    if strategy:
        settings["capacityProviderStrategy"] = [{"weight": 0, "base": 0, **item} for item in strategy]
    if on_fargate(settings):
        settings.setdefault("platformVersion", "LATEST")
    return settings


def on_fargate(settings: dict[str, Any]) -> bool:
    """Whether a service of these settings runs on Fargate."""
    strategy = settings.get("capacityProviderStrategy", [])
    return settings.get("launchType") == "FARGATE" or any(item["capacityProvider"] in FARGATE_PROVIDERS for item in strategy)


@rule("ecs", "DeleteService")
def delete_service(call: Call, proceed: Proceed) -> Answer:
    """AWS stops the tasks first: the service is DRAINING meanwhile, then INACTIVE. Moto's is INACTIVE at once.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html
    """
    service = existing_service(call)
    if service.status == "INACTIVE":
        raise AwsError("ServiceNotFoundException", "Service not found.")
    if service.desired_count and not call.params.get("force"):
        raise invalid("The service cannot be stopped while it is scaled above 0.")
    if service.status == "ACTIVE":
        service.drain(call.state)
    return {"service": service.describe(call.state, [])}


@rule("ecs", "DescribeServices")
def describe_services(call: Call, proceed: Proceed) -> Answer:
    """AWS tells all about up to ten services, inactive ones too. Moto tells what it has kept.

    Moto could take a part of it: the limit of ten.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
    """
    return describe(
        call,
        "services",
        lambda cluster, name: find_service(call, cluster, name),
        lambda service: service.describe(call.state, call.params.get("include", [])),
        lambda cluster, name: f"arn:aws:ecs:{call.region}:{ACCOUNT}:service/{cluster.name}/{name}",
    )


@rule("ecs", "ListServices")
def list_services(call: Call, proceed: Proceed) -> Answer:
    """AWS lists services that are not deleted, ten a page. Moto lists all at once.

    Moto could take it.
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
