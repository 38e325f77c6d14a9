"""Elastic Load Balancing: load balancers. Their target groups are in elbv2_target_groups.py, listeners and rules in elbv2_listeners.py."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.models.subnets import Subnet
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, elbv2_backends
from moto.s3.models import s3_backends

from emulator import interfaces
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of, found
from emulator.rules.ec2_vpc import internet_gateway_of
from emulator.wire import ACCOUNT

INTERNET_FACING = "internet-facing"
LONGEST_NAME = 32
FREE_ADDRESSES = 8
LOG_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
ATTRIBUTES = {
    "access_logs.s3.bucket": "",
    "access_logs.s3.enabled": "false",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
Legal = set[str] | tuple[int, int] | tuple[()]  # what a value may be: some words, the numbers from one to another, anything
# Those that are true or false by default take no other words.
LEGAL: dict[str, Legal] = {
    "client_keep_alive.seconds": (60, 604800),
    "idle_timeout.timeout_seconds": (1, 4000),
    "routing.http.desync_mitigation_mode": {"defensive", "monitor", "strictest"},
    "routing.http.xff_header_processing.mode": {"append", "preserve", "remove"},
    **{name: {"false", "true"} for name, default in ATTRIBUTES.items() if default in ("false", "true")},
}


def elb_of(call: Call) -> ELBv2Backend:
    """Moto's load balancing in the region of a call."""
    return elbv2_backends[ACCOUNT][call.region]


def invalid(message: str) -> AwsError:
    """Load balancing's error for a value that it does not take."""
    return AwsError("ValidationError", message)


def misconfigured(message: str) -> AwsError:
    """Load balancing's error for values that do not fit together."""
    return AwsError("InvalidConfigurationRequest", message)


def check(kind: str, attributes: list[dict[str, str]], legal: dict[str, Legal]) -> None:
    """Refuse attributes whose values are not legal; C(kind) is what they belong to."""
    for attribute in attributes:
        key, value = attribute.get("Key", ""), attribute.get("Value", "")
        allowed = legal.get(key)
        if isinstance(allowed, set) and value not in allowed:
            raise invalid(f"{kind} attribute '{key}' value '{value}' must be one of [{', '.join(sorted(allowed))}]")
        if isinstance(allowed, tuple) and allowed and not (re.fullmatch(r"\d{1,9}", value) and allowed[0] <= int(value) <= allowed[1]):
            raise invalid(f"'{key}' value '{value}' must be between '{allowed[0]}-{allowed[1]}' inclusive")


def subnets_of(call: Call) -> list[Subnet]:
    """The subnets that a call names. Raises SubnetNotFound where moto would say InvalidSubnetID.NotFound."""
    ids = [*call.params.get("Subnets", []), *(each["SubnetId"] for each in call.params.get("SubnetMappings", []))]
    subnets = [found(ec2_of(call).get_subnet, subnet_id) for subnet_id in ids]
    if None in subnets:
        raise AwsError("SubnetNotFound", f"The subnet ID '{ids[subnets.index(None)]}' does not exist")
    return subnets


def balancer_of(call: Call) -> FakeLoadBalancer | None:
    """The load balancer that a call names by its ARN."""
    return elb_of(call).load_balancers.get(call.params.get("LoadBalancerArn", ""))


def is_application(call: Call) -> bool:
    """Whether a call is about an Application Load Balancer."""
    balancer = balancer_of(call)
    return bool((balancer.type if balancer else call.params.get("Type", "application")) == "application")


# Creation. The rule that stands last sees the call first.


