"""IAM tells its regions of what is new within seconds, not at once: the calls that race it are refused, the same calls succeed later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from conformance.support import conforms, refused

EMULATOR = ["--time-scale", "0.15"]  # 1.5 seconds for a role
PATIENCE_SECONDS = 15
IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency"
Aws = Callable[..., Any]


def later(call: Callable[..., Any], **params: Any) -> Any:
    """Make a call until it is not refused any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call(**params)
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def role(aws: Aws, name: str, service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html")
def test_capacity_provider_without_role(aws: Aws) -> None:  # first in this module: the account has no role of ECS yet
    image = aws("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "t3.small"}
    aws("ec2").create_launch_template(LaunchTemplateName="early", LaunchTemplateData=data)
    group = {"LaunchTemplate": {"LaunchTemplateName": "early"}, "MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["eu-central-1a"]}
    aws("autoscaling").create_auto_scaling_group(AutoScalingGroupName="early", **group)
    (found,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["early"])["AutoScalingGroups"]
    provider = {"name": "early", "autoScalingGroupProvider": {"autoScalingGroupArn": found["AutoScalingGroupARN"]}}
    assert "does not exist" in refused("ClientException", aws("ecs").create_capacity_provider, **provider)
    aws("ecs").create_cluster(clusterName="makes-the-role")
    later(aws("ecs").create_capacity_provider, **provider)


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html")
def test_ecs_role_races(aws: Aws) -> None:
    later(
        aws("ecs").put_cluster_capacity_providers,
        cluster="makes-the-role",
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=[],
    )
    aws("iam").delete_service_linked_role(RoleName="AWSServiceRoleForECS")
    providers = {"clusterName": "first", "capacityProviders": ["FARGATE"]}
    message = refused("InvalidParameterException", aws("ecs").create_cluster, **providers)
    assert message == "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
    later(aws("ecs").create_cluster, **providers)


@conforms("https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html")
def test_scaling_role_races(aws: Aws) -> None:
    aws("dynamodb").create_table(
        TableName="scaled", BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    target = {"ServiceNamespace": "dynamodb", "ResourceId": "table/scaled", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    register = aws("application-autoscaling").register_scalable_target
    assert "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable" in refused(
        "ValidationException", register, **target, MinCapacity=1, MaxCapacity=2
    )
    later(register, **target, MinCapacity=1, MaxCapacity=2)


@conforms(IAM)
def test_role_is_new(aws: Aws) -> None:
    vpc = aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    aws("logs").create_log_group(logGroupName="new-flow")
    arn = role(aws, "new-flow-logs", "vpc-flow-logs.amazonaws.com")
    log = {"ResourceIds": [vpc], "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "new-flow", "DeliverLogsPermissionArn": arn}
    refused("InvalidParameter", aws("ec2").create_flow_logs, **log)
    assert not later(aws("ec2").create_flow_logs, **log).get("Unsuccessful")


@conforms(IAM)
def test_instance_profile_is_new(aws: Aws) -> None:
    image = aws("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    role(aws, "new-profile", "ec2.amazonaws.com")
    aws("iam").create_instance_profile(InstanceProfileName="new-profile")
    aws("iam").add_role_to_instance_profile(InstanceProfileName="new-profile", RoleName="new-profile")
    instance = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "IamInstanceProfile": {"Name": "new-profile"}}
    refused("InvalidParameterValue", aws("ec2").run_instances, **instance)
    later(aws("ec2").run_instances, **instance)
