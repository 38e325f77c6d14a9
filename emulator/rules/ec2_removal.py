"""EC2: the order of removal. What something else still uses does not go; moto lets nearly everything go, and keeps what should be gone."""

from __future__ import annotations

from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from emulator import interfaces
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of, found, invalid

DEPENDENCY = "DependencyViolation"


def interfaces_of(call: Call) -> list[NetworkInterface]:
    """Network interfaces that AWS would still have: those of terminated instances are gone."""
    backend = ec2_of(call)
    for interface in list(backend.enis.values()):
        if interface.instance and interface.instance.state == "terminated":
            interfaces.remove(backend, interface)
    return list(backend.enis.values())


@rule("ec2", "DescribeNetworkInterfaces")
def interface_goes_with_its_instance(call: Call, proceed: Proceed) -> Answer:
    """The interface that an instance was launched with is deleted on its termination. In moto it stays.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
    """
    interfaces_of(call)
    return proceed()


@rule("ec2", "DeleteNetworkInterface")
def interface_in_use(call: Call, proceed: Proceed) -> Answer:
    """An interface that an instance or a service uses cannot be deleted: InvalidParameterValue. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html
    """
    interface = ec2_of(call).enis.get(interface_id := call.params["NetworkInterfaceId"])
    if interface and interface.status == "in-use":
        raise invalid(f"Network interface '{interface_id}' is currently in use.")
    return proceed()


@rule("ec2", "ReleaseAddress")
def address_in_use(call: Call, proceed: Proceed) -> Answer:
    """An address that is associated cannot be released: InvalidIPAddress.InUse. Moto takes it away.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html
    """
    for address in ec2_of(call).addresses:
        if address.allocation_id == call.params.get("AllocationId") and address.association_id and not address.eni.requester_managed:
            raise AwsError("InvalidIPAddress.InUse", f"The address {address.public_ip} is in use.")
    return proceed()


@rule("ec2", "DeleteSecurityGroup")
def default_security_group_stays(call: Call, proceed: Proceed) -> Answer:
    """The default group of a VPC goes with the VPC only: CannotDelete. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    group = ec2_of(call).get_security_group_from_id(group_id := call.params.get("GroupId", ""))
    if group and group.name == "default":
        raise AwsError("CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user')
    return proceed()


@rule("ec2", "DeleteSecurityGroup")
def security_group_in_a_permission(call: Call, proceed: Proceed) -> Answer:
    """A group that a permission of another one names cannot be deleted: DependencyViolation. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    group_id = call.params.get("GroupId")
    others = [group for groups in ec2_of(call).groups.values() for group in groups.values() if group.id != group_id]
    if any(each.source_group.get("GroupId") == group_id for group in others for each in [*group.ingress_rules, *group.egress_rules]):
        raise AwsError(DEPENDENCY, f"resource {group_id} has a dependent object")
    return proceed()


@rule("ec2", "DeleteSecurityGroup")
def security_group_of_an_interface(call: Call, proceed: Proceed) -> Answer:
    """A group that an interface has cannot be deleted: DependencyViolation. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    group_id = call.params.get("GroupId")
    if any(group.id == group_id for interface in interfaces_of(call) for group in interface.group_set):
        raise AwsError(DEPENDENCY, f"resource {group_id} has a dependent object")
    return proceed()


@rule("ec2", "DeleteSubnet")
def subnet_in_use(call: Call, proceed: Proceed) -> Answer:
    """A subnet with interfaces in it cannot be deleted: DependencyViolation. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSubnet.html
    """
    subnet_id = call.params["SubnetId"]
    if any(interface.subnet.id == subnet_id for interface in interfaces_of(call)):
        raise AwsError(DEPENDENCY, f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return proceed()


@rule("ec2", "DeleteSubnet")
def subnet_takes_its_association_along(call: Call, proceed: Proceed) -> Answer:
    """Deleting a subnet ends its association with a route table. In moto the association stays, and with it the table.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-deleting.html
    """
    answer = proceed()
    for table in ec2_of(call).route_tables.values():
        for association_id, subnet_id in list(table._associations.items()):
            if subnet_id == call.params["SubnetId"]:
                del table._associations[association_id]
    return answer


@rule("ec2", "DeleteRouteTable")
def main_route_table_stays(call: Call, proceed: Proceed) -> Answer:
    """The main table of a VPC goes with the VPC only: DependencyViolation. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteRouteTable.html
    """
    table = found(ec2_of(call).get_route_table, table_id := call.params["RouteTableId"])
    if table and table.main_association_id:
        raise AwsError(DEPENDENCY, f"The routeTable '{table_id}' has dependencies and cannot be deleted.")
    return proceed()


@rule("ec2", "DetachInternetGateway")
def internet_gateway_with_public_addresses(call: Call, proceed: Proceed) -> Answer:
    """A gateway cannot be detached while interfaces of its VPC have public addresses: DependencyViolation. Moto detaches it.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachInternetGateway.html
    """
    vpc_id = call.params["VpcId"]
    if any(interface.subnet.vpc_id == vpc_id and interface.public_ip for interface in interfaces_of(call)):
        raise AwsError(
            DEPENDENCY,
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )
    return proceed()


@rule("ec2", "DeleteVpc")
def vpc_in_use(call: Call, proceed: Proceed) -> Answer:
    """A VPC goes when nothing is in it but what was made with it: DependencyViolation. Moto looks at subnets and VPN gateways only.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html
    """
    vpc_id = call.params["VpcId"]
    backend = ec2_of(call)
    if (
        any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values())
        or any(table.vpc_id == vpc_id and not table.main_association_id for table in backend.route_tables.values())
        or any(endpoint.vpc_id == vpc_id for endpoint in backend.vpc_end_points.values())
        or any(group.name != "default" for group in backend.groups.get(vpc_id, {}).values())
        or any(interface.subnet.vpc_id == vpc_id for interface in interfaces_of(call))
    ):
        raise AwsError(DEPENDENCY, f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return proceed()
