"""Elastic Load Balancing: load balancers, target groups, listeners."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from conformance.network import Network, interfaces, make_group, make_network, make_subnet
from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application"
ACCOUNT = "123456789012"


@pytest.fixture
def ec2(aws: Callable[..., Any]) -> Any:
    """A client of EC2."""
    return aws("ec2")


@pytest.fixture
def elb(aws: Callable[..., Any]) -> Any:
    """A client of Elastic Load Balancing."""
    return aws("elbv2")


@pytest.fixture
def network(ec2: Any) -> Network:
    """A network of the test's own."""
    return make_network(ec2)


def make_balancer(elb: Any, network: Network, name: str, **more: Any) -> str:
    """Make a load balancer; returns its ARN."""
    return str(elb.create_load_balancer(Name=name, Subnets=network.subnets, **more)["LoadBalancers"][0]["LoadBalancerArn"])


def make_target_group(elb: Any, network: Network, name: str, **more: Any) -> str:
    """Make a target group; returns its ARN."""
    request = {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": network.vpc, "TargetType": "ip"} | more
    return str(elb.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"])


def make_listener(elb: Any, balancer: str, group: str, port: int = 80) -> str:
    """Make a listener that forwards to a target group; returns its ARN."""
    answer = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[forward(group)])
    return str(answer["Listeners"][0]["ListenerArn"])


def forward(group: str) -> dict[str, Any]:
    """An action that forwards to a target group."""
    return {"Type": "forward", "TargetGroupArn": group}


def attributes(**values: str) -> list[dict[str, str]]:
    """An Attributes parameter; two underscores stand for a dot."""
    return [{"Key": name.replace("__", "."), "Value": value} for name, value in values.items()]


# Load balancers


@conforms(f"{API}/API_LoadBalancer.html")
def test_load_balancer_states(elb: Any, ec2: Any, network: Network) -> None:
    (made,) = elb.create_load_balancer(Name="states", Subnets=network.subnets)["LoadBalancers"]
    assert (made["State"]["Code"], made["Scheme"]) == ("provisioning", "internet-facing")
    default = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [network.vpc]}])["SecurityGroups"][0]["GroupId"]
    (found,) = elb.describe_load_balancers(Names=["states"])["LoadBalancers"]
    assert (found["State"]["Code"], found["SecurityGroups"]) == ("active", [default])


@conforms(f"{GUIDE}/application-load-balancers.html")
def test_load_balancer_interfaces(elb: Any, ec2: Any, network: Network) -> None:
    first, second = make_group(ec2, network.vpc, "first"), make_group(ec2, network.vpc, "second")
    arn = make_balancer(elb, network, "interfaces", SecurityGroups=[first])
    found = interfaces(ec2, network.vpc)
    assert {interface["Description"] for interface in found} == {f"ELB {arn.partition('loadbalancer/')[2]}"}
    assert {interface["SubnetId"] for interface in found} == set(network.subnets)
    assert {interface["RequesterManaged"] for interface in found} == {True}
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network.subnets[0])
    refused("DependencyViolation", ec2.detach_internet_gateway, InternetGatewayId=network.gateway, VpcId=network.vpc)
    refused("DependencyViolation", ec2.delete_security_group, GroupId=first)
    elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[second])
    ec2.delete_security_group(GroupId=first)
    third = make_subnet(ec2, network.vpc, "10.0.9.0/24", "eu-central-1c")
    elb.set_subnets(LoadBalancerArn=arn, Subnets=[network.subnets[0], third])
    assert {interface["SubnetId"] for interface in interfaces(ec2, network.vpc)} == {network.subnets[0], third}


@conforms(f"{API}/API_CreateLoadBalancer.html")
def test_load_balancer_name(elb: Any, network: Network) -> None:
    for name in ("n" * 33, "under_score", "-begins", "ends-", "internal-mine"):
        refused("ValidationError", elb.create_load_balancer, Name=name, Subnets=network.subnets)
    make_balancer(elb, network, "n" * 32)


