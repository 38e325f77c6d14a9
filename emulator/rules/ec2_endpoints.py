"""EC2: VPC endpoints."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES, VPCEndPoint

from emulator import interfaces
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of, found

GATEWAY, INTERFACE = "Gateway", "Interface"
GATEWAY_SERVICES = ("dynamodb", "s3")  # which have interface endpoints too
# Of those that the collection uses.
WITHOUT_POLICIES = ("ecs-agent", "ecs-telemetry")


def refused(message: str) -> AwsError:
    """The error of VPC endpoints for parameters that do not fit."""
    return AwsError("InvalidParameter", message)


def kind_of(call: Call) -> str:
    """The type of the endpoint that a call makes."""
    return str(call.params.get("VpcEndpointType", GATEWAY))


def endpoints_of(call: Call) -> list[VPCEndPoint]:
    """Endpoints for the same service in the same VPC."""
    wanted = (call.params["VpcId"], call.params["ServiceName"])
    return [endpoint for endpoint in ec2_of(call).vpc_end_points.values() if (endpoint.vpc_id, endpoint.service_name) == wanted]


def service_of(call: Call) -> str:
    """Name of the service that a call makes an endpoint for, without its prefix."""
    return str(call.params["ServiceName"]).removeprefix(f"com.amazonaws.{call.region}.")


@rule("ec2", "CreateVpcEndpoint")
def endpoint_states(call: Call, proceed: Proceed) -> Answer:
    """A new endpoint is C(pending), then C(available); an interface endpoint has an interface a subnet, with the endpoint's groups.

    In moto it is available at once, and its interfaces have the default group. Moto could take a part of it: the groups.
    https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
    """
    answer, backend = proceed(), ec2_of(call)
    endpoint = backend.vpc_end_points[answer["VpcEndpoint"]["VpcEndpointId"]]
    endpoint.vpc_endpoint_type = answer["VpcEndpoint"]["VpcEndpointType"] = kind_of(call)
    if kind_of(call) == INTERFACE and not endpoint.security_group_ids:
        endpoint.security_group_ids = [backend.get_default_security_group(endpoint.vpc_id).id]
    for interface_id in endpoint.network_interface_ids:
        description = f"VPC Endpoint Interface {endpoint.id}"
        interfaces.manage(backend.enis[interface_id], description, endpoint.security_group_ids, kind="vpc_endpoint")
    endpoint.state = answer["VpcEndpoint"]["State"] = "pending"
    call.state.clock.after(f"{kind_of(call).lower()}_endpoint_available", endpoint.id, lambda: settle(endpoint))
    return answer


def settle(endpoint: VPCEndPoint) -> None:
    """End the creation of an endpoint."""
    if endpoint.state == "pending":
        endpoint.state = "available"


@rule("ec2", "CreateVpcEndpoint")
def endpoint_service(call: Call, proceed: Proceed) -> Answer:
    """A service that is not offered is InvalidServiceName; a type that it does not have is InvalidParameter. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
    """
    service = service_of(call)
    if call.params["ServiceName"].startswith("com.amazonaws.vpce."):
        return proceed()
    if service not in AWS_ENDPOINT_SERVICES:
        raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{call.params['ServiceName']}' does not exist")
    if kind_of(call) != INTERFACE and service not in GATEWAY_SERVICES:
        raise refused(f"Endpoint type ({kind_of(call)}) does not match available service types ([Interface]).")
    return proceed()


@rule("ec2", "CreateVpcEndpoint", "ModifyVpcEndpoint")
def endpoint_policy(call: Call, proceed: Proceed) -> Answer:
    """Some services have no endpoint policies, and take not even one that allows everything: InvalidParameter. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    endpoint = ec2_of(call).vpc_end_points.get(call.params.get("VpcEndpointId"))
    service = endpoint.service_name if endpoint else call.params.get("ServiceName", "")
    if "PolicyDocument" in call.params and service.endswith(WITHOUT_POLICIES):
        raise refused(f"Service {service} only supports the full-access endpoint policy.")
    return proceed()


