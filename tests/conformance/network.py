"""Networks that the tests of this suite build upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ZONES = ("eu-central-1a", "eu-central-1b")


@dataclass
class Network:
    """A VPC with an Internet gateway and a subnet in each of two zones."""

    vpc: str
    gateway: str
    subnets: list[str]


def make_network(ec2: Any) -> Network:
    """Make a network of its own."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return Network(vpc, gateway, [make_subnet(ec2, vpc, f"10.0.{number}.0/24", zone) for number, zone in enumerate(ZONES)])


def make_subnet(ec2: Any, vpc: str, block: str, zone: str = ZONES[0]) -> str:
    """Make a subnet; returns its id."""
    return str(ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"])


def make_group(ec2: Any, vpc: str, name: str) -> str:
    """Make a security group; returns its id."""
    return str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])


def make_nat_gateway(ec2: Any, subnet: str) -> tuple[str, str]:
    """Make a NAT gateway; returns its id and the id of its address."""
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    return ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"], address


def interfaces(ec2: Any, vpc: str) -> list[dict[str, Any]]:
    """The network interfaces in a VPC."""
    return list(ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkInterfaces"])
