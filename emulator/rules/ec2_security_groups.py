"""EC2: security groups and their permissions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.ec2.models.security_groups import SecurityGroup

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import canonical, ec2_of, invalid

AUTHORIZE = ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
GROUP_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
RULE_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
ALPHABET = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
PORTS = {"tcp": "TCP", "6": "TCP", "udp": "UDP", "17": "UDP"}
LAST_PORT = 65535
PEERS = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "PrefixListIds": "PrefixListId", "UserIdGroupPairs": "GroupId"}


def group_of(call: Call) -> SecurityGroup | None:
    """The security group that a call names."""
    group_id = call.params.get("GroupId")
    return ec2_of(call).get_security_group_from_id(group_id) if group_id else None


def permissions(call: Call) -> list[dict[str, Any]]:
    """The permissions that a call names, also in the older form of the API with one permission."""
    if "IpPermissions" in call.params:
        return list(call.params["IpPermissions"])
    fields = {name: call.params[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in call.params}
    return [fields | {"IpRanges": [{"CidrIp": call.params["CidrIp"]}]}] if "CidrIp" in call.params else []


def peers(permission: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Each peer of a permission, and its description."""
    for kind, field in PEERS.items():
        for peer in permission.get(kind, []):
            yield canonical(str(peer.get(field))), peer.get("Description")


def protocol_of(permission: dict[str, Any]) -> str:
    """The protocol of a permission in words."""
    name = str(permission.get("IpProtocol", "-1")).lower()
    return PORTS.get(name, name).lower()


@rule("ec2", "CreateSecurityGroup")
def security_group_name(call: Call, proceed: Proceed) -> Answer:
    """Name and description have 255 characters of an alphabet; C(sg-) and C(default) are Amazon's: InvalidParameterValue. Moto takes all.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
    """
    name, description = call.params.get("GroupName", ""), call.params.get("GroupDescription") or call.params.get("Description", "")
    if name.lower().startswith("sg-"):
        raise invalid(f"Invalid value '{name}' for groupName. Group names may not be in the format sg-*.")
    if name == "default":
        raise invalid("Cannot use reserved security group name: default")
    for kind, text in (("name", name), ("description", description)):
        if text and not GROUP_TEXT.fullmatch(text):
            raise invalid(
                f"Value ({text}) for parameter Group{kind.capitalize()} is invalid. Invalid security group {kind}. Valid {kind}s are "
                f"strings less than 256 characters from the following set: {ALPHABET}"
            )
    return proceed()


@rule("ec2", "CreateSecurityGroup")
def security_group_of_unknown_vpc(call: Call, proceed: Proceed) -> Answer:
    """The VPC exists: InvalidVpcID.NotFound. Moto makes a group beside all VPCs.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
    """
    if vpc_id := call.params.get("VpcId"):
        ec2_of(call).get_vpc(vpc_id)
    return proceed()


@rule("ec2", *AUTHORIZE)
def permission_duplicate(call: Call, proceed: Proceed) -> Answer:
    """A permission that is there is InvalidPermission.Duplicate, whatever its description, and then none of the call's is made.

    Moto takes a group pair with another description, and makes those before the duplicate. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    """
    group = group_of(call)
    there = group.egress_rules if group and call.operation.endswith("Egress") else group.ingress_rules if group else []
    known = {
        (each.ip_protocol, each.from_port, each.to_port, canonical(peer))
        for each in there
        for peer in (each.cidr_ipv4, each.cidr_ipv6, each.prefix_list_id, each.source_group.get("GroupId"))
        if peer
    }
    wanted = set()
    for permission in permissions(call):
        protocol = protocol_of(permission)
        ports = (None, None) if protocol == "-1" else (permission.get("FromPort"), permission.get("ToPort"))
        for peer, _ in peers(permission):
            key = (protocol, *ports, peer)
            if key in wanted:
                raise invalid("The same permission must not appear multiple times")
            if key in known:
                text = "ALL" if protocol == "-1" else f"{protocol.upper()}, from port: {ports[0]}, to port: {ports[1]}"
                raise AwsError("InvalidPermission.Duplicate", f'the specified rule "peer: {peer}, {text}, ALLOW" already exists')
            wanted.add(key)
    return proceed()


@rule("ec2", *AUTHORIZE)
def permission_ports(call: Call, proceed: Proceed) -> Answer:
    """TCP and UDP need both ports, the first not above the second: InvalidParameterValue. Moto fails without ports and takes any range.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    """
    for permission in permissions(call):
        protocol = PORTS.get(str(permission.get("IpProtocol", "")).lower())
        if not protocol:
            continue
        first, last = permission.get("FromPort"), permission.get("ToPort")
        if first is None or last is None:
            raise invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        if not 0 <= first <= last <= LAST_PORT:
            raise invalid(f"Invalid {protocol} port range ({first}-{last})")
    return proceed()


@rule("ec2", *AUTHORIZE)
def permission_description(call: Call, proceed: Proceed) -> Answer:
    """A description has 255 characters of an alphabet without quotes or umlauts: InvalidParameterValue. Moto takes all.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
    """
    for permission in permissions(call):
        for _, description in peers(permission):
            if description and not RULE_TEXT.fullmatch(description):
                raise invalid(
                    f"Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: {ALPHABET}"
                )
    return proceed()


@rule("ec2", *AUTHORIZE)
def permission_of_other_vpc(call: Call, proceed: Proceed) -> Answer:
    """The groups of two VPCs without peering do not see each other: InvalidGroup.NotFound. Moto lets them.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
    """
    group, backend = group_of(call), ec2_of(call)
    for permission in permissions(call):
        for peer, _ in peers(permission):
            other = backend.get_security_group_from_id(peer) if peer.startswith("sg-") else None
            if group and other and group.vpc_id != other.vpc_id and not backend.vpc_pcxs:
                raise AwsError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
    return proceed()
