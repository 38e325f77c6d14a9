"""Network interfaces that AWS's services make for what they run: load balancers, NAT gateways, endpoints.

Moto makes none for load balancers, and bare ones for the others. They are moto's own objects, so that DescribeNetworkInterfaces shows them
and the order of removal sees them: as on AWS, a subnet, a security group or a gateway waits for the interface, not for its owner.
"""

from __future__ import annotations

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import random_public_ip
from moto.elbv2.models import FakeLoadBalancer

BALANCER = "amazon-elb"
SERVICE = "amazon-aws"


def manage(interface: NetworkInterface, description: str, groups: list[str], requester: str = SERVICE, kind: str = "interface") -> None:
    """Make an interface one that a service manages: in use, with an address of its subnet and with these security groups."""
    backend = interface.ec2_backend
    address = interface.subnet.get_available_subnet_ip(interface)
    interface.private_ip_address = address
    interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
    interface.description, interface.requester_id, interface.interface_type = description, requester, kind
    interface.requester_managed, interface.status, interface.source_dest_check = True, "in-use", False
    interface._group_set = [group for group in map(backend.get_security_group_from_id, groups) if group]


def remove(backend: EC2Backend, interface: NetworkInterface) -> None:
    """Take an interface away, and free its address."""
    if backend.enis.pop(interface.id, None):
        interface.subnet.del_subnet_ip(interface.private_ip_address)


def of_balancer(backend: EC2Backend, balancer: FakeLoadBalancer) -> list[NetworkInterface]:
    """Interfaces of a load balancer, which AWS names by the end of its ARN."""
    description = f"ELB {balancer.arn.partition('loadbalancer/')[2]}"
    return [interface for interface in backend.enis.values() if interface.description == description]


def follow_balancer(backend: EC2Backend, balancer: FakeLoadBalancer) -> None:
    """Have one interface in each subnet of a load balancer, with its security groups; public ones if it faces the Internet."""
    there = {interface.subnet.id: interface for interface in of_balancer(backend, balancer)}
    wanted: dict[str, Subnet] = {subnet.id: subnet for subnet in balancer.subnets}
    for subnet_id in there.keys() - wanted.keys():
        remove(backend, there.pop(subnet_id))
    for subnet_id in wanted.keys() - there.keys():
        interface = backend.create_network_interface(wanted[subnet_id], "")
        manage(interface, f"ELB {balancer.arn.partition('loadbalancer/')[2]}", balancer.security_groups, BALANCER)
        if balancer.scheme == "internet-facing":
            interface.public_ip = random_public_ip()
    for interface in there.values():
        interface._group_set = [group for group in map(backend.get_security_group_from_id, balancer.security_groups) if group]
