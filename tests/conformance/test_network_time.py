"""EC2 and Elastic Load Balancing: what takes its time, and what it holds meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest

from conformance.network import interfaces, make_nat_gateway, make_network
from conformance.support import conforms, refused

EMULATOR = ["--time-scale", "0.02"]

API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
PATIENCE = 10  # seconds; the longest step that is waited for takes two


@pytest.fixture
def ec2(aws: Callable[..., Any]) -> Any:
    """A client of EC2."""
    return aws("ec2")


def wait_for(state: Callable[[], Any], wanted: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while (found := state()) != wanted:
        assert time.monotonic() < deadline, f"still {found}, not {wanted}"
        time.sleep(0.1)


def run_instance(ec2: Any, subnet: str) -> tuple[str, Callable[[], str]]:
    """Run an instance; returns its id, and what tells its state."""
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", SubnetId=subnet, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    return made, lambda: ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]["State"]["Name"]


@conforms(f"{GUIDE}/ec2-instance-lifecycle.html")
def test_instance_starts_pending(ec2: Any) -> None:
    _, state = run_instance(ec2, make_network(ec2).subnets[0])
    assert state() == "pending"
    wait_for(state, "running")


@conforms(f"{GUIDE}/ec2-instance-lifecycle.html")
def test_instance_shuts_down_first(ec2: Any) -> None:
    subnet = make_network(ec2).subnets[0]
    instance, state = run_instance(ec2, subnet)
    wait_for(state, "running")
    ec2.terminate_instances(InstanceIds=[instance])
    assert state() == "shutting-down"
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
    wait_for(state, "terminated")
    ec2.delete_subnet(SubnetId=subnet)


@conforms(f"{API}/API_DeleteNatGateway.html")
def test_nat_gateway_takes_its_time_to_go(ec2: Any) -> None:
    network = make_network(ec2)
    nat, address = make_nat_gateway(ec2, network.subnets[0])

    def state() -> str:
        return str(ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"])

    route = {"RouteTableId": ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    refused("InvalidNatGatewayID.NotFound", ec2.create_route, **route, NatGatewayId=nat)
    wait_for(state, "available")
    ec2.create_route(**route, NatGatewayId=nat)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert state() == "deleting"
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network.subnets[0])
    refused("AuthFailure", ec2.release_address, AllocationId=address)
    wait_for(state, "deleted")
    ec2.delete_subnet(SubnetId=network.subnets[0])
    wait_for(lambda: "AssociationId" in ec2.describe_addresses(AllocationIds=[address])["Addresses"][0], False)
    ec2.release_address(AllocationId=address)


@conforms("https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html")
def test_load_balancer_answers_when_active(aws: Callable[..., Any], ec2: Any) -> None:
    elb = aws("elbv2")
    (made,) = elb.create_load_balancer(Name="answers", Subnets=make_network(ec2).subnets)["LoadBalancers"]
    page = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "here"}}
    elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[page])
    with pytest.raises(ConnectionError):
        urlopen(f"http://{made['DNSName']}/", timeout=PATIENCE)
    wait_for(lambda: elb.describe_load_balancers(Names=["answers"])["LoadBalancers"][0]["State"]["Code"], "active")
    with urlopen(f"http://{made['DNSName']}/", timeout=PATIENCE) as answer:
        assert answer.read() == b"here"


@conforms("https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-delete.html")
def test_load_balancer_interfaces_go_later(aws: Callable[..., Any], ec2: Any) -> None:
    elb, network = aws("elbv2"), make_network(ec2)
    arn = elb.create_load_balancer(Name="goes", Subnets=network.subnets)["LoadBalancers"][0]["LoadBalancerArn"]

    def state() -> str:
        return str(elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"])

    assert state() == "provisioning"
    elb.delete_load_balancer(LoadBalancerArn=arn)
    refused("LoadBalancerNotFound", state)
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network.subnets[0])
    refused("DependencyViolation", ec2.detach_internet_gateway, InternetGatewayId=network.gateway, VpcId=network.vpc)
    wait_for(lambda: interfaces(ec2, network.vpc), [])
    ec2.delete_subnet(SubnetId=network.subnets[0])
