"""EC2: networks, and the order in which they go."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from conformance.network import interfaces, make_group, make_nat_gateway, make_network, make_subnet
from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
VPC_GUIDE = "https://docs.aws.amazon.com/vpc/latest/userguide"
LINK_GUIDE = "https://docs.aws.amazon.com/vpc/latest/privatelink"
SERVICE = "com.amazonaws.eu-central-1"
NOBODY = "0123456789abcdef0"  # the end of an id that nothing has


@pytest.fixture
def ec2(aws: Callable[..., Any]) -> Any:
    """A client of EC2."""
    return aws("ec2")


def tags(kind: str, key: str, value: str = "any") -> list[dict[str, Any]]:
    """A TagSpecifications parameter with one tag."""
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value}]}]


def permission(port: int = 80, last: int | None = None, **peers: Any) -> dict[str, Any]:
    """A permission for TCP."""
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port if last is None else last, **peers}


def image(ec2: Any) -> str:
    """An image that instances can be made of."""
    return str(ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])


# Client tokens


@conforms("https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html")
def test_same_token_same_answer(ec2: Any) -> None:
    network, data = make_network(ec2), {"ImageId": image(ec2)}
    template = ec2.create_launch_template(LaunchTemplateName="of-two-versions", LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]
    # Each with what makes it another request.
    requests: list[tuple[Any, dict[str, Any]]] = [
        (partial(ec2.create_launch_template, LaunchTemplateName="once", LaunchTemplateData=data), {"VersionDescription": "other"}),
        (partial(ec2.create_launch_template_version, LaunchTemplateId=template, LaunchTemplateData=data), {"VersionDescription": "other"}),
        (partial(ec2.create_nat_gateway, SubnetId=network.subnets[0], ConnectivityType="private"), {"ConnectivityType": "public"}),
        (partial(ec2.create_route_table, VpcId=network.vpc), {"TagSpecifications": tags("route-table", "other")}),
        (partial(ec2.create_vpc_endpoint, VpcId=network.vpc, ServiceName=f"{SERVICE}.s3"), {"ServiceName": f"{SERVICE}.dynamodb"}),
    ]
    for make, other in requests:
        token = str(uuid4())
        first, second = ({**make(ClientToken=token), "ResponseMetadata": None} for _ in range(2))
        assert first == second
        refused("IdempotentParameterMismatch", make, ClientToken=token, **other)


# Tags and addresses


@conforms(f"{GUIDE}/Using_Tags.html")
def test_tag_limits(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags("vpc", "k" * 128, "v" * 256))["Vpc"]["VpcId"]
    for key, value in (("aws:mine", "v"), ("k" * 129, "v"), ("k", "v" * 257)):
        refused("InvalidParameterValue", ec2.create_tags, Resources=[vpc], Tags=[{"Key": key, "Value": value}])
        refused("InvalidParameterValue", ec2.create_vpc, CidrBlock="10.1.0.0/16", TagSpecifications=tags("vpc", key, value))
    refused("InvalidParameterValue", ec2.create_tags, Resources=[vpc], Tags=[{"Key": "k", "Value": value} for value in "12"])


@conforms(f"{API}/API_CreateTags.html")
def test_tagged_resource_unknown(ec2: Any) -> None:
    codes = {
        "eipalloc": "InvalidAllocationID.NotFound", "eni": "InvalidNetworkInterfaceID.NotFound", "fl": "InvalidFlowLogId.NotFound",
        "i": "InvalidInstanceID.NotFound", "nat": "NatGatewayNotFound", "vpce": "InvalidVpcEndpointId.NotFound",
    }  # fmt: skip
    key = [{"Key": "key", "Value": "value"}]
    for prefix, code in codes.items():
        refused(code, ec2.create_tags, Resources=[f"{prefix}-{NOBODY}"], Tags=key)
    ec2.create_tags(Resources=[ec2.allocate_address(Domain="vpc")["AllocationId"]], Tags=key)


@conforms(f"{API}/API_TagSpecification.html")
def test_tag_specification_type(ec2: Any) -> None:
    ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway", "key"))
    assert "'vpc'" in refused("InvalidParameterValue", ec2.create_internet_gateway, TagSpecifications=tags("vpc", "key"))


@conforms(f"{API}/API_DescribeNatGateways.html")
def test_nat_gateways_by_tag(ec2: Any) -> None:
    network = make_network(ec2)
    nat, _ = make_nat_gateway(ec2, network.subnets[0])
    ec2.create_tags(Resources=[nat], Tags=[{"Key": "by-tag", "Value": "mine"}])

    def found(name: str, value: str) -> list[str]:
        return [each["NatGatewayId"] for each in ec2.describe_nat_gateways(Filter=[{"Name": name, "Values": [value]}])["NatGateways"]]

    assert found("tag:by-tag", "m*") == found("tag-key", "by-tag") == [nat]
    assert found("tag:by-tag", "yours") == found("tag-key", "by-nobody") == []


@conforms(f"{API}/API_DescribeTags.html")
def test_nat_gateways_are_natgateway(ec2: Any) -> None:
    network = make_network(ec2)
    nat, _ = make_nat_gateway(ec2, network.subnets[0])
    ec2.create_tags(Resources=[nat], Tags=[{"Key": "kind", "Value": "nat"}])
    filters = [{"Name": "resource-id", "Values": [nat]}, {"Name": "resource-type", "Values": ["natgateway"]}]
    assert [tag["ResourceType"] for tag in ec2.describe_tags(Filters=filters)["Tags"]] == ["natgateway"]


@conforms(f"{API}/API_IpRange.html")
def test_cidr_is_canonical(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.2.3.4/16")["Vpc"]
    assert vpc["CidrBlock"] == "10.2.0.0/16"
    group = make_group(ec2, vpc["VpcId"], "canonical")
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(IpRanges=[{"CidrIp": "100.68.0.18/18"}])])
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert found["IpRanges"] == [{"CidrIp": "100.68.0.0/18"}]


# Security groups


@conforms(f"{API}/API_CreateSecurityGroup.html")
def test_security_group_name(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    make_group(ec2, vpc, "name (of) a group")
    for name, description in (("sg-mine", "text"), ("default", "text"), ("n" * 256, "text"), ("käse", "text"), ("fine", "it's not")):
        refused("InvalidParameterValue", ec2.create_security_group, GroupName=name, Description=description, VpcId=vpc)


@conforms(f"{API}/API_CreateSecurityGroup.html")
def test_security_group_of_unknown_vpc(ec2: Any) -> None:
    request = {"GroupName": "lone", "Description": "lone"}
    refused("InvalidVpcID.NotFound", ec2.create_security_group, **request, VpcId=f"vpc-{NOBODY}")
    ec2.create_security_group(**request, VpcId=make_network(ec2).vpc)


@conforms(f"{API}/API_AuthorizeSecurityGroupIngress.html")
def test_permission_duplicate(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    group, other = make_group(ec2, vpc, "group"), make_group(ec2, vpc, "other")
    authorize = ec2.authorize_security_group_ingress
    authorize(GroupId=group, IpPermissions=[permission(UserIdGroupPairs=[{"GroupId": other, "Description": "one"}])])
    again = permission(UserIdGroupPairs=[{"GroupId": other, "Description": "two"}])
    fresh = permission(81, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    refused("InvalidPermission.Duplicate", authorize, GroupId=group, IpPermissions=[fresh, again])
    refused("InvalidParameterValue", authorize, GroupId=group, IpPermissions=[fresh, fresh])
    authorize(GroupId=group, IpPermissions=[fresh])  # neither refusal made a part of what it was asked for


@conforms(f"{API}/API_IpPermission.html")
def test_permission_ports(ec2: Any) -> None:
    group = make_group(ec2, make_network(ec2).vpc, "ports")
    peers = [{"CidrIp": "10.0.0.0/8"}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(80, 90, IpRanges=peers)])
    for wrong in (permission(90, 80, IpRanges=peers), permission(80, 65536, IpRanges=peers), {"IpProtocol": "tcp", "IpRanges": peers}):
        refused("InvalidParameterValue", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[wrong])


@conforms(f"{API}/API_IpRange.html")
def test_permission_description(ec2: Any) -> None:
    group = make_group(ec2, make_network(ec2).vpc, "descriptions")
    for text, port in (("the office's", 80), ("d" * 256, 81)):
        wrong = permission(port, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": text}])
        refused("InvalidParameterValue", ec2.authorize_security_group_egress, GroupId=group, IpPermissions=[wrong])
    right = permission(82, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "from the office (2nd floor)"}])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[right])


@conforms(f"{VPC_GUIDE}/security-group-rules.html")
def test_permission_of_other_vpc(ec2: Any) -> None:
    vpc, elsewhere = make_network(ec2).vpc, make_network(ec2).vpc
    group, near, far = make_group(ec2, vpc, "here"), make_group(ec2, vpc, "near"), make_group(ec2, elsewhere, "far")
    authorize = ec2.authorize_security_group_ingress
    authorize(GroupId=group, IpPermissions=[permission(UserIdGroupPairs=[{"GroupId": near}])])
    refused("InvalidGroup.NotFound", authorize, GroupId=group, IpPermissions=[permission(UserIdGroupPairs=[{"GroupId": far}])])


@conforms(f"{API}/API_DeleteSecurityGroup.html")
def test_default_security_group_stays(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    (default,) = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    refused("CannotDelete", ec2.delete_security_group, GroupId=default["GroupId"])
    assert ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]


@conforms(f"{API}/API_DeleteSecurityGroup.html")
def test_security_group_in_a_permission(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    named, naming = make_group(ec2, vpc, "named"), make_group(ec2, vpc, "naming")
    own = [permission(UserIdGroupPairs=[{"GroupId": named}])]
    ec2.authorize_security_group_ingress(GroupId=named, IpPermissions=own)  # its own permissions do not hold it
    ec2.authorize_security_group_egress(GroupId=naming, IpPermissions=own)
    refused("DependencyViolation", ec2.delete_security_group, GroupId=named)
    ec2.delete_security_group(GroupId=naming)
    ec2.delete_security_group(GroupId=named)


@conforms(f"{API}/API_DeleteSecurityGroup.html")
def test_security_group_of_an_interface(ec2: Any) -> None:
    network = make_network(ec2)
    group = make_group(ec2, network.vpc, "worn")
    interface = ec2.create_network_interface(SubnetId=network.subnets[0], Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.delete_security_group(GroupId=group)


# VPCs, subnets, routes


@conforms(f"{API}/API_Vpc.html")
def test_vpc_is_pending_first(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]
    assert vpc["State"] == "pending"
    assert ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["State"] == "available"


@conforms(f"{API}/API_ModifyVpcAttribute.html")
def test_one_vpc_attribute_a_request(ec2: Any) -> None:
    vpc, support, names = make_network(ec2).vpc, {"EnableDnsSupport": {"Value": True}}, {"EnableDnsHostnames": {"Value": True}}
    refused("InvalidParameterCombination", ec2.modify_vpc_attribute, VpcId=vpc, **support, **names)
    ec2.modify_vpc_attribute(VpcId=vpc, **support)


@conforms(f"{VPC_GUIDE}/VPC_Internet_Gateway.html")
def test_vpc_has_one_gateway(ec2: Any) -> None:
    network = make_network(ec2)
    second = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    refused("InvalidParameterValue", ec2.attach_internet_gateway, InternetGatewayId=second, VpcId=network.vpc)
    ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    ec2.attach_internet_gateway(InternetGatewayId=second, VpcId=network.vpc)


@conforms(f"{API}/API_CreateSubnet.html")
def test_subnet_size(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    refused("InvalidSubnet.Range", ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.9.0/29")
    make_subnet(ec2, vpc, "10.0.9.0/28")


@conforms(f"{API}/API_CreateSubnet.html")
def test_subnet_zone(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    wrong = {"VpcId": vpc, "CidrBlock": "10.0.9.0/24", "AvailabilityZone": "us-east-1a"}
    assert "eu-central-1a" in refused("InvalidParameterValue", ec2.create_subnet, **wrong)
    make_subnet(ec2, vpc, "10.0.9.0/24", "eu-central-1c")


@conforms(f"{API}/API_AssociateRouteTable.html")
def test_route_table_of_other_vpc(ec2: Any) -> None:
    here, elsewhere = make_network(ec2), make_network(ec2)
    table = ec2.create_route_table(VpcId=here.vpc)["RouteTable"]["RouteTableId"]
    refused("InvalidParameterValue", ec2.associate_route_table, RouteTableId=table, SubnetId=elsewhere.subnets[0])
    ec2.associate_route_table(RouteTableId=table, SubnetId=here.subnets[0])


@conforms(f"{VPC_GUIDE}/subnet-route-tables.html")
def test_subnet_has_one_route_table(ec2: Any) -> None:
    network = make_network(ec2)
    first, second = (ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    association = ec2.associate_route_table(RouteTableId=first, SubnetId=network.subnets[0])["AssociationId"]
    refused("Resource.AlreadyAssociated", ec2.associate_route_table, RouteTableId=second, SubnetId=network.subnets[0])
    ec2.replace_route_table_association(AssociationId=association, RouteTableId=second)


def main_table(ec2: Any, vpc: str) -> dict[str, Any]:
    """The main route table of a VPC."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    return dict(table)