@conforms(f"{GUIDE}/load-balancer-update-security-groups.html")
def test_load_balancer_security_groups(elb: Any, ec2: Any, network: Network) -> None:
    near, far = make_group(ec2, network.vpc, "near"), make_group(ec2, make_network(ec2).vpc, "far")
    request = {"Name": "groups", "Subnets": network.subnets}
    refused("InvalidSecurityGroup", elb.create_load_balancer, **request, SecurityGroups=["sg-0123456789abcdef0"])
    refused("InvalidConfigurationRequest", elb.create_load_balancer, **request, SecurityGroups=[far])
    make_balancer(elb, network, "groups", SecurityGroups=[near])


@conforms(f"{GUIDE}/load-balancer-troubleshooting.html")
def test_load_balancer_needs_internet_gateway(elb: Any, ec2: Any, network: Network) -> None:
    ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    refused("InvalidSubnet", elb.create_load_balancer, Name="public", Subnets=network.subnets)
    make_balancer(elb, network, "private", Scheme="internal")


@conforms(f"{GUIDE}/application-load-balancers.html")
def test_load_balancer_needs_addresses(elb: Any, ec2: Any, network: Network) -> None:
    small = make_subnet(ec2, network.vpc, "10.0.9.0/28")
    for _ in range(4):
        ec2.create_network_interface(SubnetId=small)
    refused("InvalidSubnet", elb.create_load_balancer, Name="cramped", Subnets=[small, network.subnets[1]])
    make_balancer(elb, network, "roomy")


@conforms(f"{API}/API_CreateLoadBalancer.html")
def test_load_balancer_zones(elb: Any, network: Network) -> None:
    refused("ValidationError", elb.create_load_balancer, Name="zones", Subnets=network.subnets[:1])
    arn = make_balancer(elb, network, "zones")
    refused("ValidationError", elb.set_subnets, LoadBalancerArn=arn, Subnets=network.subnets[1:])


@conforms(f"{API}/API_CreateLoadBalancer.html")
def test_load_balancer_subnets(elb: Any, ec2: Any, network: Network) -> None:
    first, second = network.subnets
    far, same_zone = make_network(ec2).subnets[1], make_subnet(ec2, network.vpc, "10.0.9.0/24")
    refused("SubnetNotFound", elb.create_load_balancer, Name="subnets", Subnets=[first, "subnet-0123456789abcdef0"])
    refused("InvalidConfigurationRequest", elb.create_load_balancer, Name="subnets", Subnets=[first, far])
    refused("InvalidConfigurationRequest", elb.create_load_balancer, Name="subnets", Subnets=[first, second, same_zone])
    make_balancer(elb, network, "subnets")


@conforms(f"{API}/API_CreateLoadBalancer.html")
def test_load_balancer_is_made_once(elb: Any, network: Network) -> None:
    first, second = (make_balancer(elb, network, "once", Tags=[{"Key": "turn", "Value": turn}]) for turn in "12")
    assert first == second
    refused("DuplicateLoadBalancerName", elb.create_load_balancer, Name="once", Subnets=network.subnets, Scheme="internal")


@conforms(f"{API}/API_DescribeLoadBalancers.html")
def test_load_balancer_unknown(elb: Any, network: Network) -> None:
    make_balancer(elb, network, "known")
    refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["known", "unknown"])


@conforms(f"{API}/API_DescribeTags.html")
def test_tags_of_unknown(elb: Any, network: Network) -> None:
    arn = make_balancer(elb, network, "tagged", Tags=[{"Key": "key", "Value": "value"}])
    assert elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == [{"Key": "key", "Value": "value"}]
    refused("LoadBalancerNotFound", elb.describe_tags, ResourceArns=[f"{arn}0"])


@conforms(f"{GUIDE}/application-load-balancers.html")
def test_attributes_have_defaults(elb: Any, network: Network) -> None:
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=make_balancer(elb, network, "defaults"))["Attributes"]
    values = {attribute["Key"]: attribute["Value"] for attribute in found}
    assert (values["idle_timeout.timeout_seconds"], values["routing.http2.enabled"]) == ("60", "true")