@rule("elbv2", "CreateLoadBalancer")
def load_balancer_states(call: Call, proceed: Proceed) -> Answer:
    """A new load balancer is C(provisioning), then C(active), faces the Internet and has the VPC's default group unless told otherwise.

    Moto's is active when it is first described, whatever time has passed, and without scheme and group.
    It answers at its DNSName; moto's answers nowhere. Here the name is a loopback address with a port.
    Moto could take a part of it: scheme and group.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancer.html
    """
    answer = proceed()
    (described,) = answer["LoadBalancers"]
    balancer = elb_of(call).load_balancers[described["LoadBalancerArn"]]
    balancer.request, balancer.answer = settings(call), answer
    balancer.scheme = described["Scheme"] = balancer.scheme or INTERNET_FACING
    if not balancer.security_groups and balancer.type == "application":
        balancer.security_groups = [ec2_of(call).get_default_security_group(balancer.vpc_id).id]
        described["SecurityGroups"] = balancer.security_groups
    balancer.activate = lambda: None  # moto would, on the first look
    interfaces.follow_balancer(ec2_of(call), balancer)
    call.state.balancers.sync()
    described["DNSName"] = balancer.dns_name
    call.state.clock.after("load_balancer_active", balancer.arn, lambda: setattr(balancer, "state", "active"))
    return answer


@rule("elbv2", "SetSubnets", "SetSecurityGroups")
def load_balancer_interfaces(call: Call, proceed: Proceed) -> Answer:
    """A load balancer has an interface C(ELB app/NAME/ID) in each of its subnets, with its security groups. Moto's has none.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
    """
    answer = proceed()
    if balancer := balancer_of(call):
        interfaces.follow_balancer(ec2_of(call), balancer)
    return answer


@rule("elbv2", "CreateLoadBalancer")
def load_balancer_name(call: Call, proceed: Proceed) -> Answer:
    """A name has 32 letters, digits and inner hyphens, and does not begin with C(internal-): ValidationError. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    name = call.params.get("Name", "")
    if len(name) > LONGEST_NAME:
        raise invalid(f"The load balancer name '{name}' cannot be longer than '{LONGEST_NAME}' characters")
    if not re.fullmatch(r"[a-zA-Z0-9-]+", name):
        raise invalid(f"The load balancer name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)")
    if name.startswith("-") or name.endswith("-"):
        raise invalid(f"The load balancer name '{name}' cannot begin or end with '-'")
    if name.startswith("internal-"):
        raise invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")
    return proceed()


@rule("elbv2", "CreateLoadBalancer", "SetSecurityGroups")
def load_balancer_security_groups(call: Call, proceed: Proceed) -> Answer:
    """The groups exist, else InvalidSecurityGroup, and belong to the VPC, else InvalidConfigurationRequest.

    Moto looks in SetSecurityGroups only, and not at the VPC. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-update-security-groups.html
    """
    balancer = balancer_of(call)
    vpc_id = balancer.vpc_id if balancer else next((subnet.vpc_id for subnet in subnets_of(call)), None)
    for group_id in call.params.get("SecurityGroups", []):
        group = ec2_of(call).get_security_group_from_id(group_id)
        if group is None:
            raise AwsError("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if vpc_id and group.vpc_id != vpc_id:
            raise misconfigured(f"Security group '{group_id}' does not belong to VPC '{vpc_id}'")
    return proceed()


@rule("elbv2", "CreateLoadBalancer")
def load_balancer_needs_internet_gateway(call: Call, proceed: Proceed) -> Answer:
    """A load balancer that faces the Internet wants an Internet gateway in its VPC: InvalidSubnet. Moto does not look.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
    """
    subnets = subnets_of(call)
    if call.params.get("Scheme", INTERNET_FACING) == INTERNET_FACING and subnets and not internet_gateway_of(call, subnets[0].vpc_id):
        raise AwsError("InvalidSubnet", f"VPC {subnets[0].vpc_id} has no internet gateway")
    return proceed()


@rule("elbv2", "CreateLoadBalancer", "SetSubnets")
def load_balancer_needs_addresses(call: Call, proceed: Proceed) -> Answer:
    """Each subnet has a block of /27 at least and 8 free addresses: InvalidSubnet. Moto does not look.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer
    """
    for subnet in subnets_of(call):
        if subnet.available_ip_address_count < FREE_ADDRESSES and is_application(call):
            raise AwsError(
                "InvalidSubnet",
                f"Not enough IP space available in {subnet.id}. ELB requires at least {FREE_ADDRESSES} free IP addresses in each subnet.",
            )
    return proceed()


@rule("elbv2", "CreateLoadBalancer", "SetSubnets")
def load_balancer_zones(call: Call, proceed: Proceed) -> Answer:
    """An Application Load Balancer has subnets in two zones at least: ValidationError.

    Moto makes it with one; its SetSubnets has another code. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    if is_application(call) and len({subnet.availability_zone for subnet in subnets_of(call)}) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    return proceed()