@conforms(f"{API}/API_DisassociateRouteTable.html")
def test_main_association_stays(ec2: Any) -> None:
    (association,) = main_table(ec2, make_network(ec2).vpc)["Associations"]
    refused("InvalidParameterValue", ec2.disassociate_route_table, AssociationId=association["RouteTableAssociationId"])


@conforms(f"{API}/API_DeleteRouteTable.html")
def test_main_route_table_stays(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    refused("DependencyViolation", ec2.delete_route_table, RouteTableId=main_table(ec2, vpc)["RouteTableId"])
    ec2.delete_route_table(RouteTableId=ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"])


@conforms(f"{API}/API_CreateRoute.html")
def test_route_needs_a_target(ec2: Any) -> None:
    network = make_network(ec2)
    route = {"RouteTableId": main_table(ec2, network.vpc)["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    refused("MissingParameter", ec2.create_route, **route)
    two = {"GatewayId": network.gateway, "NetworkInterfaceId": f"eni-{NOBODY}"}
    refused("InvalidParameterCombination", ec2.create_route, **route, **two)
    ec2.create_route(**route, GatewayId=network.gateway)


@conforms(f"{API}/API_CreateRoute.html")
def test_route_to_nat_gateway(ec2: Any) -> None:
    network = make_network(ec2)
    nat, _ = make_nat_gateway(ec2, network.subnets[0])
    route = {"RouteTableId": main_table(ec2, network.vpc)["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    refused("InvalidNatGatewayID.NotFound", ec2.create_route, **route, NatGatewayId=f"nat-{NOBODY}")
    ec2.create_route(**route, NatGatewayId=nat)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    refused("InvalidNatGatewayID.NotFound", ec2.replace_route, **route, NatGatewayId=nat)


@conforms(f"{API}/API_CreateRoute.html")
def test_route_to_internet_gateway(ec2: Any) -> None:
    here, elsewhere = make_network(ec2), make_network(ec2)
    route = {"RouteTableId": main_table(ec2, here.vpc)["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    refused("InvalidParameterValue", ec2.create_route, **route, GatewayId=elsewhere.gateway)
    refused("InvalidGatewayID.NotFound", ec2.create_route, **route, GatewayId=f"igw-{NOBODY}")
    ec2.create_route(**route, GatewayId=here.gateway)


@conforms(f"{VPC_GUIDE}/subnet-route-tables.html")
def test_local_route_stays(ec2: Any) -> None:
    network = make_network(ec2)
    table = main_table(ec2, network.vpc)["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=network.gateway)
    refused("InvalidParameterValue", ec2.delete_route, RouteTableId=table, DestinationCidrBlock="10.0.0.0/16")
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")


@conforms(f"{API}/API_Route.html")
def test_route_without_target(ec2: Any) -> None:
    network = make_network(ec2)
    table = main_table(ec2, network.vpc)["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=network.gateway)

    def states() -> dict[str, str]:
        return {route["DestinationCidrBlock"]: route["State"] for route in main_table(ec2, network.vpc)["Routes"]}

    assert states() == {"10.0.0.0/16": "active", "0.0.0.0/0": "active"}
    ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    assert states() == {"10.0.0.0/16": "active", "0.0.0.0/0": "blackhole"}


# NAT gateways


@conforms(f"{VPC_GUIDE}/nat-gateway-troubleshooting.html")
def test_nat_gateway_states(ec2: Any) -> None:
    network = make_network(ec2)
    lone = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def describe(nat: str) -> dict[str, Any]:
        return dict(ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0])

    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=network.subnets[0], AllocationId=address)["NatGateway"]
    assert (made["State"], describe(made["NatGatewayId"])["State"]) == ("pending", "available")
    (interface,) = interfaces(ec2, network.vpc)
    assert interface["Description"] == f"Interface for NAT Gateway {made['NatGatewayId']}"
    assert (interface["RequesterManaged"], interface["Groups"], interface["Status"]) == (True, [], "in-use")
    failed, address = make_nat_gateway(ec2, make_subnet(ec2, lone, "10.0.0.0/24"))
    assert (describe(failed)["State"], describe(failed)["FailureCode"]) == ("failed", "Gateway.NotAttached")
    ec2.release_address(AllocationId=address)


@conforms(f"{API}/API_CreateNatGateway.html")
def test_nat_gateway_needs_an_address(ec2: Any) -> None:
    subnet = make_network(ec2).subnets[0]
    refused("MissingParameter", ec2.create_nat_gateway, SubnetId=subnet)
    ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")


@conforms(f"{API}/errors-overview.html")
def test_nat_gateway_unknown(ec2: Any) -> None:
    refused("NatGatewayNotFound", ec2.describe_nat_gateways, NatGatewayIds=[f"nat-{NOBODY}"])


@conforms(f"{VPC_GUIDE}/nat-gateway-working-with.html")
def test_nat_gateway_address_is_amazons(ec2: Any) -> None:
    nat, address = make_nat_gateway(ec2, make_network(ec2).subnets[0])
    association = ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]["AssociationId"]
    refused("AuthFailure", ec2.disassociate_address, AssociationId=association)
    refused("AuthFailure", ec2.release_address, AllocationId=address)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=address)


@conforms(f"{API}/API_ReleaseAddress.html")
def test_address_in_use(ec2: Any) -> None:
    network = make_network(ec2)
    interface = ec2.create_network_interface(SubnetId=network.subnets[0])["NetworkInterface"]["NetworkInterfaceId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    association = ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface)["AssociationId"]
    refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=address)
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address)


# Endpoints


def dns_network(ec2: Any) -> Any:
    """A network with both DNS attributes."""
    network = make_network(ec2)
    ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": True})
    return network


@conforms(f"{LINK_GUIDE}/create-interface-endpoint.html")
def test_endpoint_states(ec2: Any) -> None:
    network = dns_network(ec2)
    group = make_group(ec2, network.vpc, "endpoint")
    made = ec2.create_vpc_endpoint(
        VpcId=network.vpc, ServiceName=f"{SERVICE}.logs", VpcEndpointType="Interface", SubnetIds=network.subnets, SecurityGroupIds=[group]
    )["VpcEndpoint"]  # fmt: skip
    assert made["State"] == "pending"
    assert ec2.describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpoints"][0]["State"] == "available"
    found = interfaces(ec2, network.vpc)
    assert {interface["SubnetId"] for interface in found} == set(network.subnets)
    assert [interface["Groups"][0]["GroupId"] for interface in found] == [group, group]
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)


@conforms(f"{LINK_GUIDE}/aws-services-privatelink-support.html")
def test_endpoint_service(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    refused("InvalidServiceName", ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=f"{SERVICE}.nothing")
    refused("InvalidParameter", ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=f"{SERVICE}.ecs", VpcEndpointType="Gateway")
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"{SERVICE}.s3")


@conforms(f"{LINK_GUIDE}/vpc-endpoints-access.html")
def test_endpoint_policy(ec2: Any) -> None:
    make = partial(ec2.create_vpc_endpoint, VpcId=make_network(ec2).vpc, VpcEndpointType="Interface", PrivateDnsEnabled=False)
    policy = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]})
    make(ServiceName=f"{SERVICE}.ecs", PolicyDocument=policy)
    refused("InvalidParameter", make, ServiceName=f"{SERVICE}.ecs-agent", PolicyDocument=policy)
    without = make(ServiceName=f"{SERVICE}.ecs-telemetry")["VpcEndpoint"]["VpcEndpointId"]
    refused("InvalidParameter", ec2.modify_vpc_endpoint, VpcEndpointId=without, PolicyDocument=policy)


@conforms(f"{LINK_GUIDE}/gateway-endpoints.html")
def test_endpoint_route_exists(ec2: Any) -> None:
    vpc = make_network(ec2).vpc
    tables = [main_table(ec2, vpc)["RouteTableId"]]
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"{SERVICE}.s3", RouteTableIds=tables)
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"{SERVICE}.dynamodb", RouteTableIds=tables)
    refused("RouteAlreadyExists", ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=f"{SERVICE}.s3", RouteTableIds=tables)