@conforms(f"{API}/API_LoadBalancerAttribute.html")
def test_load_balancer_attribute_values(elb: Any, network: Network) -> None:
    arn = make_balancer(elb, network, "values")
    for wrong in (
        attributes(idle_timeout__timeout_seconds="4001"), attributes(idle_timeout__timeout_seconds="long"),
        attributes(deletion_protection__enabled="yes"), attributes(routing__http__desync_mitigation_mode="lax"),
    ):  # fmt: skip
        refused("ValidationError", elb.modify_load_balancer_attributes, LoadBalancerArn=arn, Attributes=wrong)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes(idle_timeout__timeout_seconds="4000"))


@conforms(f"{GUIDE}/enable-access-logging.html")
def test_log_bucket_admits_the_delivery(aws: Callable[..., Any], elb: Any, network: Network) -> None:
    arn, s3 = make_balancer(elb, network, "logs"), aws("s3")
    logs = attributes(access_logs__s3__enabled="true", access_logs__s3__bucket="logs-of-a-balancer", access_logs__s3__prefix="web")
    code, request = "InvalidConfigurationRequest", {"LoadBalancerArn": arn, "Attributes": logs}
    refused(code, elb.modify_load_balancer_attributes, **request)
    s3.create_bucket(Bucket="logs-of-a-balancer", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def admit(service: str, resource: str) -> None:
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "s3:PutObject", "Resource": resource}
        s3.put_bucket_policy(Bucket="logs-of-a-balancer", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    delivery, objects = "logdelivery.elasticloadbalancing.amazonaws.com", f"arn:aws:s3:::logs-of-a-balancer/*/AWSLogs/{ACCOUNT}/*"
    assert "Access Denied for bucket" in refused(code, elb.modify_load_balancer_attributes, **request)
    for service, resource in (("delivery.logs.amazonaws.com", objects), (delivery, objects.replace("*/AWSLogs", "api/AWSLogs"))):
        admit(service, resource)
        refused(code, elb.modify_load_balancer_attributes, **request)
    admit(delivery, objects)
    elb.modify_load_balancer_attributes(**request)


@conforms(f"{API}/API_DeleteLoadBalancer.html")
def test_deletion_protection(elb: Any, network: Network) -> None:
    arn = make_balancer(elb, network, "protected")
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes(deletion_protection__enabled="true"))
    refused("OperationNotPermitted", elb.delete_load_balancer, LoadBalancerArn=arn)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes(deletion_protection__enabled="false"))
    elb.delete_load_balancer(LoadBalancerArn=arn)


# Listeners


