# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What the modules of a VPC and of its parts share."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

# Prefix lengths that AWS allows for a VPC and for a subnet.
LARGEST = 16
SMALLEST = 28


def block_of(cidr: str) -> IPv4Network | None:
    """The block, or None where C(cidr) is not one as AWS writes it and as a VPC or a subnet can have."""
    try:
        block = IPv4Network(cidr)
    except ValueError:
        return None
    return block if str(block) == cidr and LARGEST <= block.prefixlen <= SMALLEST else None


def interfaces_in(ec2: Any, place: str, place_id: str) -> str:
    """The network interfaces that hold on to a C(vpc) or a C(subnet), in words."""
    found = ec2.describe_network_interfaces(Filters=[{"Name": f"{place}-id", "Values": [place_id]}], aws_retry=True)["NetworkInterfaces"]
    held = [f"{each['NetworkInterfaceId']} ({each.get('Description') or 'without a description'})" for each in found]
    return ", ".join(held) or "no network interface that this user may see"