@conforms(f"{LINK_GUIDE}/create-interface-endpoint.html")
def test_endpoint_private_dns(ec2: Any) -> None:
    plain, network = make_network(ec2), dns_network(ec2)
    request = {"ServiceName": f"{SERVICE}.ecs", "VpcEndpointType": "Interface"}
    assert "enableDnsHostnames" in refused("InvalidParameter", ec2.create_vpc_endpoint, **request, VpcId=plain.vpc)
    ec2.create_vpc_endpoint(**request, VpcId=plain.vpc, PrivateDnsEnabled=False)
    ec2.create_vpc_endpoint(**request, VpcId=network.vpc)
    assert "conflicting DNS domain" in refused("InvalidParameter", ec2.create_vpc_endpoint, **request, VpcId=network.vpc)


@conforms(f"{LINK_GUIDE}/create-interface-endpoint.html")
def test_endpoint_subnets(ec2: Any) -> None:
    network = dns_network(ec2)
    same_zone = [network.subnets[0], make_subnet(ec2, network.vpc, "10.0.9.0/24")]
    request = {"VpcId": network.vpc, "ServiceName": f"{SERVICE}.ecs-agent", "VpcEndpointType": "Interface"}
    refused("DuplicateSubnetsInSameZone", ec2.create_vpc_endpoint, **request, SubnetIds=same_zone)
    ec2.create_vpc_endpoint(**request, SubnetIds=network.subnets)


