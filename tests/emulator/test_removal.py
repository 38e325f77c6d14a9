"""What something else still uses does not go, as on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

Network = dict[str, str]


@pytest.fixture
def network(aws: Callable[[str], Any]) -> Iterator[Network]:
    """A VPC with a NAT gateway, and two security groups of which the second lets the first one in."""
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    first, second = (ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("first", "second"))
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": first}]}
    ec2.authorize_security_group_ingress(GroupId=second, IpPermissions=[rule])
    yield {"vpc": vpc, "subnet": subnet, "gateway": gateway, "address": address, "nat": nat, "first": first, "second": second}


def test_a_network_goes_in_aws_order_only(aws: Callable[[str], Any], network: Network) -> None:
    ec2 = aws("ec2")
    steps = {
        "nat": lambda: ec2.delete_nat_gateway(NatGatewayId=network["nat"]),
        "address": lambda: ec2.release_address(AllocationId=network["address"]),
        "subnet": lambda: ec2.delete_subnet(SubnetId=network["subnet"]),
        "gateway": lambda: ec2.detach_internet_gateway(InternetGatewayId=network["gateway"], VpcId=network["vpc"]),
        "second": lambda: ec2.delete_security_group(GroupId=network["second"]),
        "first": lambda: ec2.delete_security_group(GroupId=network["first"]),
        "vpc": lambda: ec2.delete_vpc(VpcId=network["vpc"]),
    }
    refusals = {"address": "AuthFailure"} | dict.fromkeys(("subnet", "gateway", "first", "vpc"), "DependencyViolation")
    for name, code in refusals.items():
        with pytest.raises(ClientError, match=code):
            steps[name]()
    for step in steps.values():
        step()
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [network["vpc"]]}])
    assert interfaces["NetworkInterfaces"] == []


def test_a_group_of_instances_goes_by_force_only(aws: Callable[[str], Any]) -> None:
    ec2, autoscaling = aws("ec2"), aws("autoscaling")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    ec2.create_launch_template(LaunchTemplateName="removal", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="removal", LaunchTemplate={"LaunchTemplateName": "removal"}, MinSize=1, MaxSize=1,
        AvailabilityZones=["eu-central-1a"], NewInstancesProtectedFromScaleIn=True,
    )  # fmt: skip
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["removal"])["AutoScalingGroups"]
    with pytest.raises(ClientError, match="ResourceInUse"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName="removal")
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="removal", ForceDelete=True)
    instances = ec2.describe_instances(InstanceIds=[instance["InstanceId"] for instance in group["Instances"]])["Reservations"]
    assert [instance["State"]["Name"] for reservation in instances for instance in reservation["Instances"]] == ["terminated"]
    ec2.delete_launch_template(LaunchTemplateName="removal")
