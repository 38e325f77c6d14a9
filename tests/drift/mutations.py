"""What somebody may do to the stack C(demo) behind Ansible's back, each with what a preview must say about it.

A line is an attribute that the roles set: how a hand changes it (by plain boto3, as the console does), and where the report shows it.
Those of one group do not touch each other, so they are made, found and repaired together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from support import REGION

ACCOUNT = "123456789012"
INSTANCES = "demo-instances"
BUCKET = f"demo-logs-{ACCOUNT}-{REGION}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:demo-alarms"
DASHBOARD = f"demo-{REGION}"
FLOW_LOGS = "/threetier/demo/flow-logs"
INSIGHTS = "/aws/ecs/containerinsights/demo/performance"
EVERYBODY = "0.0.0.0/0"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True)
class Change:
    """What a report says of a resource: C(field) is a field's path or its beginning; C(*) in it and in the name stands for anything."""

    layer: str
    kind: str
    name: str
    field: str = ""
    verb: str = "change"

    def __str__(self) -> str:
        return f"{self.verb} {self.layer} {self.kind} {self.name} {self.field}".rstrip()


@dataclass(frozen=True)
class Mutation:
    """A change by hand, what must be found, and what has to follow from its repair."""

    found: Change
    group: str
    by_hand: Callable[[Hand], Any]
    brings: tuple[Change, ...] = ()

    def __str__(self) -> str:
        return str(self.found)


MUTATIONS: list[Mutation] = []


@dataclass(frozen=True)
class Resource:
    """A resource of the stack, to write down what can happen to it."""

    layer: str
    kind: str
    name: str

    def says(self, field: str = "", verb: str = "change") -> Change:
        return Change(self.layer, self.kind, self.name, field, verb)

    def _add(self, verb: str, field: str, group: str, by_hand: Callable[[Hand], Any], brings: Iterable[Change]) -> None:
        MUTATIONS.append(Mutation(self.says(field, verb), group, by_hand, tuple(brings)))

    def change(self, field: str, by_hand: Callable[[Hand], Any], group: str = "settings", brings: Iterable[Change] = ()) -> None:
        """Somebody changes a field."""
        self._add("change", field, group, by_hand, brings)

    def replace(self, field: str, by_hand: Callable[[Hand], Any], group: str = "settings", brings: Iterable[Change] = ()) -> None:
        """Somebody changes what AWS cannot change back in place."""
        self._add("replace", field, group, by_hand, brings)

    def lose(self, by_hand: Callable[[Hand], Any], group: str = "lost", brings: Iterable[Change] = ()) -> None:
        """Somebody deletes the resource, which the run makes again."""
        self._add("create", "", group, by_hand, brings)

    def gain(self, by_hand: Callable[[Hand], Any], group: str = "settings", brings: Iterable[Change] = ()) -> None:
        """Somebody makes the resource, which the run deletes."""
        self._add("delete", "", group, by_hand, brings)

    def tags(self, put: Callable[[Hand, dict[str, str]], Any], prefix: str = "", group: str = "tags") -> None:
        """Somebody changes a tag, and adds one."""
        self.change(f"{prefix}tag threetier:tier", lambda hand: put(hand, {"threetier:tier": "mine"}), group)
        self.change(f"{prefix}tag owner", lambda hand: put(hand, {"owner": "somebody"}), group)