@conforms(f"{API}/API_CreateVpcEndpoint.html")
def test_endpoint_parts_exist(ec2: Any) -> None:
    network = dns_network(ec2)
    request = {"VpcId": network.vpc, "ServiceName": f"{SERVICE}.logs", "VpcEndpointType": "Interface", "SubnetIds": network.subnets}
    refused("InvalidGroup.NotFound", ec2.create_vpc_endpoint, **request, SecurityGroupIds=[f"sg-{NOBODY}"])
    gateway = {"VpcId": network.vpc, "ServiceName": f"{SERVICE}.s3", "RouteTableIds": [f"rtb-{NOBODY}"]}
    refused("InvalidRouteTableId.NotFound", ec2.create_vpc_endpoint, **gateway)
    filters = [{"Name": "vpc-id", "Values": [network.vpc]}]
    assert ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"] == []
    ec2.create_vpc_endpoint(**request)


@conforms(f"{API}/API_DeleteVpcEndpoints.html")
def test_endpoint_takes_its_time_to_go(ec2: Any) -> None:
    network = dns_network(ec2)
    request = {"VpcId": network.vpc, "ServiceName": f"{SERVICE}.ecs", "VpcEndpointType": "Interface", "SubnetIds": network.subnets}
    endpoint = ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"]
    unknown = f"vpce-{NOBODY}"
    (failed,) = ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint, unknown])["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (unknown, "InvalidVpcEndpointId.NotFound")
    refused("InvalidVpcEndpointId.NotFound", ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint])
    assert interfaces(ec2, network.vpc) == []


