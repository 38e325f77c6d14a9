"""EC2: what all its rules share, tags, and canonical address blocks. The rules of each kind of resource are in ec2_*.py."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl, urlencode

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

LONGEST_KEY, LONGEST_VALUE = 128, 256
CIDR_FIELDS = ("CidrBlock", "CidrIp", "DestinationCidrBlock")
# What TagSpecifications may name, by operation.
TAGGABLE: dict[str, set[str]] = {
    "AllocateAddress": {"elastic-ip"},
    "CreateFlowLogs": {"vpc-flow-log"},
    "CreateInternetGateway": {"internet-gateway"},
    "CreateLaunchTemplate": {"launch-template"},
    "CreateNatGateway": {"natgateway"},
    "CreateNetworkInterface": {"network-interface"},
    "CreateRouteTable": {"route-table"},
    "CreateSecurityGroup": {"security-group"},
    "CreateSubnet": {"subnet"},
    "CreateVolume": {"volume"},
    "CreateVpc": {"vpc"},
    "CreateVpcEndpoint": {"vpc-endpoint"},
    "RunInstances": {"elastic-gpu", "instance", "network-interface", "spot-instances-request", "volume"},
}


def ec2_of(call: Call) -> EC2Backend:
    """Moto's EC2 in the region of a call."""
    return ec2_backends[ACCOUNT][call.region]


def found(getter: Any, *ids: str) -> Any:
    """What one of moto's getters finds, None where it raises."""
    try:
        return getter(*ids)
    except EC2ClientError:
        return None


def invalid(message: str) -> AwsError:
    """EC2's error for a value that it does not take."""
    return AwsError("InvalidParameterValue", message)


@rule("ec2", "CreateTags", *TAGGABLE)
def tag_limits(call: Call, proceed: Proceed) -> Answer:
    """A key has 128 characters at most, a value 256, comes once, and C(aws:) is Amazon's: InvalidParameterValue.

    Moto takes all. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
    """
    for tags in [call.params.get("Tags", []), *(each.get("Tags", []) for each in call.params.get("TagSpecifications", []))]:
        check_tags(tags)
    return proceed()


def check_tags(tags: list[dict[str, str]]) -> None:
    """Refuse tags that no resource can have."""
    keys = set()
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value") or ""
        if key in keys:
            raise invalid(f"Duplicate tag key '{key}' specified.")
        keys.add(key)
        if key.lower().startswith("aws:"):
            raise invalid("Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > LONGEST_KEY:
            raise invalid(f"Tag key exceeds the maximum length of {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise invalid(f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters")


@rule("ec2", "CreateTags")
def tagged_resource_unknown(call: Call, proceed: Proceed) -> Answer:
    """What is tagged exists; each kind of resource has an error of its own. Moto overlooks the kinds that are listed here.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
    """
    backend = ec2_of(call)
    known: dict[str, tuple[Any, str]] = {
        "eipalloc": ({address.allocation_id for address in backend.addresses}, "InvalidAllocationID.NotFound"),
        "eni": (backend.enis, "InvalidNetworkInterfaceID.NotFound"),
        "fl": (backend.flow_logs, "InvalidFlowLogId.NotFound"),
        "i": ({instance.id for instance in backend.all_instances()}, "InvalidInstanceID.NotFound"),
        "nat": (backend.nat_gateways, "NatGatewayNotFound"),
        "vpce": (backend.vpc_end_points, "InvalidVpcEndpointId.NotFound"),
    }
    for resource_id in call.params.get("Resources", []):
        ids, code = known.get(resource_id.partition("-")[0], ((resource_id,), ""))
        if resource_id not in ids:
            raise AwsError(code, f"The ID '{resource_id}' does not exist")
    return proceed()


@rule("ec2", *TAGGABLE)
def tag_specification_type(call: Call, proceed: Proceed) -> Answer:
    """Tags of another type than the operation makes are refused with InvalidParameterValue. Moto drops them, or takes them all the same.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TagSpecification.html
    """
    for specification in call.params.get("TagSpecifications", []):
        if (kind := specification.get("ResourceType")) not in TAGGABLE[call.operation]:
            raise invalid(f"'{kind}' is not a valid taggable resource type for this operation.")
    return proceed()


@rule("ec2", "DescribeTags")
def nat_gateways_are_natgateway(call: Call, proceed: Proceed) -> Answer:
    """The resource type of a NAT gateway is C(natgateway) on AWS; moto calls it C(nat-gateway), so a filter for AWS's word finds nothing.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html
    """
    call.body = call.body.replace(b"=natgateway", b"=nat-gateway")
    answer = proceed()
    for tag in answer.get("Tags", []):
        if tag.get("ResourceType") == "nat-gateway":
            tag["ResourceType"] = "natgateway"
    return answer


@rule(
    "ec2", "CreateVpc", "CreateSubnet", "CreateRoute", "ReplaceRoute", "DeleteRoute", "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress",
)  # fmt: skip
def cidr_is_canonical(call: Call, proceed: Proceed) -> Answer:
    """100.68.0.18/18 becomes 100.68.0.0/18, so what is read back may differ from what was asked for. Moto keeps what it was given.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
    """
    form = [
        (name, canonical(value) if name.rpartition(".")[2] in CIDR_FIELDS else value)
        for name, value in parse_qsl(call.body.decode(), keep_blank_values=True)
    ]
    call.body = urlencode(form).encode()
    call.__dict__.pop("params", None)
    return proceed()


def canonical(cidr: str) -> str:
    """A block of addresses without host bits; what is no block stays as it is."""
    try:
        return str(ip_network(cidr, strict=False))
    except ValueError:
        return cidr