@rule("elbv2", "CreateLoadBalancer", "SetSubnets")
def load_balancer_subnets(call: Call, proceed: Proceed) -> Answer:
    """The subnets exist, lie in one VPC and in different zones: SubnetNotFound, InvalidConfigurationRequest.

    Moto has EC2's code for the first, and does not look at the others. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    subnets = subnets_of(call)
    balancer = balancer_of(call)
    vpcs = {subnet.vpc_id for subnet in subnets} | ({balancer.vpc_id} if balancer else set())
    if len(vpcs) > 1:
        raise misconfigured(f"All subnets must belong to the same VPC: '{(balancer or subnets[0]).vpc_id}'")
    if len({subnet.availability_zone for subnet in subnets}) < len(subnets) > 1:
        raise misconfigured("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    return proceed()


def settings(call: Call) -> dict[str, Any]:
    """What tells a repeated creation from another one."""
    return {name: value for name, value in call.params.items() if name != "Tags"}


@rule("elbv2", "CreateLoadBalancer")
def load_balancer_is_made_once(call: Call, proceed: Proceed) -> Answer:
    """The same creation again answers with what is there; another one of that name is DuplicateLoadBalancerName. Moto makes a second one.

    Moto compares ARNs, which end at random. Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
    """
    name = call.params.get("Name")
    for balancer in elb_of(call).load_balancers.values():
        if balancer.name == name:
            if balancer.request != settings(call):
                message = f"A load balancer with the same name '{name}' exists, but with different settings"
                raise AwsError("DuplicateLoadBalancerName", message)
            return {"LoadBalancers": [balancer.answer["LoadBalancers"][0] | {"State": {"Code": balancer.state}}]}
    return proceed()


@rule("elbv2", "DescribeTags")
def tags_of_unknown(call: Call, proceed: Proceed) -> Answer:
    """What the tags are asked of exists: LoadBalancerNotFound, TargetGroupNotFound and so on. Moto's answer has no tags.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html
    """
    for arn in call.params.get("ResourceArns", []):
        elb_of(call)._get_resource_by_arn(arn)
    return proceed()


@rule("elbv2", "DescribeLoadBalancers")
def load_balancer_unknown(call: Call, proceed: Proceed) -> Answer:
    """Each load balancer asked for exists, else LoadBalancerNotFound. Moto overlooks an unknown one behind a known one.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html
    """
    balancers = elb_of(call).load_balancers
    names = {balancer.name for balancer in balancers.values()}
    missing = [arn for arn in call.params.get("LoadBalancerArns", []) if arn not in balancers]
    missing += [name for name in call.params.get("Names", []) if name not in names]
    if missing:
        raise AwsError("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
    return proceed()


# Attributes


@rule("elbv2", "DescribeLoadBalancerAttributes")
def attributes_have_defaults(call: Call, proceed: Proceed) -> Answer:
    """AWS gives every attribute of an Application Load Balancer, with its default; moto only some, until they are set.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#load-balancer-attributes
    """
    answer = proceed()
    known = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
    answer["Attributes"] = [{"Key": key, "Value": value} for key, value in (ATTRIBUTES | known).items()]
    return answer


@rule("elbv2", "ModifyLoadBalancerAttributes")
def load_balancer_attribute_values(call: Call, proceed: Proceed) -> Answer:
    """Attributes have ranges, such as 1 to 4000 seconds of idle time: ValidationError. Moto takes any value.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
    """
    check("Load balancer", call.params.get("Attributes", []), LEGAL)
    return proceed()


@rule("elbv2", "ModifyLoadBalancerAttributes")
def log_bucket_admits_the_delivery(call: Call, proceed: Proceed) -> Answer:
    """The bucket of the logs exists, is not encrypted with KMS, and lets the delivery put objects: InvalidConfigurationRequest.

    AWS tries it with an object ELBAccessLogTestFile. Moto does not look.
    Moto could take a part of it: that the bucket is there and not encrypted with KMS.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """
    balancer = balancer_of(call)
    asked = {attribute["Key"]: attribute.get("Value", "") for attribute in call.params.get("Attributes", [])}
    wanted = ATTRIBUTES | (balancer.attrs if balancer else {}) | asked
    for kind, file in (("access_logs", "ELBAccessLogTestFile"), ("connection_logs", "ELBConnectionLogTestFile")):
        if wanted[f"{kind}.s3.enabled"] != "true" or not any(key.startswith(kind) for key in asked):
            continue
        name, prefix = wanted[f"{kind}.s3.bucket"], wanted[f"{kind}.s3.prefix"]
        bucket = s3_backends[ACCOUNT]["aws"].buckets.get(name)
        if bucket is None:
            raise misconfigured(f"The S3 bucket '{name}' does not exist")
        algorithm = next(iter(re.findall(r"aws:kms[:\w]*", json.dumps(bucket.encryption or {}))), None)
        key = "/".join(filter(None, [prefix, "AWSLogs", ACCOUNT, file]))
        if algorithm or not may_put(bucket.policy, f"arn:aws:s3:::{name}/{key}"):
            raise misconfigured(f"Access Denied for bucket: {name}. Please check S3bucket permission")
    return proceed()


def may_put(policy: bytes | str | None, arn: str) -> bool:
    """Whether a bucket's policy lets the log delivery put an object: its service, or the accounts that do it in older regions.

    Denials with a condition are for others: the delivery uses TLS, and sends no headers of its own.
    """
    statements = json.loads(policy or "{}").get("Statement", [])
    effects = {
        statement["Effect"]
        for statement in (statements if isinstance(statements, list) else [statements])
        if not (statement["Effect"] == "Deny" and statement.get("Condition"))
        and any(fnmatchcase("s3:putobject", action.lower()) for action in listed(statement.get("Action", [])))
        and any(fnmatchcase(arn, pattern) for pattern in listed(statement.get("Resource", [])))
        and is_delivery(statement.get("Principal", {}))
    }
    return effects == {"Allow"}


def is_delivery(principal: Any) -> bool:
    """Whether a principal of a policy stands for the log delivery."""
    if principal == "*":
        return True
    names = [*listed(principal.get("Service", [])), *listed(principal.get("AWS", []))]
    return any(name in ("*", LOG_DELIVERY) or (re.search(r"\d{12}", name) and ACCOUNT not in name) for name in names)


def listed(value: Any) -> list[str]:
    """An element of a policy, which may be one word or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


# Removal


@rule("elbv2", "DeleteLoadBalancer")
def load_balancer_interfaces_go_later(call: Call, proceed: Proceed) -> Answer:
    """The interfaces of a load balancer outlive it for minutes, and hold its subnets, groups and gateway. Moto's has none.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-delete.html
    """
    balancer, backend = balancer_of(call), ec2_of(call)
    answer = proceed()
    call.state.balancers.sync()
    for interface in interfaces.of_balancer(backend, balancer) if balancer else []:
        call.state.clock.after(
            "load_balancer_interfaces_deleted", interface.id, lambda interface=interface: interfaces.remove(backend, interface)
        )
    return answer


@rule("elbv2", "DeleteLoadBalancer")
def deletion_protection(call: Call, proceed: Proceed) -> Answer:
    """A load balancer under deletion protection cannot be deleted: OperationNotPermitted. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html
    """
    balancer = balancer_of(call)
    if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
        message = f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled"
        raise AwsError("OperationNotPermitted", message)
    return proceed()
