"""EC2: NAT gateways, and the addresses that they hold."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.nat_gateways import NatGateway

from emulator import interfaces
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.ec2 import ec2_of
from emulator.rules.ec2_vpc import internet_gateway_of

PUBLIC = "public"


@rule("ec2", "CreateNatGateway")
def nat_gateway_states(call: Call, proceed: Proceed) -> Answer:
    """A new NAT gateway is C(pending), then C(available). Without an Internet gateway in its VPC it is C(failed), with Gateway.NotAttached.

    Moto's is available at once. Its interface has no security group and is managed by AWS.
    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
    """
    answer = proceed()
    gateway = ec2_of(call).nat_gateways[answer["NatGateway"]["NatGatewayId"]]
    interfaces.manage(gateway._eni, f"Interface for NAT Gateway {gateway.id}", [], kind="nat_gateway")
    gateway.address_set[0]["privateIp"] = gateway._eni.private_ip_address
    gateway.state = answer["NatGateway"]["State"] = "pending"
    call.state.clock.after("nat_gateway_available", gateway.id, lambda: settle(call, gateway))
    return answer


def settle(call: Call, gateway: NatGateway) -> None:
    """End the creation of a NAT gateway."""
    if gateway.state != "pending":
        return
    if gateway.connectivity_type not in (None, PUBLIC) or internet_gateway_of(call, gateway.vpc_id):
        gateway.state = "available"
        return
    gateway.state, gateway.failure_code = "failed", "Gateway.NotAttached"
    gateway.failure_message = f"Network {gateway.vpc_id} has no Internet gateway attached"
    vacate(call, gateway)


def vacate(call: Call, gateway: NatGateway) -> None:
    """Take the interface of a NAT gateway away. Its address is free a moment later."""
    interfaces.remove(ec2_of(call), gateway._eni)
    for address in addresses_of(call, gateway):
        call.state.clock.after("nat_gateway_address_free", address.public_ip, lambda address=address: free(call, address))


def addresses_of(call: Call, gateway: NatGateway) -> list[ElasticAddress]:
    """Elastic addresses that a NAT gateway holds."""
    return [address for address in ec2_of(call).addresses if address.eni is gateway._eni]


def free(call: Call, address: ElasticAddress) -> None:
    """Let go of an address, unless that has been done."""
    if address.association_id:
        ec2_of(call).disassociate_address(association_id=address.association_id)


@rule("ec2", "CreateNatGateway")
def nat_gateway_needs_an_address(call: Call, proceed: Proceed) -> Answer:
    """A public NAT gateway has an address: MissingParameter. Moto makes it without.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html
    """
    if call.params.get("ConnectivityType", PUBLIC) == PUBLIC and not call.params.get("AllocationId"):
        raise AwsError("MissingParameter", "The request must contain the parameter AllocationId")
    return proceed()


@rule("ec2", "DeleteNatGateway")
def nat_gateway_takes_its_time_to_go(call: Call, proceed: Proceed) -> Answer:
    """A NAT gateway is C(deleting), then C(deleted), and shown so for an hour; its interface goes, later its address is free.

    An unknown one is NatGatewayNotFound.
    In moto it is deleted at once, but interface and association stay; an unknown one breaks it.
    Moto could take a part of it: all but the time.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNatGateway.html
    """
    gateway = ec2_of(call).nat_gateways.get(gateway_id := call.params["NatGatewayId"])
    if gateway is None:
        raise AwsError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")
    if gateway.state in ("pending", "available", "failed"):
        gateway.state = "deleting"
        call.state.clock.after("nat_gateway_deleted", gateway_id, lambda: end(call, gateway))
    return {"NatGatewayId": gateway_id}


def end(call: Call, gateway: NatGateway) -> None:
    """End the deletion of a NAT gateway."""
    gateway.state = "deleted"
    vacate(call, gateway)


@rule("ec2", "DescribeNatGateways")
def nat_gateway_unknown(call: Call, proceed: Proceed) -> Answer:
    """A NAT gateway that is not there is NatGatewayNotFound. Moto's answer is empty.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    for gateway_id in call.params.get("NatGatewayIds", []):
        if gateway_id not in ec2_of(call).nat_gateways:
            raise AwsError("NatGatewayNotFound", f"The Nat Gateway {gateway_id} was not found")
    return proceed()


@rule("ec2", "DescribeNatGateways")
def nat_gateways_by_tag(call: Call, proceed: Proceed) -> Answer:
    """C(tag:KEY) and C(tag-key) filter, as for everything in EC2. Moto leaves them unread.

    Moto could take it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNatGateways.html
    """
    answer = proceed()
    for condition in call.params.get("Filter", []):
        name, patterns = condition["Name"], condition.get("Values", [])
        if name.startswith("tag:") or name == "tag-key":
            answer["NatGateways"] = [gateway for gateway in answer["NatGateways"] if tagged(gateway, name, patterns)]
    return answer


def tagged(gateway: dict[str, Any], name: str, patterns: list[str]) -> bool:
    """Whether a tag of the gateway is as a filter wants it; C(*) and C(?) in a filter stand for anything."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in gateway.get("Tags", [])}
    found = tags if name == "tag-key" else [value for key, value in tags.items() if key == name.removeprefix("tag:")]
    return any(fnmatchcase(value, pattern) for value in found for pattern in patterns)


@rule("ec2", "ReleaseAddress", "DisassociateAddress", "AssociateAddress")
def nat_gateway_address_is_amazons(call: Call, proceed: Proceed) -> Answer:
    """The address of a NAT gateway cannot be touched, not even a moment after the gateway reads deleted: AuthFailure. Moto takes it away.

    Moto could take a part of it: the error as long as the gateway is there.
    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-working-with.html#nat-gateway-deleting
    """
    names = {call.params.get(name) for name in ("AllocationId", "PublicIp", "AssociationId")} - {None}
    for address in ec2_of(call).addresses:
        if address.eni and address.eni.requester_managed and names & {address.allocation_id, address.public_ip, address.association_id}:
            raise AwsError("AuthFailure", "You do not have permission to access the specified resource.", 400)
    return proceed()
