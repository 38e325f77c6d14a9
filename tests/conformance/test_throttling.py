"""Rates of requests."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conformance.support import conforms

EMULATOR = ["--throttle"]


def refused_after(call: Callable[[], object], most: int) -> tuple[int, str]:
    """How many calls are taken in a row before one is refused, and with which code."""
    for number in range(most):
        try:
            call()
        except ClientError as error:
            return number, error.response["Error"]["Code"]
    pytest.fail(f"{most} calls were taken")


@conforms("https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html")
def test_ec2_has_a_bucket_for_each_operation(aws: Callable[..., Any]) -> None:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    gateway = functools.partial(ec2.create_nat_gateway, SubnetId=subnet, ConnectivityType="private")
    # 10 tokens, and one comes back in a second.
    taken, code = refused_after(gateway, 50)
    assert taken >= 10
    assert code == "RequestLimitExceeded"
    assert ec2.describe_nat_gateways()["NatGateways"], "another operation has a bucket of its own"
    time.sleep(1.2)
    gateway()


@conforms("https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html")
def test_ecs_has_a_bucket_for_each_kind_of_action(aws: Callable[..., Any]) -> None:
    ecs = aws("ecs")
    numbers = iter(range(100))
    taken, code = refused_after(lambda: ecs.create_cluster(clusterName=f"throttled-{next(numbers)}"), 40)
    assert taken >= 20
    assert code == "ThrottlingException"
    with pytest.raises(ClientError, match="Rate exceeded"):
        ecs.delete_cluster(cluster="throttled-0")
    assert ecs.describe_clusters(clusters=["throttled-0"])["clusters"]


@conforms("https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html")
def test_elbv2_has_a_bucket_for_all_operations_together(aws: Callable[..., Any]) -> None:
    elbv2 = aws("elbv2")
    taken, code = refused_after(lambda: (elbv2.describe_load_balancers(), elbv2.describe_target_groups()), 200)
    assert 20 <= taken
    assert code == "ThrottlingException"
    time.sleep(0.5)
    elbv2.describe_load_balancers()


@conforms("https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html")
def test_cloudwatch_takes_three_alarms_a_second(aws: Callable[..., Any]) -> None:
    alarm = {
        "AlarmName": "throttled", "Namespace": "AWS/ECS", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    taken, code = refused_after(lambda: aws("cloudwatch").put_metric_alarm(**alarm), 200)
    assert taken >= 3
    assert code == "Throttling"
    time.sleep(1)
    aws("cloudwatch").put_metric_alarm(**alarm)


@conforms("https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html")
def test_kms_takes_five_keys_a_second(aws: Callable[..., Any]) -> None:
    taken, code = refused_after(lambda: aws("kms").create_key(), 200)
    assert taken >= 5
    assert code == "ThrottlingException"
