"""EC2: VPCs, subnets, Internet gateways and routes."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.route_tables import Route

from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of, found, invalid

SMALLEST, LARGEST = 28, 16  # prefix lengths of a subnet
TARGETS = {
    "CarrierGatewayId", "CoreNetworkArn", "EgressOnlyInternetGatewayId", "GatewayId", "InstanceId", "LocalGatewayId", "LocalTarget",
    "NatGatewayId", "NetworkInterfaceId", "OdbNetworkArn", "TransitGatewayId", "VpcEndpointId", "VpcPeeringConnectionId",
}  # fmt: skip


@rule("ec2", "CreateVpc")
def vpc_is_pending_first(call: Call, proceed: Proceed) -> Answer:
    """A new VPC is C(pending), later C(available). Moto's is available at once.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Vpc.html
    """
    answer = proceed()
    vpc = ec2_of(call).vpcs[answer["Vpc"]["VpcId"]]
    vpc.state = answer["Vpc"]["State"] = "pending"
    call.state.clock.after("vpc_available", vpc.id, lambda: setattr(vpc, "state", "available"))
    return answer


@rule("ec2", "ModifyVpcAttribute")
def one_vpc_attribute_a_request(call: Call, proceed: Proceed) -> Answer:
    """A request changes one attribute: InvalidParameterCombination. Moto changes the last one that it looks at.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcAttribute.html
    """
    if len(call.params.keys() - {"VpcId"}) > 1:
        raise AwsError("InvalidParameterCombination", "Fields for multiple attribute types specified")
    return proceed()


@rule("ec2", "AttachInternetGateway")
def vpc_has_one_gateway(call: Call, proceed: Proceed) -> Answer:
    """A VPC has one Internet gateway: a second one is refused with InvalidParameterValue. Moto attaches it.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html
    """
    if internet_gateway_of(call, vpc_id := call.params["VpcId"]):
        raise invalid(f"Network {vpc_id} already has an internet gateway attached")
    return proceed()


def internet_gateway_of(call: Call, vpc_id: str) -> Any:
    """The Internet gateway of a VPC, None where it has none."""
    return next((gateway for gateway in ec2_of(call).internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id), None)


@rule("ec2", "CreateSubnet")
def subnet_size(call: Call, proceed: Proceed) -> Answer:
    """A subnet has a block of /16 to /28: InvalidSubnet.Range. Moto checks VPCs only.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
    """
    block = call.params.get("CidrBlock") or ""
    length = block.partition("/")[2]  # what is no block at all moto refuses itself
    if length.isdecimal() and not LARGEST <= int(length) <= SMALLEST:
        raise AwsError("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
    return proceed()


@rule("ec2", "CreateSubnet")
def subnet_zone(call: Call, proceed: Proceed) -> Answer:
    """A subnet lies in a zone of its region: InvalidParameterValue. Moto takes a zone of any region.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
    """
    zones = [zone.name for zone in ec2_of(call).describe_availability_zones()]
    if (wanted := call.params.get("AvailabilityZone", zones[0])) not in zones:
        raise invalid(
            f"Value ({wanted}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following "
            f"availability zones: {', '.join(zones)}."
        )
    return proceed()


@rule("ec2", "AssociateRouteTable")
def route_table_of_other_vpc(call: Call, proceed: Proceed) -> Answer:
    """Table and subnet belong to one VPC: InvalidParameterValue. Moto joins any two.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateRouteTable.html
    """
    table = found(ec2_of(call).get_route_table, table_id := call.params["RouteTableId"])
    subnet = found(ec2_of(call).get_subnet, call.params.get("SubnetId", ""))
    if table and subnet and table.vpc_id != subnet.vpc_id:
        raise invalid(f"route table {table_id} and network {subnet.vpc_id} belong to different networks")
    return proceed()


@rule("ec2", "AssociateRouteTable")
def subnet_has_one_route_table(call: Call, proceed: Proceed) -> Answer:
    """A subnet has one table; another one takes ReplaceRouteTableAssociation: Resource.AlreadyAssociated.

    Moto keeps the first and says nothing. Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
    """
    table_id, subnet_id = call.params["RouteTableId"], call.params.get("SubnetId")
    for table in ec2_of(call).route_tables.values():
        if table.id != table_id and subnet_id and subnet_id in table._associations.values():
            message = f"the specified association for route table {table_id} conflicts with an existing association"
            raise AwsError("Resource.AlreadyAssociated", message)
    return proceed()


@rule("ec2", "DisassociateRouteTable")
def main_association_stays(call: Call, proceed: Proceed) -> Answer:
    """The main table of a VPC is replaced, never disassociated: InvalidParameterValue. Moto does not find the association.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateRouteTable.html
    """
    association_id = call.params["AssociationId"]
    if any(table.main_association_id == association_id for table in ec2_of(call).route_tables.values()):
        raise invalid(f"cannot disassociate the main route table association {association_id}")
    return proceed()


@rule("ec2", "CreateRoute", "ReplaceRoute")
def route_needs_a_target(call: Call, proceed: Proceed) -> Answer:
    """A route leads to one target: MissingParameter, InvalidParameterCombination. Moto makes routes to nothing.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html
    """
    targets = call.params.keys() & TARGETS
    if len(targets) != 1:
        code = "InvalidParameterCombination" if targets else "MissingParameter"
        raise AwsError(code, f"The request must contain exactly one of: {', '.join(sorted(TARGETS))}")
    return proceed()


@rule("ec2", "CreateRoute", "ReplaceRoute")
def route_to_nat_gateway(call: Call, proceed: Proceed) -> Answer:
    """A route wants a NAT gateway that is available; before, and when it failed or is gone, it is InvalidNatGatewayID.NotFound.

    Moto routes to any name. AWS accepts a gateway in C(pending) at some moment of its creation, so a caller must wait for C(available).
    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html
    """
    if gateway_id := call.params.get("NatGatewayId"):
        gateway = ec2_of(call).nat_gateways.get(gateway_id)
        if gateway is None or gateway.state != "available":
            raise AwsError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{gateway_id}' does not exist")
    return proceed()


@rule("ec2", "CreateRoute", "ReplaceRoute")
def route_to_internet_gateway(call: Call, proceed: Proceed) -> Answer:
    """A route wants the Internet gateway of its own VPC: InvalidGatewayID.NotFound, InvalidParameterValue.

    Moto routes to that of any VPC, and has another code for one that is not there. Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html
    """
    gateway_id, table_id = call.params.get("GatewayId", ""), call.params["RouteTableId"]
    table, gateway = found(ec2_of(call).get_route_table, table_id), ec2_of(call).internet_gateways.get(gateway_id)
    if gateway_id.startswith("igw-") and not gateway:
        raise AwsError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    if table and gateway and not (gateway.vpc and gateway.vpc.id == table.vpc_id):
        raise invalid(f"route table {table_id} and network gateway {gateway_id} belong to different networks")
    return proceed()


@rule("ec2", "DeleteRoute")
def local_route_stays(call: Call, proceed: Proceed) -> Answer:
    """The route inside the VPC cannot be deleted: InvalidParameterValue. Moto deletes it.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
    """
    table = found(ec2_of(call).get_route_table, table_id := call.params["RouteTableId"])
    block = call.params.get("DestinationCidrBlock")
    if table and any(route.local and route.destination_cidr_block == block for route in table._routes.values()):
        raise invalid(f"cannot remove local route {block} in route table {table_id}")
    return proceed()


@rule("ec2", "DescribeRouteTables")
def route_without_target(call: Call, proceed: Proceed) -> Answer:
    """A route whose gateway or interface is gone stays, in the state C(blackhole). Moto calls it active.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html
    """
    answer, tables = proceed(), ec2_of(call).route_tables
    for described in answer.get("RouteTables", []):
        # Moto describes the routes of a table in the order in which it holds them.
        for shown, route in zip(described["Routes"], tables[described["RouteTableId"]]._routes.values(), strict=True):
            if not leads_somewhere(call, route):
                shown["State"] = "blackhole"
    return answer


def leads_somewhere(call: Call, route: Route) -> bool:
    """Whether the target of a route is there."""
    if route.nat_gateway:
        return bool(route.nat_gateway.state == "available")
    if route.interface:
        return route.interface.id in ec2_of(call).enis
    if route.gateway_id and route.gateway_id.startswith("igw-"):
        gateway = ec2_of(call).internet_gateways.get(route.gateway_id)
        return bool(gateway and gateway.vpc)
    return True
