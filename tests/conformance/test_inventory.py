"""The inventory: a leak shows as a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from conformance.support import conforms

STACK = {"threetier:stack": "inventory"}
PAIRS = [{"Key": key, "Value": value} for key, value in STACK.items()]


def inventory(endpoint: str) -> list[dict[str, Any]]:
    """What exists in the account."""
    with urlopen(f"{endpoint}/emulator/inventory") as answer:
        return list(json.load(answer))


@conforms("https://docs.aws.amazon.com/general/latest/gr/aws-arns-and-namespaces.html")
def test_inventory_is_empty_but_for_what_was_made(aws: Callable[..., Any], endpoint: str) -> None:
    assert aws("ec2").describe_vpcs()["Vpcs"], "every account has a default VPC"
    assert inventory(endpoint) == []
    vpc = aws("ec2").create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": PAIRS}])["Vpc"]["VpcId"]
    far = aws("ec2", region_name="eu-west-1").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws("ecs").create_cluster(clusterName="inventory", tags=[{"key": key, "value": value} for key, value in STACK.items()])
    aws("logs").create_log_group(logGroupName="/inventory", tags=STACK)
    topic = aws("sns").create_topic(Name="inventory", Tags=PAIRS)["TopicArn"]
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]

    found = inventory(endpoint)
    assert [(entry["service"], entry["type"]) for entry in found] == [
        ("ec2", "internet-gateway"), ("ec2", "network-acl"), ("ec2", "route-table"), ("ec2", "security-group"), ("ec2", "vpc"),
        ("ecs", "cluster"), ("kms", "key"), ("logs", "log-group"), ("sns", "topic"),
    ]  # fmt: skip
    assert [entry["type"] for entry in found if entry["tags"] == STACK] == ["vpc", "cluster", "log-group", "topic"]
    assert next(entry for entry in found if entry["type"] == "internet-gateway") == {
        "service": "ec2", "type": "internet-gateway", "region": "eu-west-1", "id": far, "name": None, "tags": {},
    }  # fmt: skip

    aws("ec2").delete_vpc(VpcId=vpc)
    aws("ec2", region_name="eu-west-1").delete_internet_gateway(InternetGatewayId=far)
    aws("ecs").delete_cluster(cluster="inventory")
    aws("logs").delete_log_group(logGroupName="/inventory")
    aws("sns").delete_topic(TopicArn=topic)
    aws("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert inventory(endpoint) == []