# Instances and launch templates


def run_instance(ec2: Any, subnet: str, **more: Any) -> dict[str, Any]:
    """Run one instance; returns what AWS says of it."""
    request = {"ImageId": image(ec2), "InstanceType": "t3.micro", "SubnetId": subnet, "MinCount": 1, "MaxCount": 1} | more
    return dict(ec2.run_instances(**request)["Instances"][0])


@conforms(f"{API}/errors-overview.html")
def test_group_of_an_interface_unknown(ec2: Any) -> None:
    subnet, unknown = make_network(ec2).subnets[0], f"sg-{NOBODY}"
    refused("InvalidSecurityGroupID.NotFound", ec2.create_network_interface, SubnetId=subnet, Groups=[unknown])
    refused("InvalidGroup.NotFound", lambda: run_instance(ec2, subnet, SecurityGroupIds=[unknown]))
    refused("InvalidGroup.NotFound", ec2.delete_security_group, GroupId=unknown)


@conforms(f"{API}/API_RunInstances.html")
def test_instance_type(ec2: Any) -> None:
    subnet = make_network(ec2).subnets[0]
    refused("InvalidParameterValue", lambda: run_instance(ec2, subnet, InstanceType="t3.minute"))
    run_instance(ec2, subnet, InstanceType="t3.micro")


