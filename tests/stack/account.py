"""What is in an account, kind by kind: whatever can carry a tag, with its tags, by name or id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Client = Callable[[str], Any]
Tags = dict[str, str]
Lister = Callable[[Client], dict[str, Tags]]

KINDS: dict[str, Lister] = {}


def kind(lister: Lister) -> Lister:
    """Add a lister to KINDS, by its name in words."""
    KINDS[lister.__name__.replace("_", " ")] = lister
    return lister


def tags(listed: Iterable[dict[str, str]]) -> Tags:
    """Tags as a dictionary; each service spells them in its own way."""
    pairs = ({name.lower().removeprefix("tag"): value for name, value in tag.items()} for tag in listed)
    return {pair["key"]: pair["value"] for pair in pairs}


def ec2(name: str, operation: str, field: str, identifier: str, gone: tuple[str, ...] = ()) -> None:
    """Add a kind of EC2, without what is still listed although it is gone."""

    def lister(client: Client) -> dict[str, Tags]:
        found = getattr(client("ec2"), operation)()[field]
        return {item[identifier]: tags(item.get("Tags", [])) for item in found if item.get("State") not in gone}

    KINDS[name] = lister


ec2("VPCs", "describe_vpcs", "Vpcs", "VpcId")
ec2("subnets", "describe_subnets", "Subnets", "SubnetId")
ec2("Internet gateways", "describe_internet_gateways", "InternetGateways", "InternetGatewayId")
ec2("NAT gateways", "describe_nat_gateways", "NatGateways", "NatGatewayId", gone=("deleted",))
ec2("elastic addresses", "describe_addresses", "Addresses", "AllocationId")
ec2("route tables", "describe_route_tables", "RouteTables", "RouteTableId")
ec2("VPC endpoints", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", gone=("deleted",))
ec2("security groups", "describe_security_groups", "SecurityGroups", "GroupId")
ec2("flow logs", "describe_flow_logs", "FlowLogs", "FlowLogId")
ec2("launch templates", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName")


@kind
def instances(client: Client) -> dict[str, Tags]:
    reservations = client("ec2").describe_instances()["Reservations"]
    found = [instance for reservation in reservations for instance in reservation["Instances"]]
    return {instance["InstanceId"]: tags(instance["Tags"]) for instance in found if instance["State"]["Name"] != "terminated"}


@kind
def auto_scaling_groups(client: Client) -> dict[str, Tags]:
    groups = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {group["AutoScalingGroupName"]: tags(group["Tags"]) for group in groups}


@kind
def load_balancers(client: Client) -> dict[str, Tags]:
    balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
    return elbv2_tags(client, {balancer["LoadBalancerName"]: balancer["LoadBalancerArn"] for balancer in balancers})


@kind
def target_groups(client: Client) -> dict[str, Tags]:
    groups = client("elbv2").describe_target_groups()["TargetGroups"]
    return elbv2_tags(client, {group["TargetGroupName"]: group["TargetGroupArn"] for group in groups})


def elbv2_tags(client: Client, arns: dict[str, str]) -> dict[str, Tags]:
    return {name: tags(client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]) for name, arn in arns.items()}


@kind
def clusters(client: Client) -> dict[str, Tags]:
    arns = client("ecs").list_clusters()["clusterArns"]
    found = client("ecs").describe_clusters(clusters=arns, include=["TAGS"])["clusters"] if arns else []
    return {cluster["clusterName"]: tags(cluster["tags"]) for cluster in found if cluster["status"] != "INACTIVE"}


@kind
def capacity_providers(client: Client) -> dict[str, Tags]:
    found = client("ecs").describe_capacity_providers(capacityProviders=["demo-instances"], include=["TAGS"])["capacityProviders"]
    return {provider["name"]: tags(provider["tags"]) for provider in found if provider["status"] != "INACTIVE"}


@kind
def services(client: Client) -> dict[str, Tags]:
    arns = [arn for name in clusters(client) for arn in client("ecs").list_services(cluster=name)["serviceArns"]]
    return {arn.split(":")[-1]: tags(client("ecs").list_tags_for_resource(resourceArn=arn)["tags"]) for arn in arns}


@kind
def tasks(client: Client) -> dict[str, Tags]:
    ecs = client("ecs")
    arns = {name: ecs.list_tasks(cluster=name)["taskArns"] for name in clusters(client)}
    found = [task for name in arns if arns[name] for task in ecs.describe_tasks(cluster=name, tasks=arns[name], include=["TAGS"])["tasks"]]
    return {task["taskArn"]: tags(task["tags"]) for task in found}


@kind
def task_definitions(client: Client) -> dict[str, Tags]:
    arns = client("ecs").list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
    return {arn.split("/")[-1]: tags(client("ecs").list_tags_for_resource(resourceArn=arn)["tags"]) for arn in arns}


@kind
def scalable_targets(client: Client) -> dict[str, Tags]:
    autoscaling = client("application-autoscaling")
    answers = [autoscaling.describe_scalable_targets(ServiceNamespace=namespace) for namespace in ("ecs", "dynamodb")]
    found = [target for answer in answers for target in answer["ScalableTargets"]]
    return {target["ResourceId"]: autoscaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"] for target in found}


@kind
def tables(client: Client) -> dict[str, Tags]:
    names = client("dynamodb").list_tables()["TableNames"]
    arns = {name: client("dynamodb").describe_table(TableName=name)["Table"]["TableArn"] for name in names}
    return {name: tags(client("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"]) for name, arn in arns.items()}


@kind
def repositories(client: Client) -> dict[str, Tags]:
    found = client("ecr").describe_repositories()["repositories"]
    return {item["repositoryName"]: tags(client("ecr").list_tags_for_resource(resourceArn=item["repositoryArn"])["tags"]) for item in found}


@kind
def buckets(client: Client) -> dict[str, Tags]:
    names = [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
    return {name: tags(client("s3").get_bucket_tagging(Bucket=name)["TagSet"]) for name in names}


@kind
def log_groups(client: Client) -> dict[str, Tags]:
    found = client("logs").describe_log_groups()["logGroups"]
    return {group["logGroupName"]: client("logs").list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] for group in found}


@kind
def roles(client: Client) -> dict[str, Tags]:
    names = [role["RoleName"] for role in client("iam").list_roles()["Roles"] if not role["Path"].startswith("/aws-service-role/")]
    return {name: tags(client("iam").list_role_tags(RoleName=name)["Tags"]) for name in names}


@kind
def instance_profiles(client: Client) -> dict[str, Tags]:
    names = [profile["InstanceProfileName"] for profile in client("iam").list_instance_profiles()["InstanceProfiles"]]
    found = {name: client("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"] for name in names}
    return {name: tags(profile["Tags"]) for name, profile in found.items()}


@kind
def users(client: Client) -> dict[str, Tags]:
    names = [user["UserName"] for user in client("iam").list_users()["Users"]]
    return {name: tags(client("iam").list_user_tags(UserName=name)["Tags"]) for name in names}


@kind
def topics(client: Client) -> dict[str, Tags]:
    arns = [topic["TopicArn"] for topic in client("sns").list_topics()["Topics"]]
    return {arn: tags(client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]) for arn in arns}


@kind
def keys(client: Client) -> dict[str, Tags]:
    """KMS deletes a key after days of waiting only; until then it can be used no more."""
    names = [key["KeyId"] for key in client("kms").list_keys()["Keys"]]
    usable = [name for name in names if client("kms").describe_key(KeyId=name)["KeyMetadata"]["KeyState"] != "PendingDeletion"]
    return {name: tags(client("kms").list_resource_tags(KeyId=name)["Tags"]) for name in usable}


@kind
def alarms(client: Client) -> dict[str, Tags]:
    """Without those that Application Auto Scaling makes and removes by itself."""
    pages = client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = [alarm for page in pages for field in ("MetricAlarms", "CompositeAlarms") for alarm in page.get(field, [])]
    own = [alarm for alarm in found if not alarm["AlarmName"].startswith("TargetTracking-")]
    return {alarm["AlarmName"]: tags(client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]) for alarm in own}