@rule("ec2", "CreateVpcEndpoint")
def endpoint_route_exists(call: Call, proceed: Proceed) -> Answer:
    """A route table has one gateway endpoint a service: RouteAlreadyExists. Moto makes a second one.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
    """
    if kind_of(call) == GATEWAY:
        for endpoint in endpoints_of(call):
            if both := set(endpoint.route_table_ids) & set(call.params.get("RouteTableIds", [])):
                prefix_list = endpoint.destination_prefix_list_id
                message = f"route table {both.pop()} already has a route with destination-prefix-list-id {prefix_list}"
                raise AwsError("RouteAlreadyExists", message)
    return proceed()


@rule("ec2", "CreateVpcEndpoint")
def endpoint_private_dns(call: Call, proceed: Proceed) -> Answer:
    """Private DNS, the default of interface endpoints, wants both DNS attributes of the VPC, and is there once a service: InvalidParameter.

    Moto takes any. Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
    """
    if kind_of(call) != INTERFACE or call.params.get("PrivateDnsEnabled") is False:
        return proceed()
    vpc = found(ec2_of(call).get_vpc, vpc_id := call.params["VpcId"])
    if vpc and not (on(vpc.enable_dns_support) and on(vpc.enable_dns_hostnames)):
        raise refused(f"Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for {vpc_id}")
    if any(other.vpc_endpoint_type == INTERFACE and other.private_dns_enabled for other in endpoints_of(call)):
        raise refused(
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
            f"{service_of(call)}.{call.region}.amazonaws.com in the VPC {vpc_id}"
        )
    return proceed()


def on(attribute: Any) -> bool:
    """Whether an attribute is set, which moto keeps as a bool or as a word."""
    return str(attribute).lower() == "true"


@rule("ec2", "CreateVpcEndpoint")
def endpoint_subnets(call: Call, proceed: Proceed) -> Answer:
    """An interface endpoint has one subnet a zone: DuplicateSubnetsInSameZone. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
    """
    subnets = [subnet for subnet_id in call.params.get("SubnetIds", []) if (subnet := found(ec2_of(call).get_subnet, subnet_id))]
    if len({subnet.availability_zone for subnet in subnets}) < len(subnets):
        raise AwsError("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of the given subnets")
    return proceed()


@rule("ec2", "CreateVpcEndpoint")
def endpoint_parts_exist(call: Call, proceed: Proceed) -> Answer:
    """Route tables and groups exist: InvalidRouteTableId.NotFound, InvalidGroup.NotFound. Moto leaves an endpoint behind, or breaks later.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html
    """
    backend = ec2_of(call)
    for table_id in call.params.get("RouteTableIds", []):
        if table_id not in backend.route_tables:
            raise AwsError("InvalidRouteTableId.NotFound", f"The routeTable ID '{table_id}' does not exist")
    for group_id in call.params.get("SecurityGroupIds", []):
        if not backend.get_security_group_from_id(group_id):
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return proceed()


@rule("ec2", "DeleteVpcEndpoints")
def endpoint_takes_its_time_to_go(call: Call, proceed: Proceed) -> Answer:
    """An endpoint is C(deleting), then gone with its interfaces; unknown ones are listed as unsuccessful. In moto it stays as C(deleted).

    Moto could take a part of it: the list.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcEndpoints.html
    """
    backend, unknown = ec2_of(call), []
    for endpoint_id in call.params["VpcEndpointIds"]:
        endpoint = backend.vpc_end_points.get(endpoint_id)
        if endpoint is None:
            error = {"Code": "InvalidVpcEndpointId.NotFound", "Message": f"The Vpc Endpoint Id '{endpoint_id}' does not exist"}
            unknown.append({"ResourceId": endpoint_id, "Error": error})
        elif endpoint.state != "deleting":
            endpoint.state = "deleting"
            step = f"{endpoint.vpc_endpoint_type.lower()}_endpoint_deleted"
            call.state.clock.after(step, endpoint_id, lambda endpoint=endpoint: end(backend, endpoint))
    return {"Unsuccessful": unknown}


def end(backend: EC2Backend, endpoint: VPCEndPoint) -> None:
    """End the deletion of an endpoint."""
    for interface_id in endpoint.network_interface_ids:
        if interface := backend.enis.get(interface_id):
            interfaces.remove(backend, interface)
    for table_id in endpoint.route_table_ids:
        if table := backend.route_tables.get(table_id):
            for route in list(table._routes.values()):
                if route.gateway_id == endpoint.id:
                    del table._routes[route.id]
    backend.vpc_end_points.pop(endpoint.id, None)