@conforms(f"{VPC_GUIDE}/security-groups.html")
def test_groups_of_the_subnets_vpc(ec2: Any) -> None:
    here, elsewhere = make_network(ec2), make_network(ec2)
    near, far = make_group(ec2, here.vpc, "near"), make_group(ec2, elsewhere.vpc, "far")
    refused("InvalidParameter", lambda: run_instance(ec2, here.subnets[0], SecurityGroupIds=[far]))
    run_instance(ec2, here.subnets[0], SecurityGroupIds=[near])


@conforms(f"{GUIDE}/configuring-instance-metadata-options.html")
def test_metadata_options_of_the_template(aws: Callable[..., Any], ec2: Any) -> None:
    subnet = make_network(ec2).subnets[0]
    data = {"ImageId": image(ec2), "InstanceType": "t3.micro"}
    strict = data | {"MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}}
    ec2.create_launch_template(LaunchTemplateName="imds", LaunchTemplateData=data)
    ec2.create_launch_template_version(LaunchTemplateName="imds", LaunchTemplateData=strict)
    template = {"LaunchTemplateName": "imds", "Version": "2"}
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="imds", LaunchTemplate=template, MinSize=1, MaxSize=1, VPCZoneIdentifier=subnet
    )  # fmt: skip
    ec2.run_instances(LaunchTemplate=template, SubnetId=subnet, MinCount=1, MaxCount=1)
    ec2.run_instances(LaunchTemplate=template | {"Version": "1"}, SubnetId=subnet, MinCount=1, MaxCount=1)
    found = ec2.describe_instances(Filters=[{"Name": "subnet-id", "Values": [subnet]}])["Reservations"]
    options = [instance["MetadataOptions"] for reservation in found for instance in reservation["Instances"]]
    assert sorted((each["HttpTokens"], each["HttpPutResponseHopLimit"]) for each in options) == [
        ("optional", 1), ("required", 2), ("required", 2)
    ]  # fmt: skip