class Hand:
    """Somebody with credentials, who finds things by their names."""

    def __init__(self, client: Callable[[str], Any]):
        self.client = client

    def __getattr__(self, service: str) -> Any:
        return self.client(service.replace("_", "-"))

    def _ec2(self, operation: str, field: str, identifier: str, name: str, filters: str = "Filters") -> str:
        request = {filters: [{"Name": "tag:Name", "Values": [name]}, {"Name": "tag:threetier:stack", "Values": ["demo"]}]}
        found = [each for each in getattr(self.ec2, operation)(**request)[field] if each.get("State") != "deleted"]
        return found[0][identifier]

    @property
    def vpc(self) -> str:
        return self._ec2("describe_vpcs", "Vpcs", "VpcId", "demo")

    @property
    def internet_gateway(self) -> str:
        return self._ec2("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "demo")

    def subnet(self, name: str) -> str:
        return self._ec2("describe_subnets", "Subnets", "SubnetId", name)

    def nat_gateway(self, name: str) -> str:
        return self._ec2("describe_nat_gateways", "NatGateways", "NatGatewayId", name, "Filter")

    def address(self, name: str) -> str:
        return self._ec2("describe_addresses", "Addresses", "AllocationId", name)

    def route_table(self, name: str) -> str:
        return self._ec2("describe_route_tables", "RouteTables", "RouteTableId", name)

    def endpoint(self, name: str) -> str:
        return self._ec2("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", name)

    def flow_log(self) -> dict[str, Any]:
        found = self.ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [self.vpc]}])["FlowLogs"]
        return found[0]

    def group(self, name: str) -> str:
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [self.vpc]}]
        return self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]

    def association(self, subnet: str) -> str:
        filters = [{"Name": "association.subnet-id", "Values": [self.subnet(subnet)]}]
        associations = self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["Associations"]
        return next(each["RouteTableAssociationId"] for each in associations if each.get("SubnetId") == self.subnet(subnet))

    def allow(self, direction: str, name: str, port: int, cidr: str = EVERYBODY, description: str | None = None) -> None:
        peer = {"CidrIp": cidr} | ({"Description": description} if description else {})
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [peer]}
        getattr(self.ec2, f"authorize_security_group_{direction}")(GroupId=self.group(name), IpPermissions=[rule])

    def rules(self, direction: str, name: str) -> list[dict[str, Any]]:
        group = self.ec2.describe_security_groups(GroupIds=[self.group(name)])["SecurityGroups"][0]
        return group["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]

    def forbid(self, direction: str, name: str) -> None:
        """Take all rules away."""
        call = getattr(self.ec2, f"revoke_security_group_{direction}")
        call(GroupId=self.group(name), IpPermissions=self.rules(direction, name))

    def describe_rules(self, direction: str, name: str, text: str) -> None:
        rules = self.rules(direction, name)
        for rule in rules:
            for peer in [*rule.get("IpRanges", []), *rule.get("UserIdGroupPairs", [])]:
                peer["Description"] = text
        call = getattr(self.ec2, f"update_security_group_rule_descriptions_{direction}")
        call(GroupId=self.group(name), IpPermissions=rules)

    def tag_ec2(self, identifier: str, tags: dict[str, str]) -> None:
        self.ec2.create_tags(Resources=[identifier], Tags=pairs(tags))

    def balancer(self, name: str) -> str:
        return self.elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"]

    def listener(self, balancer: str) -> str:
        return self.elbv2.describe_listeners(LoadBalancerArn=self.balancer(balancer))["Listeners"][0]["ListenerArn"]

    def target_group(self, name: str) -> str:
        return self.elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]

    def balancer_attribute(self, name: str, key: str, value: str) -> None:
        self.elbv2.modify_load_balancer_attributes(LoadBalancerArn=self.balancer(name), Attributes=[{"Key": key, "Value": value}])

    def target_group_attribute(self, name: str, key: str, value: str) -> None:
        self.elbv2.modify_target_group_attributes(TargetGroupArn=self.target_group(name), Attributes=[{"Key": key, "Value": value}])

    def health_check(self, name: str, **settings: Any) -> None:
        self.elbv2.modify_target_group(TargetGroupArn=self.target_group(name), **settings)

    def tag_elbv2(self, arn: str, tags: dict[str, str]) -> None:
        self.elbv2.add_tags(ResourceArns=[arn], Tags=pairs(tags))

    def log_group_arn(self, name: str) -> str:
        groups = self.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next(group["arn"].removesuffix(":*") for group in groups if group["logGroupName"] == name)

    def update_asg(self, **settings: Any) -> None:
        self.autoscaling.update_auto_scaling_group(AutoScalingGroupName=INSTANCES, **settings)

    def managed_scaling(self, **settings: Any) -> None:
        provider = self.ecs.describe_capacity_providers(capacityProviders=[INSTANCES])["capacityProviders"][0]["autoScalingGroupProvider"]
        self.provider(managedScaling={**provider["managedScaling"], **settings})

    def provider(self, **settings: Any) -> None:
        self.ecs.update_capacity_provider(name=INSTANCES, autoScalingGroupProvider=settings)

    def template_version(self, change: Callable[[dict[str, Any]], Any]) -> None:
        request = {"LaunchTemplateName": INSTANCES, "Versions": ["$Latest"]}
        data = self.ec2.describe_launch_template_versions(**request)["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        change(data)
        self.ec2.create_launch_template_version(LaunchTemplateName=INSTANCES, LaunchTemplateData=data)

    def service(self, name: str, **settings: Any) -> None:
        self.ecs.update_service(cluster="demo", service=name, **settings)

    def service_arn(self, name: str) -> str:
        return self.ecs.describe_services(cluster="demo", services=[name])["services"][0]["serviceArn"]

    def deployment(self, name: str, **settings: Any) -> None:
        now = self.ecs.describe_services(cluster="demo", services=[name])["services"][0]["deploymentConfiguration"]
        fields = ("minimumHealthyPercent", "maximumPercent", "deploymentCircuitBreaker", "alarms")
        kept = {field: now[field] for field in fields if field in now}
        self.service(name, deploymentConfiguration={**kept, **settings})

    def network(self, name: str, **settings: Any) -> None:
        now = self.ecs.describe_services(cluster="demo", services=[name])["services"][0]["networkConfiguration"]["awsvpcConfiguration"]
        self.service(name, networkConfiguration={"awsvpcConfiguration": {**now, **settings}})

    def task_definition(self, family: str) -> dict[str, Any]:
        return self.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]

    def revise(self, family: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Register another revision, as the console does."""
        definition = self.task_definition(family)
        members = self.ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        request = {field: value for field, value in definition.items() if field in members}
        change(request)
        self.ecs.register_task_definition(**request)

    def scalable(self, service: str) -> dict[str, str]:
        return {"ServiceNamespace": "ecs", "ResourceId": f"service/demo/{service}", "ScalableDimension": "ecs:service:DesiredCount"}

    def scaling_policy(self, service: str, name: str, **settings: Any) -> None:
        scaling = self.application_autoscaling
        policies = scaling.describe_scaling_policies(**self.scalable(service))["ScalingPolicies"]
        now = next((policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies if policy["PolicyName"] == name), {})
        request = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {**now, **settings}}
        scaling.put_scaling_policy(**self.scalable(service), PolicyName=name, **request)

    def tag_scalable(self, service: str, tags: dict[str, str]) -> None:
        targets = self.application_autoscaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[f"service/demo/{service}"])
        self.application_autoscaling.tag_resource(ResourceARN=targets["ScalableTargets"][0]["ScalableTargetARN"], Tags=tags)

    def alarm(self, name: str, **settings: Any) -> None:
        """Put an alarm again with other settings; None takes one away."""
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = self.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=kinds)
        kind = next(kind for kind in kinds if answer[f"{kind}s"])
        members = self.cloudwatch.meta.service_model.operation_model(f"Put{kind}").input_shape.members
        now = {field: value for field, value in answer[f"{kind}s"][0].items() if field in members}
        call = self.cloudwatch.put_metric_alarm if kind == "MetricAlarm" else self.cloudwatch.put_composite_alarm
        call(**{field: value for field, value in {**now, **settings}.items() if value not in (None, [])})

    def alarm_metrics(self, name: str, change: Callable[[dict[str, dict[str, Any]]], Any]) -> None:
        metrics = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Metrics"]
        change({metric["Id"]: metric for metric in metrics})
        self.alarm(name, Metrics=metrics)

    def tag_alarm(self, name: str, tags: dict[str, str]) -> None:
        self.cloudwatch.tag_resource(ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}", Tags=pairs(tags))

    def topic(self, attribute: str, value: str) -> None:
        self.sns.set_topic_attributes(TopicArn=TOPIC, AttributeName=attribute, AttributeValue=value)

    def widgets(self, change: Callable[[dict[str, Any]], Any]) -> None:
        body = json.loads(self.cloudwatch.get_dashboard(DashboardName=DASHBOARD)["DashboardBody"])
        change(body)
        self.cloudwatch.put_dashboard(DashboardName=DASHBOARD, DashboardBody=json.dumps(body))

    @property
    def key(self) -> str:
        return self.kms.describe_key(KeyId="alias/demo-alarms")["KeyMetadata"]["KeyId"]

    def inline(self, role: str, name: str, policy: dict[str, Any] = ANYTHING) -> None:
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))

    def delete_role(self, role: str) -> None:
        for profile in self.iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]:
            self.iam.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=role)
        for policy in self.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=role, PolicyName=policy)
        self.iam.delete_role(RoleName=role)

    def table(self, **settings: Any) -> None:
        self.dynamodb.update_table(TableName="demo-items", **settings)

    def expiry(self, attribute: str, enabled: bool) -> None:
        self.dynamodb.update_time_to_live(TableName="demo-items", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute})

    def image_policy(self, repository: str, change: Callable[[dict[str, Any]], Any]) -> None:
        policy = json.loads(self.ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"])
        change(policy)
        self.ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps(policy))


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def lower_pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# --- network ---

vpc = Resource("network", "vpc", "demo")
vpc.change("dns_hostnames", lambda hand: hand.ec2.modify_vpc_attribute(VpcId=hand.vpc, EnableDnsHostnames={"Value": False}))


def without_dns(hand: Hand) -> None:
    hand.ec2.modify_vpc_attribute(VpcId=hand.vpc, EnableDnsHostnames={"Value": False})
    hand.ec2.modify_vpc_attribute(VpcId=hand.vpc, EnableDnsSupport={"Value": False})


vpc.change("dns_support", without_dns, "settings again", [vpc.says("dns_hostnames")])
vpc.tags(lambda hand, tags: hand.tag_ec2(hand.vpc, tags))
internet_gateway = Resource("network", "vpc", "demo internet gateway")
internet_gateway.tags(lambda hand, tags: hand.tag_ec2(hand.internet_gateway, tags))

subnet = Resource("network", "vpc_subnets", "demo-public-a")
subnet.tags(lambda hand, tags: hand.tag_ec2(hand.subnet("demo-public-a"), tags))
Resource("network", "vpc_subnets", "demo-public-b").change(
    "tag Name", lambda hand: hand.tag_ec2(hand.subnet("demo-public-b"), {"Name": "mine"}), "tags"
)
Resource("network", "vpc_subnets", "demo-private-b").change(
    "map_public_ip_on_launch",
    lambda hand: hand.ec2.modify_subnet_attribute(SubnetId=hand.subnet("demo-private-b"), MapPublicIpOnLaunch={"Value": True}),
)


nat = Resource("network", "vpc_nat_gateways", "demo-b")
nat.tags(lambda hand, tags: hand.tag_ec2(hand.nat_gateway("demo-b"), tags))
Resource("network", "vpc_nat_gateways", "demo-c").lose(
    lambda hand: hand.ec2.delete_nat_gateway(NatGatewayId=hand.nat_gateway("demo-c")),
    brings=[
        Change("routes", "vpc_route_tables", "demo-private-c", f"route {EVERYBODY}"),
        Change("alarms", "cloudwatch_alarm_set", "demo-nat-port-allocation-errors", "metrics"),
    ],
)

default_group = Resource("network", "security_groups", "default")
default_group.change("ingress", lambda hand: hand.allow("ingress", "default", 22))
default_group.change("egress", lambda hand: hand.allow("egress", "default", 443))
default_group.tags(lambda hand, tags: hand.tag_ec2(hand.group("default"), tags))

flow_log = Resource("network", "vpc_flow_log", "demo")
flow_log.tags(lambda hand, tags: hand.tag_ec2(hand.flow_log()["FlowLogId"], tags))
flow_log.lose(lambda hand: hand.ec2.delete_flow_logs(FlowLogIds=[hand.flow_log()["FlowLogId"]]))


def other_flow_log(hand: Hand, **settings: Any) -> None:
    now = hand.flow_log()
    hand.ec2.delete_flow_logs(FlowLogIds=[now["FlowLogId"]])
    kept = {field: now[field] for field in ("TrafficType", "LogGroupName", "DeliverLogsPermissionArn")}
    tags = [{"ResourceType": "vpc-flow-log", "Tags": now["Tags"]}]
    hand.ec2.create_flow_logs(ResourceIds=[now["ResourceId"]], ResourceType="VPC", TagSpecifications=tags, **{**kept, **settings})


flow_log.replace("TrafficType", lambda hand: other_flow_log(hand, TrafficType="REJECT"))


def other_writer(hand: Hand) -> None:
    made = hand.iam.create_role(RoleName="writer", AssumeRolePolicyDocument=trust("vpc-flow-logs.amazonaws.com"))
    other_flow_log(hand, DeliverLogsPermissionArn=made["Role"]["Arn"])


flow_log.replace("DeliverLogsPermissionArn", other_writer, "settings again")
flow_log.replace("LogGroupName", lambda hand: other_flow_log(hand, LogGroupName="/threetier/demo/web"), "added")

for layer, name in [("network", FLOW_LOGS), ("cluster", INSIGHTS), ("service", "/threetier/demo/web")]:
    log_group = Resource(layer, "log_groups", name)
    log_group.change("retention_in_days", lambda hand, name=name: hand.logs.put_retention_policy(logGroupName=name, retentionInDays=1))
    log_group.change("retention_in_days", lambda hand, name=name: hand.logs.delete_retention_policy(logGroupName=name), "settings again")
    log_group.tags(lambda hand, tags, name=name: hand.logs.tag_resource(resourceArn=hand.log_group_arn(name), tags=tags))
    log_group.lose(lambda hand, name=name: hand.logs.delete_log_group(logGroupName=name))

# --- balancer ---

WEB_GROUP, API_GROUP = (Resource("balancer", "security_groups", f"demo-{tier}") for tier in ("web", "api"))
PUBLIC_GROUP, INTERNAL_GROUP = (Resource("balancer", "security_groups", f"demo-{side}-alb") for side in ("public", "internal"))
INSTANCE_GROUP = Resource("balancer", "security_groups", INSTANCES)
PUBLIC_GROUP.change("ingress", lambda hand: hand.allow("ingress", "demo-public-alb", 8443))
PUBLIC_GROUP.change("egress", lambda hand: hand.allow("egress", "demo-public-alb", 25))
PUBLIC_GROUP.change("ingress", lambda hand: hand.describe_rules("ingress", "demo-public-alb", "mine"), "settings again")
INTERNAL_GROUP.change("ingress", lambda hand: hand.forbid("ingress", "demo-internal-alb"))
INTERNAL_GROUP.change("egress", lambda hand: hand.describe_rules("egress", "demo-internal-alb", "mine"))
WEB_GROUP.change("ingress", lambda hand: hand.forbid("ingress", "demo-web"), "settings again")
WEB_GROUP.change("egress", lambda hand: hand.forbid("egress", "demo-web"), "settings again")
API_GROUP.change("ingress", lambda hand: hand.allow("ingress", "demo-api", 8080, "10.0.0.0/8"))
INSTANCE_GROUP.change("ingress", lambda hand: hand.allow("ingress", INSTANCES, 22))
INSTANCE_GROUP.change("egress", lambda hand: hand.forbid("egress", INSTANCES))
PUBLIC_GROUP.tags(lambda hand, tags: hand.tag_ec2(hand.group("demo-public-alb"), tags))
API_GROUP.change("tag Name", lambda hand: hand.tag_ec2(hand.group("demo-api"), {"Name": "mine"}), "tags")

bucket = Resource("balancer", "s3_bucket", BUCKET)


def encrypt_bucket(hand: Hand) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    hand.s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def open_bucket(hand: Hand, block: str) -> None:
    now = hand.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    hand.s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={**now, block: False})


def own_bucket(hand: Hand) -> None:
    hand.s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})


def expire(hand: Hand, days: int) -> None:
    rule = {"ID": "expire", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": days}}
    hand.s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})


def change_bucket_policy(hand: Hand) -> None:
    policy = json.loads(hand.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"] = policy["Statement"][:1]
    hand.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def lose_bucket(hand: Hand) -> None:
    for each in hand.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        hand.s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    hand.s3.delete_bucket(Bucket=BUCKET)


bucket.change("encryption", encrypt_bucket)
bucket.change("object_ownership", own_bucket)
bucket.change("public_access_block.BlockPublicAcls", lambda hand: open_bucket(hand, "BlockPublicAcls"))
bucket.change("public_access_block.IgnorePublicAcls", lambda hand: open_bucket(hand, "IgnorePublicAcls"))
bucket.change("public_access_block.BlockPublicPolicy", lambda hand: open_bucket(hand, "BlockPublicPolicy"))
bucket.change("public_access_block.RestrictPublicBuckets", lambda hand: open_bucket(hand, "RestrictPublicBuckets"))
bucket.change("policy", change_bucket_policy)
bucket.change("lifecycle_rules", lambda hand: expire(hand, 1))
bucket.change("object_ownership", lambda hand: hand.s3.delete_bucket_ownership_controls(Bucket=BUCKET), "settings again")
bucket.change("public_access_block", lambda hand: hand.s3.delete_public_access_block(Bucket=BUCKET), "settings again")
bucket.change("policy", lambda hand: hand.s3.delete_bucket_policy(Bucket=BUCKET), "settings again")
bucket.change("lifecycle_rules", lambda hand: hand.s3.delete_bucket_lifecycle(Bucket=BUCKET), "settings again")
bucket.change("tag owner", lambda hand: tag_bucket(hand, {"owner": "somebody"}), "tags")
bucket.change("tag threetier:tier", lambda hand: tag_bucket(hand, {"threetier:tier": "mine"}), "tags")
bucket.lose(lose_bucket)


def tag_bucket(hand: Hand, tags: dict[str, str]) -> None:
    now = {tag["Key"]: tag["Value"] for tag in hand.s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]}
    hand.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": pairs({**now, **tags})})


target_group = Resource("balancer", "target_groups", "demo-web")
target_group.change("HealthCheckPath", lambda hand: hand.health_check("demo-web", HealthCheckPath="/"))
target_group.change("HealthCheckIntervalSeconds", lambda hand: hand.health_check("demo-web", HealthCheckIntervalSeconds=30))
target_group.change("HealthCheckTimeoutSeconds", lambda hand: hand.health_check("demo-web", HealthCheckTimeoutSeconds=4))
target_group.change("HealthyThresholdCount", lambda hand: hand.health_check("demo-web", HealthyThresholdCount=5))
target_group.change("UnhealthyThresholdCount", lambda hand: hand.health_check("demo-web", UnhealthyThresholdCount=5))
target_group.change("Matcher", lambda hand: hand.health_check("demo-web", Matcher={"HttpCode": "200-299"}))
target_group.change(
    "deregistration_delay.timeout_seconds",
    lambda hand: hand.target_group_attribute("demo-web", "deregistration_delay.timeout_seconds", "300"),
)
target_group.change(
    "load_balancing.algorithm.type", lambda hand: hand.target_group_attribute("demo-web", "load_balancing.algorithm.type", "round_robin")
)
Resource("balancer", "target_groups", "demo-api").change(
    "HealthCheckProtocol", lambda hand: hand.health_check("demo-api", HealthCheckProtocol="HTTPS"), "settings again"
)
target_group.tags(lambda hand, tags: hand.tag_elbv2(hand.target_group("demo-web"), tags))

PUBLIC, INTERNAL = (Resource("balancer", "application_load_balancers", f"demo-{side}") for side in ("public", "internal"))
PUBLIC.change(
    "Subnets",
    lambda hand: hand.elbv2.set_subnets(
        LoadBalancerArn=hand.balancer("demo-public"), Subnets=[hand.subnet(f"demo-public-{zone}") for zone in "ab"]
    ),
)
PUBLIC.change(
    "SecurityGroups",
    lambda hand: hand.elbv2.set_security_groups(
        LoadBalancerArn=hand.balancer("demo-public"), SecurityGroups=[hand.group("demo-public-alb"), hand.group("default")]
    ),
)
for attribute, value in [
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", "mine"),
    ("deletion_protection.enabled", "true"),
    ("routing.http.desync_mitigation_mode", "monitor"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
]:
    PUBLIC.change(attribute, lambda hand, attribute=attribute, value=value: hand.balancer_attribute("demo-public", attribute, value))


def other_bucket(hand: Hand) -> None:
    """Logs go to somebody else's bucket, which lets the load balancer write."""
    hand.s3.create_bucket(Bucket="elsewhere-logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::elsewhere-logs/*",
    }
    hand.s3.put_bucket_policy(Bucket="elsewhere-logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    hand.balancer_attribute("demo-internal", "access_logs.s3.bucket", "elsewhere-logs")


INTERNAL.change("access_logs.s3.bucket", other_bucket)
SORRY = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": "sorry"}}]
PUBLIC.change(
    "listener 80.DefaultActions",
    lambda hand: hand.elbv2.modify_listener(ListenerArn=hand.listener("demo-public"), DefaultActions=SORRY),
    "lost",
)
INTERNAL.change(
    "listener 80",
    lambda hand: hand.elbv2.modify_listener(ListenerArn=hand.listener("demo-internal"), Port=81),
    brings=[INTERNAL.says("listener 81")],
)
PUBLIC.change(
    "listener 8081",
    lambda hand: hand.elbv2.create_listener(LoadBalancerArn=hand.balancer("demo-public"), Protocol="HTTP", Port=8081, DefaultActions=SORRY),
    "settings again",
)
INTERNAL.change(
    "listener 80.rule 7",
    lambda hand: hand.elbv2.create_rule(
        ListenerArn=hand.listener("demo-internal"), Priority=7, Conditions=[{"Field": "path-pattern", "Values": ["/admin"]}], Actions=SORRY
    ),
    "settings again",
)
INTERNAL.change("listener 80", lambda hand: hand.elbv2.delete_listener(ListenerArn=hand.listener("demo-internal")), "added")
PUBLIC.tags(lambda hand, tags: hand.tag_elbv2(hand.balancer("demo-public"), tags))
PUBLIC.tags(lambda hand, tags: hand.tag_elbv2(hand.listener("demo-public"), tags), "listener 80.")

# --- database ---

table = Resource("database", "dynamodb_table", "demo-items")
table.change(
    "billing_mode",
    lambda hand: hand.table(BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}),
)
table.change("server_side_encryption", lambda hand: hand.table(SSESpecification={"Enabled": False}))
table.change("deletion_protection", lambda hand: hand.table(DeletionProtectionEnabled=True))
table.change(
    "point_in_time_recovery",
    lambda hand: hand.dynamodb.update_continuous_backups(
        TableName="demo-items", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    ),
)
table.change("ttl_attribute", lambda hand: hand.expiry("expires_at", False))
table.tags(
    lambda hand, tags: hand.dynamodb.tag_resource(ResourceArn=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/demo-items", Tags=pairs(tags))
)


def other_key(hand: Hand) -> None:
    key = hand.kms.create_key(Description="somebody's")["KeyMetadata"]["KeyId"]
    hand.table(SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})


table.change("server_side_encryption", other_key, "settings again")
SEEDS = ["0000000000001000-00000001", "0000000000002000-00000002"]
Resource("database", "dynamodb_items", f"list=items, id={SEEDS[0]}").lose(
    lambda hand: hand.dynamodb.delete_item(TableName="demo-items", Key={"list": {"S": "items"}, "id": {"S": SEEDS[0]}}), "settings"
)
table.lose(
    lambda hand: hand.dynamodb.delete_table(TableName="demo-items"),
    brings=[Change("database", "dynamodb_items", "list=items, id=*", verb="create")],
)

# --- registry ---

repository = Resource("registry", "ecr_repository", "demo/web")
repository.change(
    "imageTagMutability", lambda hand: hand.ecr.put_image_tag_mutability(repositoryName="demo/web", imageTagMutability="MUTABLE")
)
repository.change(
    "imageScanningConfiguration.scanOnPush",
    lambda hand: hand.ecr.put_image_scanning_configuration(repositoryName="demo/web", imageScanningConfiguration={"scanOnPush": False}),
)
repository.change(
    "lifecycle rule 2", lambda hand: hand.image_policy("demo/web", lambda policy: policy["rules"][1]["selection"].update(countNumber=1))
)
repository.change("lifecycle rule", lambda hand: hand.ecr.delete_lifecycle_policy(repositoryName="demo/web"), "settings again")
Resource("registry", "ecr_repository", "demo/api").change(
    "lifecycle rule 1", lambda hand: hand.image_policy("demo/api", lambda policy: policy["rules"][0].update(description="mine"))
)
repository.tags(
    lambda hand, tags: hand.ecr.tag_resource(resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/demo/web", tags=pairs(tags))
)
repository.lose(lambda hand: hand.ecr.delete_repository(repositoryName="demo/web", force=True))

# --- identity, and the role of the flow logs ---

for layer, name, service in [
    ("network", "demo-flow-logs", "vpc-flow-logs.amazonaws.com"),
    ("identity", "demo-web-task", "ecs-tasks.amazonaws.com"),
    ("identity", "demo-api-task", "ecs-tasks.amazonaws.com"),
    ("identity", "demo-api-execution", "ecs-tasks.amazonaws.com"),
    ("identity", "demo-instance", "ec2.amazonaws.com"),
]:
    role, policy = Resource(layer, "iam_roles", name), "flow-logs" if layer == "network" else "least-privilege"
    role.change(
        "assume_role_policy",
        lambda hand, name=name: hand.iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com")),
    )
    if layer == "network":  # whose tier says that it is ours
        role.change("tag owner", lambda hand, name=name: hand.iam.tag_role(RoleName=name, Tags=pairs({"owner": "somebody"})), "tags")
    else:
        role.tags(lambda hand, tags, name=name: hand.iam.tag_role(RoleName=name, Tags=pairs(tags)))
    if name != "demo-web-task":  # which may do nothing
        role.change(f"policy {policy}", lambda hand, name=name, policy=policy: hand.inline(name, policy))
        role.change(
            f"policy {policy}",
            lambda hand, name=name, policy=policy: hand.iam.delete_role_policy(RoleName=name, PolicyName=policy),
            "settings again",
        )
    role.change("policy more", lambda hand, name=name: hand.inline(name, "more"))

web_task = Resource("identity", "iam_roles", "demo-web-task")
web_task.change("description", lambda hand: hand.iam.update_role(RoleName="demo-web-task", Description="mine"))
web_task.change(
    "managed_policy arn:aws:iam::aws:policy/AdministratorAccess",
    lambda hand: hand.iam.attach_role_policy(RoleName="demo-web-task", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
)
web_task.lose(lambda hand: hand.delete_role("demo-web-task"))
Resource("network", "iam_roles", "demo-flow-logs").lose(lambda hand: hand.delete_role("demo-flow-logs"), "added")
profile = Resource("identity", "iam_roles", "demo-instance")


def empty_profile(hand: Hand) -> None:
    hand.iam.remove_role_from_instance_profile(InstanceProfileName="demo-instance", RoleName="demo-instance")


def swap_profile(hand: Hand) -> None:
    empty_profile(hand)
    hand.iam.add_role_to_instance_profile(InstanceProfileName="demo-instance", RoleName="demo-web-task")


def lose_profile(hand: Hand) -> None:
    empty_profile(hand)
    hand.iam.delete_instance_profile(InstanceProfileName="demo-instance")


profile.change("instance_profile.roles", empty_profile, "settings again")
profile.change("instance_profile.roles", swap_profile, "added")
profile.change("instance_profile", lose_profile, "lost")
profile.change(
    "instance_profile.tag owner",
    lambda hand: hand.iam.tag_instance_profile(InstanceProfileName="demo-instance", Tags=pairs({"owner": "somebody"})),
    "tags",
)

# --- cluster ---

cluster = Resource("cluster", "ecs_cluster", "demo")
cluster.change(
    "containerInsights", lambda hand: hand.ecs.update_cluster(cluster="demo", settings=[{"name": "containerInsights", "value": "disabled"}])
)
FARGATE = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
cluster.change(
    "defaultCapacityProviderStrategy",
    lambda hand: hand.ecs.put_cluster_capacity_providers(
        cluster="demo", capacityProviders=["FARGATE", "FARGATE_SPOT", INSTANCES], defaultCapacityProviderStrategy=SPOT
    ),
)
cluster.change(
    "capacityProviders",
    lambda hand: hand.ecs.put_cluster_capacity_providers(
        cluster="demo", capacityProviders=["FARGATE", INSTANCES], defaultCapacityProviderStrategy=FARGATE
    ),
    "settings again",
)
cluster.tags(lambda hand, tags: hand.ecs.tag_resource(resourceArn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/demo", tags=lower_pairs(tags)))

template = Resource("cluster", "launch_template", INSTANCES)
for field, change in {
    "image_id": lambda data: data.update(ImageId="ami-12c6146b"),
    "instance_type": lambda data: data.update(InstanceType="m5.large"),
    "iam_instance_profile": lambda data: data.update(IamInstanceProfile={"Name": "mine"}),
    "security_group_ids": lambda data: data["SecurityGroupIds"].append("sg-0123456789abcdef0"),
    "metadata_options.http_endpoint": lambda data: data["MetadataOptions"].update(HttpEndpoint="disabled"),
    "metadata_options.http_tokens": lambda data: data["MetadataOptions"].update(HttpTokens="optional"),
    "metadata_options.http_put_response_hop_limit": lambda data: data["MetadataOptions"].update(HttpPutResponseHopLimit=2),
    "block_device_mappings./dev/xvda.volume_type": lambda data: volume_of(data).update(VolumeType="gp2"),
    "block_device_mappings./dev/xvda.volume_size": lambda data: volume_of(data).update(VolumeSize=40),
    "block_device_mappings./dev/xvda.encrypted": lambda data: volume_of(data).update(Encrypted=False),
    "block_device_mappings./dev/xvda.delete_on_termination": lambda data: volume_of(data).update(DeleteOnTermination=False),
    "user_data": lambda data: data.update(UserData="IyEvYmluL2Jhc2gK"),
    "tag_specifications.instance.owner": lambda data: data["TagSpecifications"][0]["Tags"].append({"Key": "owner", "Value": "somebody"}),
    "tag_specifications.volume": lambda data: data.update(TagSpecifications=data["TagSpecifications"][:1]),
    "key_name": lambda data: data.update(KeyName="mine"),
}.items():
    # a new version is the newest one, and not yet the one that is taken where nobody names one
    template.change(field, lambda hand, change=change: hand.template_version(change), brings=[template.says("default_version")])
template.change("default_version", lambda hand: hand.template_version(lambda data: None), "settings again")


def volume_of(data: dict[str, Any]) -> dict[str, Any]:
    return data["BlockDeviceMappings"][0]["Ebs"]


def template_id(hand: Hand) -> str:
    return hand.ec2.describe_launch_templates(LaunchTemplateNames=[INSTANCES])["LaunchTemplates"][0]["LaunchTemplateId"]


template.tags(lambda hand, tags: hand.tag_ec2(template_id(hand), tags))

asg = Resource("cluster", "auto_scaling_group", INSTANCES)
asg.change("MinSize", lambda hand: hand.update_asg(MinSize=0))
asg.change("MaxSize", lambda hand: hand.update_asg(MaxSize=9))
asg.change("VPCZoneIdentifier", lambda hand: hand.update_asg(VPCZoneIdentifier=hand.subnet("demo-private-a")))
asg.change("NewInstancesProtectedFromScaleIn", lambda hand: hand.update_asg(NewInstancesProtectedFromScaleIn=False))
asg.change("HealthCheckGracePeriod", lambda hand: hand.update_asg(HealthCheckGracePeriod=5))
asg.change("LaunchTemplate.Version", lambda hand: hand.update_asg(LaunchTemplate={"LaunchTemplateName": INSTANCES, "Version": "1"}))
asg.change(
    "SuspendedProcesses",
    lambda hand: hand.autoscaling.suspend_processes(AutoScalingGroupName=INSTANCES, ScalingProcesses=["Launch"]),
    "settings again",
)


def tag_asg(hand: Hand, tags: dict[str, str]) -> None:
    place = {"ResourceId": INSTANCES, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
    hand.autoscaling.create_or_update_tags(Tags=[{**tag, **place} for tag in pairs(tags)])


asg.tags(tag_asg)

provider = Resource("cluster", "ecs_capacity_provider", INSTANCES)
provider.change("managedScaling.targetCapacity", lambda hand: hand.managed_scaling(targetCapacity=50))
provider.change("managedScaling.minimumScalingStepSize", lambda hand: hand.managed_scaling(minimumScalingStepSize=2))
provider.change("managedScaling.maximumScalingStepSize", lambda hand: hand.managed_scaling(maximumScalingStepSize=100))
provider.change("managedScaling.instanceWarmupPeriod", lambda hand: hand.managed_scaling(instanceWarmupPeriod=300))
provider.change("managedTerminationProtection", lambda hand: hand.provider(managedTerminationProtection="DISABLED"))
provider.change("managedDraining", lambda hand: hand.provider(managedDraining="DISABLED"))


def stop_managed_scaling(hand: Hand) -> None:
    hand.provider(managedTerminationProtection="DISABLED")
    hand.managed_scaling(status="DISABLED")


provider.change("managedScaling.status", stop_managed_scaling, "settings again", [provider.says("managedTerminationProtection")])
provider.tags(
    lambda hand, tags: hand.ecs.tag_resource(
        resourceArn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:capacity-provider/{INSTANCES}", tags=lower_pairs(tags)
    )
)

# --- alarms ---

key = Resource("alarms", "kms_key", "demo-alarms")
key.change("description", lambda hand: hand.kms.update_key_description(KeyId=hand.key, Description="mine"))
key.change("enable_key_rotation", lambda hand: hand.kms.disable_key_rotation(KeyId=hand.key))


def only_owner(hand: Hand) -> None:
    policy = json.loads(hand.kms.get_key_policy(KeyId=hand.key, PolicyName="default")["Policy"])
    policy["Statement"] = policy["Statement"][:1]
    hand.kms.put_key_policy(KeyId=hand.key, PolicyName="default", Policy=json.dumps(policy))


key.change("policy", only_owner)
key.change("key_state", lambda hand: hand.kms.disable_key(KeyId=hand.key), "settings again")
key.change("alias", lambda hand: hand.kms.delete_alias(AliasName="alias/demo-alarms"), "lost")
key.change("key_state", lambda hand: hand.kms.schedule_key_deletion(KeyId=hand.key, PendingWindowInDays=7), "added")
key.tags(
    lambda hand, tags: hand.kms.tag_resource(KeyId=hand.key, Tags=[{"TagKey": name, "TagValue": value} for name, value in tags.items()])
)

topic = Resource("alarms", "sns_topic", "demo-alarms")
topic.change("display_name", lambda hand: hand.topic("DisplayName", "mine"))
topic.change("kms_master_key_id", lambda hand: hand.topic("KmsMasterKeyId", "alias/aws/sns"))


def publish_freely(hand: Hand) -> None:
    statement = {"Sid": "mine", "Effect": "Allow", "Principal": "*", "Action": "SNS:Publish", "Resource": TOPIC}
    hand.topic("Policy", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


topic.change("policy", publish_freely)
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:mine"
topic.change(f"subscription sqs {QUEUE}", lambda hand: hand.sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE), "added")
topic.tags(lambda hand, tags: hand.sns.tag_resource(ResourceArn=TOPIC, Tags=pairs(tags)))
topic.lose(lambda hand: hand.sns.delete_topic(TopicArn=TOPIC))


def alarm(name: str) -> Resource:
    return Resource("alarms", "cloudwatch_alarm_set", name)


ONE, MATH, LATE, DOWN, SLOW = (
    "demo-web-3xx-count-high",
    "demo-nat-port-allocation-errors",
    "demo-instances-capacity-short",
    "demo-site-down",
    "demo-site-slow",
)
for field, settings in {
    "description": {"AlarmDescription": "mine"},
    "metric_name": {"MetricName": "RequestCount"},
    "namespace": {"Namespace": "AWS/NetworkELB"},
    "dimensions.LoadBalancer": {"Dimensions": [{"Name": "LoadBalancer", "Value": "app/mine/1"}]},
    "statistic": {"Statistic": "Maximum"},
    "period": {"Period": 60},
    "evaluation_periods": {"EvaluationPeriods": 2, "DatapointsToAlarm": 2},
    "threshold": {"Threshold": 1e6},
    "comparison_operator": {"ComparisonOperator": "GreaterThanOrEqualToThreshold"},
    "treat_missing_data": {"TreatMissingData": "breaching"},
    "alarm_actions": {"AlarmActions": []},
    "ok_actions": {"OKActions": []},
    "insufficient_data_actions": {"InsufficientDataActions": [TOPIC]},
    "actions_enabled": {"ActionsEnabled": False},
    "unit": {"Unit": "Count"},
}.items():
    brings = [alarm(ONE).says("dimensions.TargetGroup")] if field.startswith("dimensions") else []
    alarm(ONE).change(field, lambda hand, settings=settings: hand.alarm(ONE, **settings), brings=brings)
alarm(LATE).change("datapoints_to_alarm", lambda hand: hand.alarm(LATE, DatapointsToAlarm=1))
alarm("demo-web-4xx-count-high").change(
    "extended_statistic",
    lambda hand: hand.alarm("demo-web-4xx-count-high", Statistic=None, ExtendedStatistic="p99"),
    brings=[alarm("demo-web-4xx-count-high").says("statistic")],
)
alarm(MATH).change(
    "metrics.all.expression", lambda hand: hand.alarm_metrics(MATH, lambda metrics: metrics["all"].update(Expression="MIN(METRICS())"))
)
alarm(MATH).change("metrics.all.label", lambda hand: hand.alarm_metrics(MATH, lambda metrics: metrics["all"].update(Label="mine")))
alarm(MATH).change(
    "metrics.m1.metric_stat.period", lambda hand: hand.alarm_metrics(MATH, lambda metrics: metrics["m1"]["MetricStat"].update(Period=60))
)
alarm(MATH).change(
    "metrics.m1.metric_stat.stat", lambda hand: hand.alarm_metrics(MATH, lambda metrics: metrics["m1"]["MetricStat"].update(Stat="Maximum"))
)
alarm(MATH).change(
    "metrics.m2.metric_stat.metric",
    lambda hand: hand.alarm_metrics(MATH, lambda metrics: metrics["m2"]["MetricStat"]["Metric"].update(MetricName="PacketsDropCount")),
)


def watch_first(metrics: dict[str, dict[str, Any]]) -> None:
    metrics["all"]["ReturnData"], metrics["m1"]["ReturnData"] = False, True


alarm("demo-items-system-errors").change(
    "metrics.m1.return_data",
    lambda hand: hand.alarm_metrics("demo-items-system-errors", watch_first),
    brings=[alarm("demo-items-system-errors").says("metrics.all.return_data")],
)
for field, settings in {
    "description": {"AlarmDescription": "mine"},
    "alarm_rule": {"AlarmRule": 'ALARM("demo-web-5xx-count-high")'},
    "alarm_actions": {"AlarmActions": []},
    "ok_actions": {"OKActions": []},
    "actions_enabled": {"ActionsEnabled": False},
    "actions_suppressor_wait_period": {"ActionsSuppressorWaitPeriod": 600},
    "actions_suppressor_extension_period": {"ActionsSuppressorExtensionPeriod": 600},
}.items():
    alarm(SLOW).change(field, lambda hand, settings=settings: hand.alarm(SLOW, **settings))
alarm(SLOW).change("actions_suppressor", lambda hand: hand.alarm(SLOW, ActionsSuppressor="demo-web-4xx-count-high"), "settings again")
alarm(ONE).tags(lambda hand, tags: hand.tag_alarm(ONE, tags))
alarm(DOWN).tags(lambda hand, tags: hand.tag_alarm(DOWN, tags))
alarm("demo-api-4xx-count-high").lose(lambda hand: hand.cloudwatch.delete_alarms(AlarmNames=["demo-api-4xx-count-high"]), "settings")


def lose_composite(hand: Hand) -> None:
    """The other composite alarm is suppressed by it."""
    hand.alarm(SLOW, ActionsSuppressor=None, ActionsSuppressorWaitPeriod=None, ActionsSuppressorExtensionPeriod=None)
    hand.cloudwatch.delete_alarms(AlarmNames=[DOWN])


alarm(DOWN).lose(lose_composite, brings=[alarm(SLOW).says("actions_suppressor*")])


def more_alarms(hand: Hand) -> None:
    """Somebody copies an alarm of the stack, with its tags."""
    now = hand.cloudwatch.list_tags_for_resource(ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{ONE}")["Tags"]
    hand.cloudwatch.put_metric_alarm(
        AlarmName="demo-mine",
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Tags=now,
    )


alarm("demo-mine").gain(more_alarms)


def into_composite(hand: Hand) -> None:
    name = "demo-api-cpu-utilization-low"
    tags = hand.cloudwatch.list_tags_for_resource(ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")["Tags"]
    hand.cloudwatch.delete_alarms(AlarmNames=[name])
    hand.cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=f'ALARM("{ONE}")', Tags=tags)


COMPOSED = alarm("demo-api-cpu-utilization-low")
COMPOSED.replace("alarm_rule", into_composite, brings=[COMPOSED.says("*", "replace")])

dashboard = Resource("alarms", "cloudwatch_dashboard", DASHBOARD)
dashboard.change("periodOverride", lambda hand: hand.widgets(lambda body: body.update(periodOverride="auto")))
dashboard.change(f"widget {MATH}", lambda hand: hand.widgets(lambda body: body["widgets"].pop()))
dashboard.tags(
    lambda hand, tags: hand.cloudwatch.tag_resource(ResourceARN=f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{DASHBOARD}", Tags=pairs(tags))
)
dashboard.lose(lambda hand: hand.cloudwatch.delete_dashboards(DashboardNames=[DASHBOARD]))

# --- routes ---

PUBLIC_TABLE, TABLE_A, TABLE_B = (Resource("routes", "vpc_route_tables", f"demo-{name}") for name in ("public", "private-a", "private-b"))


def route(hand: Hand, operation: str, table: str, destination: str = EVERYBODY, **target: str) -> None:
    getattr(hand.ec2, f"{operation}_route")(RouteTableId=hand.route_table(table), DestinationCidrBlock=destination, **target)


PUBLIC_TABLE.change(
    "route 10.99.0.0/16", lambda hand: route(hand, "create", "demo-public", "10.99.0.0/16", GatewayId=hand.internet_gateway)
)
TABLE_A.change(f"route {EVERYBODY}", lambda hand: route(hand, "replace", "demo-private-a", GatewayId=hand.internet_gateway))
TABLE_B.change(f"route {EVERYBODY}", lambda hand: route(hand, "delete", "demo-private-b"))
TABLE_A.change(
    "subnet *",
    lambda hand: hand.ec2.replace_route_table_association(
        AssociationId=hand.association("demo-private-a"), RouteTableId=hand.route_table("demo-public")
    ),
    brings=[PUBLIC_TABLE.says("subnet *")],
)
TABLE_B.change("subnet *", lambda hand: hand.ec2.disassociate_route_table(AssociationId=hand.association("demo-private-b")))
PUBLIC_TABLE.tags(lambda hand, tags: hand.tag_ec2(hand.route_table("demo-public"), tags))
S3_ENDPOINT, TABLE_ENDPOINT = (Resource("routes", "vpc_endpoints", f"demo-{name}") for name in ("s3", "dynamodb"))


def lose_table(hand: Hand) -> None:
    for endpoint in ("demo-s3", "demo-dynamodb"):
        hand.ec2.modify_vpc_endpoint(VpcEndpointId=hand.endpoint(endpoint), RemoveRouteTableIds=[hand.route_table("demo-private-b")])
    hand.ec2.disassociate_route_table(AssociationId=hand.association("demo-private-b"))
    hand.ec2.delete_route_table(RouteTableId=hand.route_table("demo-private-b"))


TABLE_B.lose(lose_table, brings=[S3_ENDPOINT.says("route_table_ids"), TABLE_ENDPOINT.says("route_table_ids")])
S3_ENDPOINT.change(
    "route_table_ids",
    lambda hand: hand.ec2.modify_vpc_endpoint(
        VpcEndpointId=hand.endpoint("demo-s3"), RemoveRouteTableIds=[hand.route_table("demo-private-a")]
    ),
)
TABLE_ENDPOINT.change(
    "route_table_ids",
    lambda hand: hand.ec2.modify_vpc_endpoint(
        VpcEndpointId=hand.endpoint("demo-dynamodb"), AddRouteTableIds=[hand.route_table("demo-public")]
    ),
)
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}
S3_ENDPOINT.change(
    "policy",
    lambda hand: hand.ec2.modify_vpc_endpoint(VpcEndpointId=hand.endpoint("demo-s3"), PolicyDocument=json.dumps(DENY)),
    "settings again",
)
S3_ENDPOINT.tags(lambda hand, tags: hand.tag_ec2(hand.endpoint("demo-s3"), tags))
TABLE_ENDPOINT.lose(lambda hand: hand.ec2.delete_vpc_endpoints(VpcEndpointIds=[hand.endpoint("demo-dynamodb")]), "added")

# --- service ---

WEB, API = (Resource("service", "ecs_service", tier) for tier in ("web", "api"))
WEB.change("desiredCount", lambda hand: hand.service("web", desiredCount=1))
API.change("desiredCount", lambda hand: hand.service("api", desiredCount=7))
WEB.change("healthCheckGracePeriodSeconds", lambda hand: hand.service("web", healthCheckGracePeriodSeconds=5))
WEB.change("deploymentConfiguration.minimumHealthyPercent", lambda hand: hand.deployment("web", minimumHealthyPercent=50))
WEB.change("deploymentConfiguration.maximumPercent", lambda hand: hand.deployment("web", maximumPercent=150))
WEB.change(
    "deploymentConfiguration.deploymentCircuitBreaker",
    lambda hand: hand.deployment("web", deploymentCircuitBreaker={"enable": False, "rollback": False}),
)
WEB.change(
    "deploymentConfiguration.alarms", lambda hand: hand.deployment("web", alarms={"alarmNames": [], "enable": False, "rollback": False})
)
API.change(
    "deploymentConfiguration.deploymentCircuitBreaker.rollback",
    lambda hand: hand.deployment("api", deploymentCircuitBreaker={"enable": True, "rollback": False}),
)
API.change(
    "deploymentConfiguration.alarms.alarmNames",
    lambda hand: hand.deployment("api", alarms={"alarmNames": ["demo-api-5xx-count-high"], "enable": True, "rollback": True}),
)
WEB.change(
    "networkConfiguration.securityGroups", lambda hand: hand.network("web", securityGroups=[hand.group("demo-web"), hand.group("default")])
)
WEB.change("networkConfiguration.subnets", lambda hand: hand.network("web", subnets=[hand.subnet("demo-private-a")]))
WEB.change("networkConfiguration.assignPublicIp", lambda hand: hand.network("web", assignPublicIp="ENABLED"))
WEB.change("enableECSManagedTags", lambda hand: hand.service("web", enableECSManagedTags=False))
WEB.change("propagateTags", lambda hand: hand.service("web", propagateTags="TASK_DEFINITION"))
WEB.change("enableExecuteCommand", lambda hand: hand.service("web", enableExecuteCommand=True))
API.change("placementStrategy", lambda hand: hand.service("api", placementStrategy=[{"type": "binpack", "field": "memory"}]))
WEB.change("capacityProviderStrategy", lambda hand: hand.service("web", capacityProviderStrategy=SPOT, forceNewDeployment=True), "added")
API.change(
    "loadBalancers",
    lambda hand: hand.service("api", loadBalancers=[], healthCheckGracePeriodSeconds=0),
    "settings again",
    [API.says("healthCheckGracePeriodSeconds")],
)
WEB.tags(lambda hand, tags: hand.ecs.tag_resource(resourceArn=hand.service_arn("web"), tags=lower_pairs(tags)))
WEB.lose(lambda hand: hand.ecs.delete_service(cluster="demo", service="web", force=True), "lost")

definition = Resource("service", "ecs_task_definition", "demo-web")
definition.tags(
    lambda hand, tags: hand.ecs.tag_resource(resourceArn=hand.task_definition("demo-web")["taskDefinitionArn"], tags=lower_pairs(tags))
)


def container(**settings: Any) -> Callable[[Hand], None]:
    return lambda hand: hand.revise("demo-web", lambda request: request["containerDefinitions"][0].update(settings))


def task(**settings: Any) -> Callable[[Hand], None]:
    return lambda hand: hand.revise("demo-web", lambda request: request.update(settings))


# Another revision of the same content is a new number and mark, which the service goes to; who registers one gives all of it anew.
REVISED = [
    WEB.says("taskDefinition"),
    *(definition.says(field) for field in ("revision", "tag *", "memory", "containerDefinitions.web.environment")),
]
OTHER_LOG = {"logDriver": "awslogs", "options": {"awslogs-group": "mine", "awslogs-region": REGION, "awslogs-stream-prefix": "mine"}}
for field, by_hand in {
    "cpu": task(cpu="512", memory="1024"),
    "taskRoleArn": task(taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/demo-api-task"),
    "executionRoleArn": task(executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/demo-api-execution"),
    "runtimePlatform.cpuArchitecture": task(runtimePlatform={"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}),
    "containerDefinitions.web.image": container(image="demo/web:mine"),
    "containerDefinitions.web.command": container(command=["sleep", "600"]),
    "containerDefinitions.web.user": container(user="0:0"),
    "containerDefinitions.web.readonlyRootFilesystem": container(readonlyRootFilesystem=False),
    "containerDefinitions.web.linuxParameters": container(linuxParameters={"initProcessEnabled": False}),
    "containerDefinitions.web.environment.API_URL": container(environment=[{"name": "API_URL", "value": "http://mine"}]),
    "containerDefinitions.web.healthCheck": container(healthCheck={"command": ["CMD", "true"]}),
    "containerDefinitions.web.stopTimeout": container(stopTimeout=2),
    "containerDefinitions.web.logConfiguration": container(logConfiguration=OTHER_LOG),
    "containerDefinitions.web.portMappings": container(portMappings=[{"containerPort": 8081, "protocol": "tcp"}]),
}.items():
    definition.change(field, by_hand, "settings again", REVISED)


def older(hand: Hand) -> None:
    """The service goes to another revision of the same content; the newest is deregistered."""
    hand.revise("demo-api", lambda request: None)
    revision = hand.task_definition("demo-api")["taskDefinitionArn"]
    hand.service("api", taskDefinition=revision)
    hand.ecs.deregister_task_definition(taskDefinition=revision)


API.change("taskDefinition", older, "settings again")
Resource("service", "ecs_task_definition", "demo-api").lose(
    lambda hand: [
        hand.ecs.deregister_task_definition(taskDefinition=arn)
        for arn in hand.ecs.list_task_definitions(familyPrefix="demo-api")["taskDefinitionArns"]
    ],
    "lost",
    [API.says("taskDefinition")],
)

SCALING, API_SCALING = (Resource("scaling", "application_autoscaling", f"service/demo/{tier}") for tier in ("web", "api"))
SCALING.change("MinCapacity", lambda hand: hand.application_autoscaling.register_scalable_target(**hand.scalable("web"), MinCapacity=1))
SCALING.change("MaxCapacity", lambda hand: hand.application_autoscaling.register_scalable_target(**hand.scalable("web"), MaxCapacity=20))
SCALING.change(
    "SuspendedState",
    lambda hand: hand.application_autoscaling.register_scalable_target(
        **hand.scalable("web"), SuspendedState={"DynamicScalingOutSuspended": True}
    ),
)
for name, field in [("cpu", "TargetValue"), ("memory", "TargetValue"), ("requests", "TargetValue")]:
    SCALING.change(f"policy {name}.{field}", lambda hand, name=name: hand.scaling_policy("web", name, TargetValue=99.0))
SCALING.change("policy cpu.DisableScaleIn", lambda hand: hand.scaling_policy("web", "cpu", DisableScaleIn=True))
SCALING.change("policy memory.ScaleInCooldown", lambda hand: hand.scaling_policy("web", "memory", ScaleInCooldown=3600))
SCALING.change("policy memory.ScaleOutCooldown", lambda hand: hand.scaling_policy("web", "memory", ScaleOutCooldown=3600))
API_SCALING.change("policy cpu", lambda hand: hand.application_autoscaling.delete_scaling_policy(**hand.scalable("api"), PolicyName="cpu"))


def swap_metrics(hand: Hand) -> None:
    for name in ("cpu", "memory"):
        hand.application_autoscaling.delete_scaling_policy(**hand.scalable("api"), PolicyName=name)
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    hand.scaling_policy("api", "memory", TargetValue=75.0, PredefinedMetricSpecification=metric)


API_SCALING.change("policy memory.PredefinedMetricSpecification", swap_metrics, "settings again", [API_SCALING.says("policy *")])


def step_scaling(hand: Hand) -> None:
    steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 3}]}
    hand.application_autoscaling.put_scaling_policy(
        **hand.scalable("web"), PolicyName="mine", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps
    )


SCALING.change("policy mine", step_scaling)
SCALING.change(
    "scheduled action mine",
    lambda hand: hand.application_autoscaling.put_scheduled_action(
        **hand.scalable("web"),
        ScheduledActionName="mine",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    ),
)
SCALING.tags(lambda hand, tags: hand.tag_scalable("web", tags))
API_SCALING.lose(lambda hand: hand.application_autoscaling.deregister_scalable_target(**hand.scalable("api")))

# --- reviewers ---

USER = "demo-reviewer"
user = Resource("reviewers", "iam_users", USER)


def join(hand: Hand) -> None:
    hand.iam.create_group(GroupName="administrators")
    hand.iam.add_user_to_group(GroupName="administrators", UserName=USER)


user.change(
    "policy read-only-until",
    lambda hand: hand.iam.put_user_policy(UserName=USER, PolicyName="read-only-until", PolicyDocument=json.dumps(ANYTHING)),
)
user.change("policy more", lambda hand: hand.iam.put_user_policy(UserName=USER, PolicyName="more", PolicyDocument=json.dumps(ANYTHING)))
user.change(
    "attached policies", lambda hand: hand.iam.attach_user_policy(UserName=USER, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
)
user.change("groups", join)
user.change(
    "policy read-only-until", lambda hand: hand.iam.delete_user_policy(UserName=USER, PolicyName="read-only-until"), "settings again"
)
user.change("tag expires", lambda hand: hand.iam.tag_user(UserName=USER, Tags=pairs({"expires": "2099-01-01T00:00:00Z"})), "tags")
user.tags(lambda hand, tags: hand.iam.tag_user(UserName=USER, Tags=pairs(tags)))
Resource("reviewers", "iam_users", "demo-friend").gain(lambda hand: hand.iam.create_user(UserName="demo-friend", Path="/threetier/demo/"))


def lose_user(hand: Hand) -> None:
    hand.iam.delete_user_policy(UserName=USER, PolicyName="read-only-until")
    hand.iam.delete_user(UserName=USER)


user.lose(lose_user)

GROUPS = list(dict.fromkeys(mutation.group for mutation in MUTATIONS))

# What nobody finds, and why. Whoever mends one of these makes it a mutation.
UNSEEN = {
    Change(
        "identity", "iam_roles", "demo-web-task", "permissions boundary"
    ): "it takes permissions away only, and may be the organisation's",
    Change("identity", "iam_roles", "demo-web-task", "longest session"): "services take a role anew whenever they need it",
    Change("network", "vpc_nat_gateways", "demo-a", "tags of its address"): "the gateway's own are compared, and both are written together",
    Change(
        "reviewers", "iam_users", "demo-reviewer", "permissions boundary"
    ): "it takes permissions away only, and may be the organisation's",
    Change("service", "ecs_service", "web", "availability zone rebalancing"): "what ECS chooses by itself is left to it",
}

# --- What a run must not repair, but refuse, in words ---


@dataclass(frozen=True)
class Refusal:
    """What a hand did that only a person can decide about, a part of what the run says, and the way back."""

    what: str
    layer: str
    says: str
    by_hand: Callable[[Hand], Any]
    undo: Callable[[Hand], Any]

    def __str__(self) -> str:
        return self.what


def other_keys(hand: Hand) -> None:
    hand.dynamodb.delete_table(TableName="demo-items")
    hand.dynamodb.create_table(
        TableName="demo-items",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "mine", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "mine", "AttributeType": "S"}],
    )


def put_aside(hand: Hand) -> None:
    hand.cloudwatch.put_dashboard(DashboardName=DASHBOARD, DashboardBody=json.dumps({"widgets": []}))


def second_vpc(hand: Hand) -> None:
    tags = {"Name": "demo", "threetier:stack": "demo", "threetier:tier": "network"}
    hand.tag_ec2(hand.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"], tags)


def without_second_vpc(hand: Hand) -> None:
    found = hand.ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["demo"]}])["Vpcs"]
    with_subnets = {subnet["VpcId"] for subnet in hand.ec2.describe_subnets()["Subnets"]}
    for each in found:
        if each["VpcId"] not in with_subnets:
            hand.ec2.delete_vpc(VpcId=each["VpcId"])


def second_table(hand: Hand) -> None:
    made = hand.ec2.create_route_table(VpcId=hand.vpc)["RouteTable"]["RouteTableId"]
    hand.tag_ec2(made, {"Name": "demo-public", "threetier:stack": "demo", "threetier:tier": "network"})


def without_second_table(hand: Hand) -> None:
    for each in hand.ec2.describe_route_tables(Filters=[{"Name": "tag:Name", "Values": ["demo-public"]}])["RouteTables"]:
        if not each["Associations"]:
            hand.ec2.delete_route_table(RouteTableId=each["RouteTableId"])


ALARM_ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{ONE}"
STACK = {"threetier:stack": "demo"}
REFUSALS = [
    Refusal(
        "the table is made again with other keys",
        "database",
        "AWS cannot change them to",
        other_keys,
        lambda hand: hand.dynamodb.delete_table(TableName="demo-items"),
    ),
    Refusal(
        "a role loses the tag that says whose it is",
        "identity",
        "role demo-api-task does not carry the tags",
        lambda hand: hand.iam.untag_role(RoleName="demo-api-task", TagKeys=[*STACK]),
        lambda hand: hand.iam.tag_role(RoleName="demo-api-task", Tags=pairs(STACK)),
    ),
    Refusal(
        "a target group loses the tag that says whose it is",
        "balancer",
        "target group 'demo-web' is somebody else's",
        lambda hand: hand.elbv2.remove_tags(ResourceArns=[hand.target_group("demo-web")], TagKeys=[*STACK]),
        lambda hand: hand.tag_elbv2(hand.target_group("demo-web"), STACK),
    ),
    Refusal(
        "a load balancer loses the tag that says whose it is",
        "balancer",
        "load balancer 'demo-internal' is somebody else's",
        lambda hand: hand.elbv2.remove_tags(ResourceArns=[hand.balancer("demo-internal")], TagKeys=[*STACK]),
        lambda hand: hand.tag_elbv2(hand.balancer("demo-internal"), STACK),
    ),
    Refusal(
        "an alarm leaves the set",
        "alarms",
        f"{ONE}: exists and belongs to no alarm set",
        lambda hand: hand.cloudwatch.untag_resource(ResourceARN=ALARM_ARN, TagKeys=["threetier:alarm-set"]),
        lambda hand: hand.tag_alarm(ONE, {"threetier:alarm-set": "demo"}),
    ),
    Refusal(
        "a dashboard of the name is somebody's own",
        "alarms",
        "a dashboard of that name exists that this module did not make",
        put_aside,
        lambda hand: hand.cloudwatch.delete_dashboards(DashboardNames=[DASHBOARD]),
    ),
    Refusal(
        "a reviewer moves to another path",
        "reviewers",
        "user demo-reviewer has the path /, not /threetier/demo/",
        lambda hand: hand.iam.update_user(UserName=USER, NewPath="/"),
        lambda hand: hand.iam.update_user(UserName=USER, NewPath="/threetier/demo/"),
    ),
    Refusal("there is a second VPC of the name and tags", "network", "2 VPCs have the name demo", second_vpc, without_second_vpc),
    Refusal(
        "there is a second route table of the name and tags",
        "routes",
        "the VPC has 2 route tables of this name",
        second_table,
        without_second_table,
    ),
]


# --- What a run says, beside what it should ---


@dataclass(frozen=True)
class Verdict:
    """Which mutations of a batch a report names, and what it names that nobody caused."""

    found: list[Mutation]
    missed: list[Mutation]
    uncaused: list[str]

    def __bool__(self) -> bool:
        return not (self.missed or self.uncaused)

    def __str__(self) -> str:
        return "\n".join([*(f"not found: {each}" for each in self.missed), *(f"nobody caused: {each}" for each in self.uncaused)])


def named(change: Change, report: dict[str, Any]) -> bool:
    return any(is_of(change, entry) and covers(change, entry) for entry in report["changes"])


def is_of(change: Change, entry: dict[str, Any]) -> bool:
    same = (change.layer, change.kind, change.verb) == (entry["layer"], entry["kind"], entry["action"])
    return same and fnmatchcase(entry["name"], change.name)


def covers(change: Change, entry: dict[str, Any]) -> bool:
    return change.verb in ("create", "delete") or any(is_field(change.field, each["field"]) for each in entry["fields"])


def is_field(pattern: str, path: str) -> bool:
    return path == pattern or path.startswith((f"{pattern}.", f"{pattern} ")) or fnmatchcase(path, pattern)


def judge(batch: Iterable[Mutation], report: dict[str, Any]) -> Verdict:
    """A report beside the batch of mutations that were made before it."""
    batch = list(batch)
    found = [mutation for mutation in batch if named(mutation.found, report)]
    causes = [change for mutation in batch for change in (mutation.found, *mutation.brings)]
    uncaused = []
    for entry in report["changes"]:
        mine = [change for change in causes if is_of(change, entry)]
        what = f"{entry['action']} {entry['layer']} {entry['kind']} {entry['name']}"
        if not mine:
            uncaused.append(what)
        elif entry["action"] not in ("create", "delete"):
            fields = [each for each in entry["fields"] if not any(is_field(change.field, each["field"]) for change in mine)]
            uncaused += [f"{what} {each['field']}: {each['before']!r} to {each['after']!r}" for each in fields]
    return Verdict(found, [mutation for mutation in batch if mutation not in found], uncaused)


def unkept(preview: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """What a run did otherwise than its preview had said; what was to be known once something exists may be anything."""

    def resources(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {f"{entry['action']} {entry['layer']} {entry['kind']} {entry['name']}": entry for entry in report["changes"]}

    said, done = resources(preview), resources(run)
    wrong = [f"only in the preview: {each}" for each in said if each not in done]
    wrong += [f"only in the run: {each}" for each in done if each not in said]
    for what in said.keys() & done.keys():
        before, after = ({each["field"]: each for each in report[what]["fields"]} for report in (said, done))
        open_fields = any("(known once" in field for field in before)
        for field in sorted(before.keys() | after.keys()):
            if before.get(field) != after.get(field) and not (open_fields or "(known once" in json.dumps(before.get(field))):
                wrong.append(f"{what} {field}: said {before.get(field)}, done {after.get(field)}")
    return wrong


# --- Options of the modules, beside the fields of the report ---

# Where a field is not named as its option is.
SHOWN_AS = {
    "application_autoscaling.target_tracking_policies.predefined_metric_type": "policy memory.PredefinedMetricSpecification",
    "application_load_balancers.load_balancers.attributes": "access_logs.s3.enabled",
    "application_load_balancers.load_balancers.listeners.default_actions": "listener 80.DefaultActions",
    "application_load_balancers.load_balancers.listeners.port": "listener 80",
    "auto_scaling_group.subnets": "VPCZoneIdentifier",
    "cloudwatch_alarm_set.alarms": "threshold",
    "cloudwatch_alarm_set.defaults": "treat_missing_data",
    "cloudwatch_dashboard.alarms": f"widget {MATH}",
    "ecr_repository.lifecycle_policy": "lifecycle rule 2",
    "ecs_service.deployment_configuration.circuit_breaker": "deploymentConfiguration.deploymentCircuitBreaker",
    "ecs_service.deployment_configuration.alarms": "deploymentConfiguration.alarms",
    "ecs_service.minimum_count": "desiredCount",
    "ecs_service.maximum_count": "desiredCount",
    "ecs_task_definition.containers": "containerDefinitions.web.image",
    "ecs_task_definition.memory": "cpu",  # AWS takes the two together
    "iam_roles.roles.inline_policies": "policy least-privilege",
    "iam_users.users.inline_policies": "policy read-only-until",
    "launch_template.tag_specifications": "tag_specifications.instance.owner",
    "s3_bucket.expiration_days": "lifecycle_rules",
    "security_groups.groups.ingress": "ingress",
    "security_groups.groups.egress": "egress",
    "sns_topic.subscriptions": f"subscription sqs {QUEUE}",
    "target_groups.target_groups.attributes": "load_balancing.algorithm.type",
    "target_groups.target_groups.health_check.interval": "HealthCheckIntervalSeconds",
    "target_groups.target_groups.health_check.path": "HealthCheckPath",
    "target_groups.target_groups.health_check.protocol": "HealthCheckProtocol",
    "target_groups.target_groups.health_check.timeout": "HealthCheckTimeoutSeconds",
    "target_groups.target_groups.health_check.healthy_threshold": "HealthyThresholdCount",
    "target_groups.target_groups.health_check.unhealthy_threshold": "UnhealthyThresholdCount",
    "vpc_route_tables.tables.routes": f"route {EVERYBODY}",
    "vpc_route_tables.tables.subnets": "subnet *",
}

# Options that no hand can change, each with the reason.
EXCEPTIONS = {
    "*name": "it is the resource: another name is another resource",
    "*.vpc_id": "nothing moves to another VPC",
    "*.state": "whether, not what",
    "*.wait": "when the task ends, not what",
    "*.purge*": "whether what is more is deleted, which is mutated",
    "ecs_service.cluster": "a service stays in its cluster",
    "application_autoscaling.resource_id": "it is the resource",
    "application_autoscaling.scalable_dimension": "it is the resource",
    "application_autoscaling.service_namespace": "it is the resource",
    "application_autoscaling.target_tracking_policies.resource_label": "follows from the load balancer, which is mutated",
    "application_load_balancers.load_balancers.scheme": "AWS has no call for it",
    "application_load_balancers.load_balancers.listeners.protocol": "needs a certificate, which the stack has none of",
    "cloudwatch_alarm_set.name_prefix": "it is the resource",
    "dynamodb_items.table": "it is the resource",
    "dynamodb_items.items": "a deleted item is found; what people changed in one stays theirs",
    "dynamodb_items.keys": "it is the resource",
    "dynamodb_table.hash_key.*": "AWS has no call for it; a table made again is refused",
    "dynamodb_table.range_key.*": "AWS has no call for it; a table made again is refused",
    "dynamodb_table.*_capacity.*": "the table of the local inventory is on demand",
    "dynamodb_table.server_side_encryption.*": "the field is the whole",
    "drift.*": "looks only",
    "ecr_image.*": "what is pushed under a digest cannot change; the local inventory builds none",
    "ecs_capacity_provider.auto_scaling_group_arn": "AWS has no call for it; a group made again is refused",
    "ecs_cluster.default_capacity_provider_strategy.*": "the field is the whole",
    "ecs_service.capacity_provider_strategy.*": "the field is the whole",
    "ecs_service.load_balancers.*": "the field is the whole",
    "ecs_service.placement_strategy.*": "the field is the whole",
    "ecs_service_wait.*": "waits",
    "ecs_task_definition.family": "it is the resource",
    "ecs_task_definition.network_mode": "Fargate has one",
    "ecs_task_definition.requires_compatibilities": "the other would need another definition",
    "ecs_task_definition.runtime_platform.operating_system_family": "the images are Linux",
    "ecs_task_definition.volumes": "a revision without it would be refused, as a container mounts it",
    "iam_users.path": "it is the resource",
    "launch_template.block_device_mappings.device_name": "it is the resource",
    "security_groups.groups.description": "AWS has no call for it",
    "sns_topic.topic_arn": "it is the resource",
    "stack_variables.*": "looks only",
    "target_groups.target_groups.port": "AWS has no call for it; a group made again is refused",
    "target_groups.target_groups.health_check.port": "the roles give none",
    "target_groups.target_groups.protocol": "AWS has no call for it",
    "target_groups.target_groups.target_type": "AWS has no call for it",
    "vpc.cidr_block": "AWS has no call for it",
    "vpc_endpoints.endpoints.service": "AWS has no call for it",
    "vpc_endpoints.endpoints.type": "AWS has no call for it",
    "vpc_endpoints.endpoints.subnet_ids": "of interface endpoints, which the local inventory has none of",
    "vpc_endpoints.endpoints.security_group_ids": "of interface endpoints, which the local inventory has none of",
    "vpc_flow_log.resource_id": "it is the resource",
    "vpc_nat_gateways.gateways.subnet_id": "AWS has no call for it",
    "vpc_nat_gateways.keep": "what stays for the routes of another run",
    "vpc_nat_instance.*": "the local inventory has none",
    "vpc_subnets.subnets.cidr": "AWS has no call for it",
    "vpc_subnets.subnets.availability_zone": "AWS has no call for it",
}
