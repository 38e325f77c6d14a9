"""ECS: what CreateService and UpdateService refuse. Moto keeps whatever it is given.

Where no code is named, the error is InvalidParameterException. The checks see the settings as they would become, with defaults and with
what an update leaves alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from moto.ecs.models import TaskDefinition
from moto.elbv2.models import elbv2_backends

from emulator.ecs_services import DEPLOYED, FARGATE_PROVIDERS
from emulator.rules import Answer, AwsError, Call, Proceed, Rule, rule
from emulator.rules.ec2 import ec2_of
from emulator.rules.ecs import backend_of, cluster_of, definition_of, find_service, invalid
from emulator.rules.ecs_services import existing_service, on_fargate, wanted
from emulator.wire import ACCOUNT

Settings = dict[str, Any]

SERVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
CHECKED = {*DEPLOYED, "deploymentConfiguration", "healthCheckGracePeriodSeconds", "availabilityZoneRebalancing"}
CHECKED |= {"placementConstraints", "placementStrategy"}


def check(function: Callable[[Call, Settings], None]) -> Rule:
    """Make a check of a service's settings a rule of both calls; it raises where AWS refuses them."""

    @rule("ecs", "CreateService", "UpdateService")
    @wraps(function)
    def checked(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "CreateService" or CHECKED & call.params.keys():
            function(call, wanted(call))
        return proceed()

    return checked


def definition_in(call: Call, settings: Settings) -> TaskDefinition:
    """The task definition of the settings. One that the service has already may have been deregistered since."""
    if "taskDefinition" in call.params or call.operation == "CreateService":
        return definition_of(call, settings.get("taskDefinition", ""))
    return backend_of(call).describe_task_definition(settings["taskDefinition"])


def network_in(settings: Settings) -> dict[str, Any]:
    """The subnets, security groups and so on of the settings."""
    return dict(settings.get("networkConfiguration", {}).get("awsvpcConfiguration", {}))


@check
def task_definition_is_active(call: Call, settings: Settings) -> None:
    """A new task definition exists and has not been deregistered: ClientException. Moto takes inactive ones.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deregister-task-definition-v2.html
    """
    definition_in(call, settings)


@check
def launch_type_or_strategy(call: Call, settings: Settings) -> None:
    """A launch type and a capacity provider strategy exclude each other.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    if call.params.get("capacityProviderStrategy") and call.params.get("launchType"):
        raise invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")


@check
def strategy_of_one_kind(call: Call, settings: Settings) -> None:
    """A strategy names providers of Fargate or of auto-scaling groups, not both.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html
    """
    check_strategy_kind(settings.get("capacityProviderStrategy", []))


def check_strategy_kind(strategy: list[dict[str, Any]]) -> None:
    """Refuse a strategy that mixes Fargate and instances."""
    if len({item["capacityProvider"] in FARGATE_PROVIDERS for item in strategy}) > 1:
        raise invalid(
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and Fargate providers. "
            "Specify one or the other and try again."
        )


@check
def strategy_with_one_base(call: Call, settings: Settings) -> None:
    """At most one provider of a strategy has a base.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
    """
    check_strategy_base(settings.get("capacityProviderStrategy", []))


def check_strategy_base(strategy: list[dict[str, Any]]) -> None:
    """Refuse a strategy with several bases."""
    if sum(bool(item.get("base")) for item in strategy) > 1:
        raise invalid(
            "The specified capacity provider strategy is invalid. There are multiple capacity providers in the specified capacity provider "
            "strategy with a base value defined."
        )


@check
def strategy_with_a_weight(call: Call, settings: Settings) -> None:
    """Where a strategy has several providers, one of them has a weight.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
    """
    strategy = settings.get("capacityProviderStrategy", [])
    if len(strategy) > 1 and not any(item["weight"] for item in strategy):
        raise invalid("The specified capacity provider strategy must have at least one capacity provider with a weight greater than 0.")


@check
def strategy_of_the_cluster(call: Call, settings: Settings) -> None:
    """A strategy names capacity providers that exist and belong to the cluster.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
    """
    check_strategy_providers(call, settings.get("capacityProviderStrategy", []), cluster_of(call).capacity_providers or [])


def check_strategy_providers(call: Call, strategy: list[dict[str, Any]], associated: list[str]) -> None:
    """Refuse a strategy with providers that do not exist, or are not associated with the cluster."""
    for item in strategy:
        check_provider_exists(call, item["capacityProvider"])
        if item["capacityProvider"] not in associated:
            raise invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. "
                "Associate the capacity provider with the cluster and try again."
            )


def check_provider_exists(call: Call, name: str) -> None:
    """Refuse a capacity provider that nobody has made."""
    if name not in FARGATE_PROVIDERS and name not in backend_of(call).capacity_providers:
        raise invalid(f"The specified capacity provider '{name}' was not found. Specify a valid name or ARN and try again.")


@rule("ecs", "UpdateService")
def changed_strategy_needs_a_deployment(call: Call, proceed: Proceed) -> Answer:
    """Another strategy, or a strategy in place of a launch type, takes effect only with forceNewDeployment. Moto changes it without.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/update-service-parameters.html
    """
    now = existing_service(call).settings.get("capacityProviderStrategy")
    if wanted(call).get("capacityProviderStrategy") != now and not call.params.get("forceNewDeployment"):
        raise invalid(
            "When switching from launch type to capacity provider strategy on an existing service, or making a change to a capacity "
            "provider strategy on a service that is already using one, you must force a new deployment."
        )
    return proceed()


@check
def fargate_compatible(call: Call, settings: Settings) -> None:
    """Fargate runs only task definitions of network mode awsvpc and of one of its sizes.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
    """
    if on_fargate(settings) and "FARGATE" not in definition_in(call, settings).compatibilities:
        raise invalid("Task definition does not support launch_type FARGATE.")


@check
def awsvpc_needs_a_network(call: Call, settings: Settings) -> None:
    """Subnets are needed in network mode awsvpc, and only there.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html
    """
    is_awsvpc = definition_in(call, settings).network_mode == "awsvpc"
    if is_awsvpc and not network_in(settings):
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if network_in(settings) and not is_awsvpc:
        raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")


@check
def public_address_only_on_fargate(call: Call, settings: Settings) -> None:
    """Tasks on instances get no public address.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    """
    if network_in(settings).get("assignPublicIp") == "ENABLED" and not on_fargate(settings):
        raise invalid("Assign public IP is not supported for this launch type.")


@check
def known_subnets(call: Call, settings: Settings) -> None:
    """The subnets exist, one at least. Moto looks at those of a new service only.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    """
    network = network_in(settings)
    known = ec2_of(call).subnets
    if network and not network["subnets"]:
        raise invalid("subnets can not be empty.")
    for subnet in network.get("subnets", []):
        if not any(subnet in zone for zone in known.values()):
            raise invalid(
                f"Error retrieving subnet information for [{', '.join(network['subnets'])}]: "
                f"The subnet ID '{subnet}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
            )


@check
def known_security_groups(call: Call, settings: Settings) -> None:
    """The security groups exist. Moto looks at those of a new service only.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    """
    groups = network_in(settings).get("securityGroups", [])
    for group in groups:
        if not ec2_of(call).get_security_group_from_id(group):
            raise invalid(
                f"Error retrieving security group information for [{', '.join(groups)}]: "
                f"The security group '{group}' does not exist (ErrorCode: InvalidGroup.NotFound)"
            )


@check
def network_in_one_vpc(call: Call, settings: Settings) -> None:
    """All subnets and security groups belong to one VPC.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    """
    network, ec2 = network_in(settings), ec2_of(call)
    vpcs = {subnets[subnet].vpc_id for subnets in ec2.subnets.values() for subnet in network.get("subnets", []) if subnet in subnets}
    groups = [ec2.get_security_group_from_id(group) for group in network.get("securityGroups", [])]
    if len(vpcs | {group.vpc_id for group in groups if group}) > 1:
        raise invalid("The specified subnets and security groups must belong to the same VPC.")


@check
def load_balancer_container(call: Call, settings: Settings) -> None:
    """A load balancer names a container of the task definition, and a port that it publishes.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LoadBalancer.html
    """
    containers = {container["name"]: container for container in definition_in(call, settings).container_definitions}
    for balancer in settings["loadBalancers"]:
        name, port = balancer.get("containerName"), balancer.get("containerPort")
        if name not in containers:
            raise invalid(f"The container {name} does not exist in the task definition.")
        if port not in [mapping["containerPort"] for mapping in containers[name]["portMappings"]]:
            raise invalid(f"The container {name} did not have a container port {port} defined.")


@check
def target_group_exists(call: Call, settings: Settings) -> None:
    """A target group exists.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LoadBalancer.html
    """
    for balancer in settings["loadBalancers"]:
        if balancer.get("targetGroupArn", "") not in elbv2_backends[ACCOUNT][call.region].target_groups:
            raise invalid(f"The specified target group does not exist: {balancer.get('targetGroupArn')}")


@check
def target_group_is_listened_to(call: Call, settings: Settings) -> None:
    """A listener forwards to the target group: not before that does it belong to a load balancer.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb.html
    """
    elb = elbv2_backends[ACCOUNT][call.region]
    for arn in [balancer.get("targetGroupArn", "") for balancer in settings["loadBalancers"]]:
        if arn in elb.target_groups and not elb._any_listener_using(arn):
            raise invalid(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


@check
def target_type(call: Call, settings: Settings) -> None:
    """Tasks of network mode awsvpc are targets of type ip, all others of type instance.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb.html
    """
    mode = definition_in(call, settings).network_mode
    fitting = "ip" if mode == "awsvpc" else "instance"
    groups = elbv2_backends[ACCOUNT][call.region].target_groups
    for arn in [balancer.get("targetGroupArn", "") for balancer in settings["loadBalancers"]]:
        if arn in groups and (groups[arn].target_type or "instance") != fitting:
            raise invalid(
                f"The provided target group {arn} has target type {groups[arn].target_type or 'instance'}, "
                f"which is incompatible with the {mode} network mode specified in the task definition."
            )


@check
def grace_period_needs_a_load_balancer(call: Call, settings: Settings) -> None:
    """Health checks have a grace period only where a load balancer makes them.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    if settings.get("healthCheckGracePeriodSeconds") and not settings["loadBalancers"]:
        raise invalid("Health check grace period is only valid for services configured to use load balancers")


@check
def deployment_percentages(call: Call, settings: Settings) -> None:
    """At most 100 per cent must stay, at least 100 may run, and between the two there is room to replace a task.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
    """
    least, most = (settings["deploymentConfiguration"][name] for name in ("minimumHealthyPercent", "maximumPercent"))
    if not 0 <= least <= 100:
        raise invalid("minimumHealthyPercent must be at most 100")
    if most < 100:
        raise invalid("maximumPercent must be at least 100")
    if least == most == 100:
        raise invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")


@check
def rebalancing_needs_room(call: Call, settings: Settings) -> None:
    """Tasks are balanced over zones only where more than 100 per cent may run.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
    """
    if settings["availabilityZoneRebalancing"] == "ENABLED" and settings["deploymentConfiguration"]["maximumPercent"] <= 100:
        raise invalid("Availability Zone Rebalancing does not support maximumPercent <= 100.")


@check
def placement_only_on_instances(call: Call, settings: Settings) -> None:
    """Fargate chooses the place of a task itself.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html
    """
    if on_fargate(settings) and settings["placementConstraints"]:
        raise invalid("Placement constraints are not supported with FARGATE launch type.")
    if on_fargate(settings) and settings["placementStrategy"]:
        raise invalid("Placement strategies are not supported with FARGATE launch type.")


@check
def platform_version_only_on_fargate(call: Call, settings: Settings) -> None:
    """Instances have no platform version.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-fargate.html
    """
    if call.params.get("platformVersion") and not on_fargate(settings):
        raise invalid("The platform version must be null when specifying an EC2 launch type.")


@rule("ecs", "UpdateService")
def service_is_active(call: Call, proceed: Proceed) -> Answer:
    """A service that is going or gone cannot be changed: ServiceNotActiveException. Moto changes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
    """
    if existing_service(call).status != "ACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    return proceed()


@rule("ecs", "CreateService")
def service_name_pattern(call: Call, proceed: Proceed) -> Answer:
    """A name has up to 255 letters, digits, hyphens and underscores. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    if not SERVICE_NAME.fullmatch(call.params["serviceName"]):
        raise invalid("Invalid service name: up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens are allowed.")
    return proceed()


@rule("ecs", "CreateService")
def creation_is_idempotent(call: Call, proceed: Proceed) -> Answer:
    """A repeated request is answered with the service that is there, another request of its name refused. Moto puts a new one in its place.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    existing = find_service(call, cluster_of(call), call.params["serviceName"])
    if existing and existing.status == "ACTIVE" and existing.request != call.params:
        raise invalid("Creation of service was not idempotent.")
    return proceed()


@rule("ecs", "CreateService")
def draining_name(call: Call, proceed: Proceed) -> Answer:
    """The name of a service that is going is free once it is INACTIVE. Moto's services go at once.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html
    """
    existing = find_service(call, cluster_of(call), call.params["serviceName"])
    if existing and existing.status == "DRAINING":
        raise invalid("Unable to Start a service that is still Draining.")
    return proceed()
