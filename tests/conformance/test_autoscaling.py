"""EC2 Auto Scaling: groups. What takes time is in test_ecs_time.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.support import conforms, refused
from conformance.test_ecs import default_subnets, new_name

Aws = Callable[..., Any]

DOCS = "https://docs.aws.amazon.com/autoscaling/ec2/"


def group(aws: Aws, **changes: Any) -> dict[str, Any]:
    """A group that AWS takes, with a launch template of the same name."""
    name = new_name()
    image = aws("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")["Parameter"]["Value"]
    aws("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"})
    settings = {
        "MinSize": 0,
        "MaxSize": 3,
        "LaunchTemplate": {"LaunchTemplateName": name},
        "VPCZoneIdentifier": default_subnets(aws)[0]["SubnetId"],
    }
    return {"AutoScalingGroupName": name, **settings, **changes}


@conforms(DOCS + "userguide/asg-capacity-limits.html")
@pytest.mark.parametrize("sizes", [{"DesiredCapacity": 4}, {"MinSize": 2, "DesiredCapacity": 1}, {"MinSize": 4}])
def test_sizes_in_order(aws: Aws, sizes: dict[str, int]) -> None:
    refused("ValidationError", aws("autoscaling").create_auto_scaling_group, **group(aws, **sizes))
    made = group(aws)
    aws("autoscaling").create_auto_scaling_group(**made)
    refused("ValidationError", aws("autoscaling").update_auto_scaling_group, AutoScalingGroupName=made["AutoScalingGroupName"], **sizes)


@conforms(DOCS + "APIReference/API_SetDesiredCapacity.html")
def test_desired_capacity_in_range(aws: Aws) -> None:
    made = group(aws, MinSize=1)
    aws("autoscaling").create_auto_scaling_group(**made)
    name = {"AutoScalingGroupName": made["AutoScalingGroupName"]}
    message = refused("ValidationError", aws("autoscaling").set_desired_capacity, **name, DesiredCapacity=4)
    assert message == "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup."
    refused("ValidationError", aws("autoscaling").set_desired_capacity, **name, DesiredCapacity=0)
    aws("autoscaling").set_desired_capacity(**name, DesiredCapacity=2)


@conforms(DOCS + "APIReference/API_LaunchTemplateSpecification.html")
def test_launch_template_exists(aws: Aws) -> None:
    create, made = aws("autoscaling").create_auto_scaling_group, group(aws)
    template = made["LaunchTemplate"]
    for wrong in ({"LaunchTemplateName": "nobody"}, {"LaunchTemplateId": "lt-0123456789abcdef0"}, {**template, "Version": "7"}):
        message = refused("ValidationError", create, **made | {"LaunchTemplate": wrong})
        assert message.startswith("You must use a valid fully-formed launch template.")
    create(**made | {"LaunchTemplate": {**template, "Version": "$Latest"}})


@conforms(DOCS + "APIReference/API_CreateAutoScalingGroup.html")
def test_group_subnets_exist(aws: Aws) -> None:
    message = refused(
        "ValidationError", aws("autoscaling").create_auto_scaling_group, **group(aws, VPCZoneIdentifier="subnet-0123456789abcdef0")
    )
    assert message == "The subnet ID 'subnet-0123456789abcdef0' does not exist"
    aws("autoscaling").create_auto_scaling_group(**group(aws))


@conforms(DOCS + "APIReference/API_CreateAutoScalingGroup.html")
def test_group_name_is_free(aws: Aws) -> None:
    made = group(aws)
    aws("autoscaling").create_auto_scaling_group(**made)
    refused("AlreadyExists", aws("autoscaling").create_auto_scaling_group, **made)


@conforms(DOCS + "APIReference/API_DeleteAutoScalingGroup.html")
def test_group_with_instances(aws: Aws) -> None:
    made = group(aws, MinSize=1, NewInstancesProtectedFromScaleIn=True)
    scaling, name = aws("autoscaling"), made["AutoScalingGroupName"]
    scaling.create_auto_scaling_group(**made)
    (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    refused("ResourceInUse", scaling.delete_auto_scaling_group, AutoScalingGroupName=name)
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    instances = [instance["InstanceId"] for instance in found["Instances"]]
    (reservation,) = aws("ec2").describe_instances(InstanceIds=instances)["Reservations"]
    assert {each["State"]["Name"] for each in reservation["Instances"]} <= {"shutting-down", "terminated"}, "protected ones go too"
