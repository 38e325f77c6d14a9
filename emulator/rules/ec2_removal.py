"""EC2: the order of removal. What something else still uses does not go; moto lets nearly everything go, and keeps what should be gone."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.elbv2.models import FakeLoadBalancer, elbv2_backends

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT


def ec2_of(call: Call) -> EC2Backend:
    """Moto's EC2 in the region of a call."""
    return ec2_backends[ACCOUNT][call.region]


def interfaces(call: Call) -> list[Any]:
    """Network interfaces that AWS would still have: those of terminated instances are gone."""
    backend = ec2_of(call)
    for interface in list(backend.enis.values()):
        if interface.instance and interface.instance.state == "terminated":
            backend.delete_network_interface(interface.id)
    return list(backend.enis.values())


def balancers(call: Call) -> list[FakeLoadBalancer]:
    """Load balancers, whose network interfaces moto does not have."""
    return list(elbv2_backends[ACCOUNT][call.region].load_balancers.values())


@rule("ec2", "DescribeNetworkInterfaces")
def interfaces_go_with_their_instance(call: Call, proceed: Proceed) -> Answer:
    """The interface that an instance was launched with is deleted on its termination. In moto it stays.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
    """
    interfaces(call)
    return proceed()


@rule("ec2", "DeleteNatGateway")
def a_nat_gateway_takes_its_interface_along(call: Call, proceed: Proceed) -> Answer:
    """Deleting a NAT gateway disassociates its address and deletes its interface. In moto both stay.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNatGateway.html
    """
    answer = proceed()
    backend = ec2_of(call)
    gateway = backend.nat_gateways[call.params["NatGatewayId"]]
    if gateway._eni.id in backend.enis:
        for address in [address for address in backend.addresses if address.eni is gateway._eni]:
            backend.disassociate_address(association_id=address.association_id)
        backend.delete_network_interface(gateway._eni.id)
    return answer


@rule("ec2", "ReleaseAddress")
def an_address_in_use_stays(call: Call, proceed: Proceed) -> Answer:
    """An address of a NAT gateway cannot be released. Moto takes it away from the gateway.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html
    """
    for address in ec2_of(call).addresses:
        if address.allocation_id == call.params.get("AllocationId") and address.association_id:
            raise AwsError("InvalidIPAddress.InUse", f"The address {address.public_ip} is in use.")
    return proceed()


@rule("ec2", "DeleteSecurityGroup")
def a_group_in_use_stays(call: Call, proceed: Proceed) -> Answer:
    """A group that another group's rule names, or that an interface has, cannot be deleted. Moto deletes it.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    group_id = call.params.get("GroupId")
    groups = [group for groups in ec2_of(call).groups.values() for group in groups.values() if group.id != group_id]
    named = any(each.source_group.get("GroupId") == group_id for group in groups for each in [*group.ingress_rules, *group.egress_rules])
    worn = any(group.id == group_id for interface in interfaces(call) for group in interface.group_set)
    if named or worn or any(group_id in balancer.security_groups for balancer in balancers(call)):
        raise AwsError("DependencyViolation", f"resource {group_id} has a dependent object")
    return proceed()


@rule("ec2", "DeleteSubnet")
def a_subnet_in_use_stays(call: Call, proceed: Proceed) -> Answer:
    """A subnet with interfaces in it cannot be deleted. Moto deletes it.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSubnet.html
    """
    subnet_id = call.params["SubnetId"]
    subnets = [interface.subnet for interface in interfaces(call)] + [subnet for balancer in balancers(call) for subnet in balancer.subnets]
    if any(subnet.id == subnet_id for subnet in subnets):
        raise AwsError("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return proceed()


@rule("ec2", "DetachInternetGateway")
def a_gateway_with_public_addresses_stays(call: Call, proceed: Proceed) -> Answer:
    """A gateway cannot be detached while its VPC has public addresses. Moto detaches it.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachInternetGateway.html
    """
    vpc_id = call.params["VpcId"]
    mapped = any(address.eni and address.eni.subnet.vpc_id == vpc_id for address in ec2_of(call).addresses)
    if mapped or any(balancer.vpc_id == vpc_id and balancer.scheme == "internet-facing" for balancer in balancers(call)):
        raise AwsError(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )
    return proceed()


@rule("ec2", "DeleteVpc")
def a_vpc_in_use_stays(call: Call, proceed: Proceed) -> Answer:
    """A VPC goes when nothing is in it but what was made with it. Moto looks at subnets and VPN gateways only.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html
    """
    vpc_id = call.params["VpcId"]
    backend = ec2_of(call)
    if (
        any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values())
        or any(table.vpc_id == vpc_id and not table.main_association_id for table in backend.route_tables.values())
        or any(endpoint.vpc_id == vpc_id and endpoint.state != "deleted" for endpoint in backend.vpc_end_points.values())
        or any(group.name != "default" for group in backend.groups.get(vpc_id, {}).values())
    ):
        raise AwsError("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return proceed()