@conforms("https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html")
def test_image_by_parameter(ec2: Any, aws: Callable[..., Any]) -> None:
    parameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    data = {"ImageId": f"resolve:ssm:{parameter}", "InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="parameter", LaunchTemplateData=data)
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="parameter")["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["ImageId"] == data["ImageId"]
    named = aws("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html
    for request in ({"LaunchTemplate": {"LaunchTemplateName": "parameter"}}, data):
        (instance,) = ec2.run_instances(**request, MinCount=1, MaxCount=1)["Instances"]
        assert instance["ImageId"] == named


@conforms(f"{API}/API_CreateLaunchTemplateVersion.html")
def test_later_version_with_user_data(aws: Callable[..., Any], ec2: Any) -> None:
    subnet = make_network(ec2).subnets[0]
    data = {"ImageId": image(ec2), "InstanceType": "t3.micro", "UserData": "IyEvYmluL3NoCg=="}
    ec2.create_launch_template(LaunchTemplateName="later", LaunchTemplateData=data)
    ec2.create_launch_template_version(LaunchTemplateName="later", LaunchTemplateData=data)
    template = {"LaunchTemplateName": "later", "Version": "2"}
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="later", LaunchTemplate=template, MinSize=0, MaxSize=1, VPCZoneIdentifier=subnet
    )  # fmt: skip
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName="later", DesiredCapacity=1)
    (group,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["later"])["AutoScalingGroups"]
    assert len(group["Instances"]) == 1


@conforms(f"{API}/API_CreateLaunchTemplate.html")
def test_launch_template_name(ec2: Any) -> None:
    data = {"InstanceType": "t3.micro"}
    for name in ("ab", "n" * 129, "a name"):
        code = "InvalidLaunchTemplateName.MalformedException"
        refused(code, ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData=data)
    ec2.create_launch_template(LaunchTemplateName="name(1)./-_", LaunchTemplateData=data)


@conforms(f"{GUIDE}/Using_Tags.html")
def test_launch_template_tags(ec2: Any) -> None:
    create = ec2.create_launch_template
    data = {"TagSpecifications": tags("instance", "aws:mine")}
    refused("InvalidTagKey.Malformed", create, LaunchTemplateName="tagged", LaunchTemplateData=data)
    create(LaunchTemplateName="tagged", LaunchTemplateData={"TagSpecifications": tags("instance", "mine")})