@conforms(f"{API}/API_TargetGroup.html")
def test_target_group_knows_its_load_balancer(elb: Any, network: Network) -> None:
    balancer, group = make_balancer(elb, network, "user"), make_target_group(elb, network, "used")

    def users() -> list[str]:
        return list(elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"])

    assert users() == []
    make_listener(elb, balancer, group)
    assert users() == [balancer]
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    assert users() == []


@conforms(f"{GUIDE}/load-balancer-target-groups.html")
def test_target_group_has_one_load_balancer(elb: Any, network: Network) -> None:
    first, second = make_balancer(elb, network, "one"), make_balancer(elb, network, "two")
    group = make_target_group(elb, network, "shared")
    make_listener(elb, first, group)
    make_listener(elb, first, group, port=81)
    request = {"LoadBalancerArn": second, "Protocol": "HTTP", "Port": 80, "DefaultActions": [forward(group)]}
    refused("TargetGroupAssociationLimit", elb.create_listener, **request)
    elb.delete_load_balancer(LoadBalancerArn=first)
    elb.create_listener(**request)


@conforms(f"{GUIDE}/load-balancer-target-groups.html")
def test_target_group_of_other_vpc(elb: Any, ec2: Any, network: Network) -> None:
    balancer = make_balancer(elb, network, "here")
    near, far = make_target_group(elb, network, "near"), make_target_group(elb, make_network(ec2), "far")
    listener = make_listener(elb, balancer, near)
    refused("InvalidConfigurationRequest", elb.modify_listener, ListenerArn=listener, DefaultActions=[forward(far)])
    rule = {"Conditions": [{"Field": "path-pattern", "Values": ["/a"]}], "Priority": 1}
    refused("InvalidConfigurationRequest", elb.create_rule, ListenerArn=listener, Actions=[forward(far)], **rule)
    elb.create_rule(ListenerArn=listener, Actions=[forward(near)], **rule)


@conforms(f"{GUIDE}/create-https-listener.html")
def test_listener_needs_certificate(aws: Callable[..., Any], elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "secure")
    request = {
        "LoadBalancerArn": make_balancer(elb, network, "https"), "Protocol": "HTTPS", "Port": 443, "DefaultActions": [forward(group)]
    }  # fmt: skip
    refused("ValidationError", elb.create_listener, **request)
    unknown = f"arn:aws:acm:eu-central-1:{ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000"
    refused("CertificateNotFound", elb.create_listener, **request, Certificates=[{"CertificateArn": unknown}])
    known = aws("acm").request_certificate(DomainName="shop.example")["CertificateArn"]
    elb.create_listener(**request, Certificates=[{"CertificateArn": known}])


@conforms(f"{GUIDE}/describe-ssl-policies.html")
def test_listener_policy(aws: Callable[..., Any], elb: Any, network: Network) -> None:
    certificate = aws("acm").request_certificate(DomainName="policy.example")["CertificateArn"]
    request = {
        "LoadBalancerArn": make_balancer(elb, network, "policy"), "Protocol": "HTTPS", "Port": 443,
        "DefaultActions": [forward(make_target_group(elb, network, "policy"))], "Certificates": [{"CertificateArn": certificate}],
    }  # fmt: skip
    refused("SSLPolicyNotFound", elb.create_listener, **request, SslPolicy="ELBSecurityPolicy-None")
    elb.create_listener(**request, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")


@conforms(f"{API}/API_ModifyListener.html")
def test_listener_changes_are_checked(elb: Any, network: Network) -> None:
    balancer, group = make_balancer(elb, network, "changes"), make_target_group(elb, network, "changes")
    listener = make_listener(elb, balancer, group)
    make_listener(elb, balancer, group, port=81)
    refused("TargetGroupNotFound", elb.modify_listener, ListenerArn=listener, DefaultActions=[forward(f"{group}0")])
    refused("DuplicateListener", elb.modify_listener, ListenerArn=listener, Port=81)
    elb.modify_listener(ListenerArn=listener, Port=82)


@conforms(f"{API}/API_CreateRule.html")
def test_rule_needs_a_condition(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "condition")
    request = {"ListenerArn": make_listener(elb, make_balancer(elb, network, "condition"), group), "Actions": [forward(group)]}
    refused("ValidationError", elb.create_rule, **request, Priority=1, Conditions=[])
    elb.create_rule(**request, Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/a"]}])


@conforms(f"{API}/API_RedirectActionConfig.html")
def test_redirect_leads_elsewhere(elb: Any, network: Network) -> None:
    request = {"LoadBalancerArn": make_balancer(elb, network, "redirect"), "Protocol": "HTTP", "Port": 80}
    loop = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "#{host}"}}
    https = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Protocol": "HTTPS", "Port": "443"}}
    refused("InvalidLoadBalancerAction", elb.create_listener, **request, DefaultActions=[loop])
    elb.create_listener(**request, DefaultActions=[https])


@conforms(f"{API}/API_DeleteRule.html")
def test_default_rule_stays(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "rules")
    listener = make_listener(elb, make_balancer(elb, network, "rules"), group)
    made = elb.create_rule(
        ListenerArn=listener, Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/a"]}], Actions=[forward(group)]
    )["Rules"][0]["RuleArn"]  # fmt: skip
    elb.delete_rule(RuleArn=made)
    refused("RuleNotFound", elb.delete_rule, RuleArn=made)
    (default,) = elb.describe_rules(ListenerArn=listener)["Rules"]
    refused("OperationNotPermitted", elb.delete_rule, RuleArn=default["RuleArn"])


@conforms(f"{API}/API_CreateListener.html")
def test_listener_is_made_once(elb: Any, network: Network) -> None:
    balancer, group, other = make_balancer(elb, network, "port"), make_target_group(elb, network, "g"), make_target_group(elb, network, "h")
    assert make_listener(elb, balancer, group) == make_listener(elb, balancer, group)
    request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "DefaultActions": [forward(other)]}
    refused("DuplicateListener", elb.create_listener, **request, Port=80)
    elb.create_listener(**request, Port=81)


