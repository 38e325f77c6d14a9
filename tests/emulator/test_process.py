"""The emulator as a process: its request log, its rules, and that it leaves nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_stack import Emulator, Stack, get, is_free, make_stack, wait_for


def test_the_request_log_names_each_call(emulator: Emulator, aws: Callable[[str], Any]) -> None:
    before = len(emulator.requests())
    aws("ec2").describe_vpcs()
    aws("elbv2").describe_load_balancers()
    aws("cloudwatch").put_metric_alarm(
        AlarmName="log",
        MetricName="m",
        Namespace="n",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
    )
    aws("dynamodb").list_tables()
    aws("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    aws("s3").put_object(Bucket="log", Key="a/b", Body=b"text")
    aws("s3").list_objects_v2(Bucket="log")
    with pytest.raises(ClientError):
        aws("ecs").delete_cluster(cluster="nowhere")
    get(f"{emulator.url}/emulator/listeners")
    entries = emulator.requests()[before:]
    assert [(entry["service"], entry["operation"], entry["access"], entry["status"]) for entry in entries] == [
        ("ec2", "DescribeVpcs", "read", 200),
        ("elasticloadbalancing", "DescribeLoadBalancers", "read", 200),
        ("monitoring", "PutMetricAlarm", "write", 200),
        ("dynamodb", "ListTables", "read", 200),
        ("s3", "CreateBucket", "write", 200),
        ("s3", "PutObject", "write", 200),
        ("s3", "ListObjectsV2", "read", 200),
        ("ecs", "DeleteCluster", "write", 400),
        ("-", "-", "read", 200),
    ]
    assert all(entry["start"] <= entry["end"] for entry in entries)


def test_a_table_has_an_id_until_it_is_made_anew(aws: Callable[[str], Any]) -> None:
    dynamodb = aws("dynamodb")
    table = {
        "TableName": "ids",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    first = dynamodb.create_table(**table)["TableDescription"]["TableId"]
    assert dynamodb.describe_table(TableName="ids")["Table"]["TableId"] == first
    dynamodb.delete_table(TableName="ids")
    assert dynamodb.create_table(**table)["TableDescription"]["TableId"] != first


def test_what_is_made_at_the_same_moment_gets_in_no_ones_way(aws: Callable[[str], Any]) -> None:
    ec2 = aws("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    addresses = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(24)]
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(lambda address: ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address, ClientToken=address), addresses)
        assert len({answer["NatGateway"]["NatGatewayId"] for answer in made}) == len(addresses)


def test_a_protected_load_balancer_is_not_deleted(stack: Stack, aws: Callable[[str], Any]) -> None:
    elb, arn = aws("elbv2"), stack.load_balancer
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}])
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
    elb.delete_load_balancer(LoadBalancerArn=arn)
    wait_for(lambda: is_free(stack.url))


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [("iam", "get_context_keys_for_custom_policy", "InvalidAction"), ("ecs", "list_service_deployments", "UnknownOperationException")],
)
def test_what_moto_does_not_implement_is_an_aws_error(aws: Callable[[str], Any], service: str, operation: str, code: str) -> None:
    arguments = {"PolicyInputList": ["{}"]} if service == "iam" else {"service": "page"}
    with pytest.raises(ClientError) as error:
        getattr(aws(service), operation)(**arguments)
    assert error.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_an_emulator_that_ends_leaves_no_process_and_no_port(
    how: str, start_emulator: Callable[[Path], Emulator], images: Path, tmp_path: Path
) -> None:
    emulator, files = start_emulator(tmp_path / "requests.jsonl"), set(images.rglob("*"))
    try:
        stack = make_stack(emulator.client, "end")
        stack.create_service(desiredCount=1)
        page = wait_for(lambda: (answer := get(stack.url)) and answer[0] == 200 and answer[1])
        getattr(emulator.process, how)()
        assert emulator.process.wait(10) == (0 if how == "terminate" else -9)
        assert is_free(emulator.url) and is_free(stack.url)
        wait_for(lambda: has_ended(int(page.split()[1])))
        assert set(images.rglob("*")) == files
    finally:
        emulator.process.kill()


def has_ended(pid: int) -> bool:
    """Whether a process is gone; one that only waits for its parent to look counts as gone."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return state in ("", "Z", "Zs")