@conforms("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplate.html")
def test_tags_of_the_template_as_they_are(ec2: Any) -> None:
    data = {"InstanceType": "t3.micro"}
    made = ec2.create_launch_template(LaunchTemplateName="retagged", LaunchTemplateData=data, TagSpecifications=tags("launch-template", "old"))
    ec2.create_tags(Resources=[made["LaunchTemplate"]["LaunchTemplateId"]], Tags=[{"Key": "Name", "Value": "new"}])
    (template,) = ec2.describe_launch_templates(LaunchTemplateNames=["retagged"])["LaunchTemplates"]
    assert {tag["Key"] for tag in template["Tags"]} == {"old", "Name"}


@conforms(f"{API}/errors-overview.html")
def test_launch_template_unknown(ec2: Any) -> None:
    unknown = f"lt-{NOBODY}"
    refused("InvalidLaunchTemplateId.NotFound", ec2.describe_launch_templates, LaunchTemplateIds=[unknown])
    refused("InvalidLaunchTemplateId.NotFound", ec2.delete_launch_template, LaunchTemplateId=unknown)
    refused("InvalidLaunchTemplateId.NotFound", ec2.run_instances, LaunchTemplate={"LaunchTemplateId": unknown}, MinCount=1, MaxCount=1)


@conforms(f"{API}/API_CreateLaunchTemplate.html")
def test_tags_of_the_template_are_not_in_its_versions(ec2: Any) -> None:
    data = {"TagSpecifications": tags("instance", "of the instance")}
    ec2.create_launch_template(LaunchTemplateName="versions", LaunchTemplateData=data, TagSpecifications=tags("launch-template", "own"))
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="versions")["LaunchTemplateVersions"]
    assert [each["ResourceType"] for each in version["LaunchTemplateData"]["TagSpecifications"]] == ["instance"]


# The order of removal


@conforms(f"{GUIDE}/using-eni.html")
def test_interface_goes_with_its_instance(ec2: Any) -> None:
    network = make_network(ec2)
    instance = run_instance(ec2, network.subnets[0])["InstanceId"]
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network.subnets[0])
    ec2.terminate_instances(InstanceIds=[instance])
    assert interfaces(ec2, network.vpc) == []
    ec2.delete_subnet(SubnetId=network.subnets[0])


@conforms(f"{API}/API_DeleteNetworkInterface.html")
def test_interface_in_use(ec2: Any) -> None:
    network = make_network(ec2)
    make_nat_gateway(ec2, network.subnets[0])
    (used,) = interfaces(ec2, network.vpc)
    refused("InvalidParameterValue", ec2.delete_network_interface, NetworkInterfaceId=used["NetworkInterfaceId"])
    free = ec2.create_network_interface(SubnetId=network.subnets[0])["NetworkInterface"]["NetworkInterfaceId"]
    ec2.delete_network_interface(NetworkInterfaceId=free)


@conforms(f"{API}/API_DeleteSubnet.html")
def test_subnet_in_use(ec2: Any) -> None:
    network = make_network(ec2)
    nat, _ = make_nat_gateway(ec2, network.subnets[0])
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network.subnets[0])
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.delete_subnet(SubnetId=network.subnets[0])


@conforms(f"{VPC_GUIDE}/subnet-deleting.html")
def test_subnet_takes_its_association_along(ec2: Any) -> None:
    network = make_network(ec2)
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnets[0])
    refused("DependencyViolation", ec2.delete_route_table, RouteTableId=table)
    ec2.delete_subnet(SubnetId=network.subnets[0])
    ec2.delete_route_table(RouteTableId=table)


@conforms(f"{API}/API_DetachInternetGateway.html")
def test_internet_gateway_with_public_addresses(ec2: Any) -> None:
    network = make_network(ec2)
    nat, _ = make_nat_gateway(ec2, network.subnets[0])
    detach = {"InternetGatewayId": network.gateway, "VpcId": network.vpc}
    refused("DependencyViolation", ec2.detach_internet_gateway, **detach)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.detach_internet_gateway(**detach)


@conforms(f"{API}/API_DeleteVpc.html")
def test_vpc_in_use(ec2: Any) -> None:
    network = make_network(ec2)
    group = make_group(ec2, network.vpc, "own")
    steps = [
        *(lambda subnet=subnet: ec2.delete_subnet(SubnetId=subnet) for subnet in network.subnets),
        lambda: ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc),
        lambda: ec2.delete_security_group(GroupId=group),
    ]
    for step in steps:
        refused("DependencyViolation", ec2.delete_vpc, VpcId=network.vpc)
        step()
    ec2.delete_vpc(VpcId=network.vpc)