# Target groups


@conforms(f"{GUIDE}/target-group-health-checks.html")
def test_health_check_path(elb: Any, network: Network) -> None:
    request = {"Name": "path", "Protocol": "HTTP", "Port": 80, "VpcId": network.vpc}
    refused("ValidationError", elb.create_target_group, **request, HealthCheckPath="health")
    group = make_target_group(elb, network, "path", HealthCheckPath="/health")
    refused("ValidationError", elb.modify_target_group, TargetGroupArn=group, HealthCheckPath="health")


@conforms(f"{API}/API_Matcher.html")
def test_health_check_codes(elb: Any, network: Network) -> None:
    request = {"Name": "codes", "Protocol": "HTTP", "Port": 80, "VpcId": network.vpc}
    refused("ValidationError", elb.create_target_group, **request, Matcher={"HttpCode": "200-500"})
    make_target_group(elb, network, "codes", Matcher={"HttpCode": "200-299,401"})


@conforms(f"{API}/API_ModifyTargetGroup.html")
def test_health_check_timeout(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "timeout", HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=5)
    refused("ValidationError", elb.modify_target_group, TargetGroupArn=group, HealthCheckTimeoutSeconds=10)
    refused("ValidationError", elb.modify_target_group, TargetGroupArn=group, HealthCheckIntervalSeconds=5)
    elb.modify_target_group(TargetGroupArn=group, HealthCheckIntervalSeconds=15, HealthCheckTimeoutSeconds=10)


@conforms(f"{API}/API_CreateTargetGroup.html")
def test_target_group_is_made_once(elb: Any, network: Network) -> None:
    assert make_target_group(elb, network, "twice") == make_target_group(elb, network, "twice")
    request = {"Name": "twice", "Protocol": "HTTP", "Port": 81, "VpcId": network.vpc, "TargetType": "ip"}
    refused("DuplicateTargetGroupName", elb.create_target_group, **request)


@conforms(f"{API}/API_TargetGroupAttribute.html")
def test_target_group_attribute_values(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "values")
    for wrong in (
        attributes(deregistration_delay__timeout_seconds="3601"), attributes(stickiness__enabled="yes"),
        attributes(load_balancing__algorithm__type="random"), attributes(slow_start__duration_seconds="901"),
        attributes(stickyness__enabled="true"),
    ):  # fmt: skip
        refused("ValidationError", elb.modify_target_group_attributes, TargetGroupArn=group, Attributes=wrong)
    right = attributes(load_balancing__algorithm__type="least_outstanding_requests")
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=right)


@conforms(f"{GUIDE}/edit-target-group-attributes.html")
def test_deregistration_delay_of_an_hour(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "hour")
    hour = attributes(deregistration_delay__timeout_seconds="3600")
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=hour)
    assert hour[0] in elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]


@conforms(f"{GUIDE}/edit-target-group-attributes.html")
def test_slow_start_needs_round_robin(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "slow")
    both = attributes(slow_start__duration_seconds="30", load_balancing__algorithm__type="least_outstanding_requests")
    refused("InvalidConfigurationRequest", elb.modify_target_group_attributes, TargetGroupArn=group, Attributes=both)
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=both[:1])


@conforms(f"{API}/API_DescribeTargetHealth.html")
def test_target_health(elb: Any, network: Network) -> None:
    group = make_target_group(elb, network, "health")
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.10", "Port": 80}])

    def health() -> tuple[str, str]:
        found = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]["TargetHealth"]
        return found["State"], found["Reason"]

    assert health() == ("unused", "Target.NotInUse")
    make_listener(elb, make_balancer(elb, network, "checks"), group)
    assert health() == ("unhealthy", "Target.Timeout")
