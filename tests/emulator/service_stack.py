"""A small stack on an emulator, and what its tests share."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3


@dataclass
class Emulator:
    """A running emulator."""

    process: subprocess.Popen[str]
    url: str
    request_log: Path

    def client(self, service: str) -> Any:
        """A client of the emulator; to make one takes long."""
        return _client(service, self.url)

    def requests(self) -> list[dict[str, Any]]:
        """What the request log holds."""
        return [json.loads(line) for line in self.request_log.read_text().splitlines()]


@cache
def _client(service: str, url: str) -> Any:
    return boto3.client(service, region_name="eu-central-1", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="secret")


@dataclass
class Stack:
    """A cluster, and a load balancer whose listener forwards to a target group."""

    aws: Callable[[str], Any]
    name: str
    subnets: list[str]
    target_group: str
    load_balancer: str
    url: str

    def task_definition(self, image: str = "registry.example/demo/page:1@sha256:0", mode: str = "awsvpc", **environment: str) -> str:
        """Register a task definition; answers its ARN."""
        container = {
            "name": "page",
            "image": image,
            "memory": 64,
            "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": name, "value": value} for name, value in {"VERSION": "one", **environment}.items()],
            "stopTimeout": 5,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": self.name, "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "ecs"},
            },
        }
        answer = self.aws("ecs").register_task_definition(
            family=self.name, networkMode=mode, cpu="256", memory="512", containerDefinitions=[container]
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create_service(self, **changes: Any) -> dict[str, Any]:
        """Create the service C(page)."""
        settings = {
            "cluster": self.name,
            "serviceName": "page",
            "desiredCount": 2,
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": self.subnets}},
            "loadBalancers": [{"targetGroupArn": self.target_group, "containerName": "page", "containerPort": 8080}],
            **changes,
        }
        settings.setdefault("taskDefinition", self.task_definition())
        settings = {name: value for name, value in settings.items() if value is not None}
        return dict(self.aws("ecs").create_service(**settings)["service"])

    def service(self, **include: Any) -> dict[str, Any]:
        """The service as it is described."""
        return dict(self.aws("ecs").describe_services(cluster=self.name, services=["page"], **include)["services"][0])

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """The service's tasks as they are described."""
        arns = self.aws("ecs").list_tasks(cluster=self.name, serviceName="page", desiredStatus=status)["taskArns"]
        return list(self.aws("ecs").describe_tasks(cluster=self.name, tasks=arns)["tasks"]) if arns else []

    def wait_steady(self) -> dict[str, Any]:
        """Wait until the service's only deployment has completed."""

        def steady() -> dict[str, Any] | None:
            service = self.service()
            return service if [deployment["rolloutState"] for deployment in service["deployments"]] == ["COMPLETED"] else None

        return dict(wait_for(steady))

    def remove(self) -> None:
        """Delete what runs."""
        ecs = self.aws("ecs")
        if f"/{self.name}" in str(ecs.list_clusters()["clusterArns"]):
            for arn in ecs.list_services(cluster=self.name)["serviceArns"]:
                ecs.delete_service(cluster=self.name, service=arn, force=True)
        self.aws("elbv2").delete_load_balancer(LoadBalancerArn=self.load_balancer)


def make_stack(aws: Callable[[str], Any], name: str) -> Stack:
    """Make everything but the service."""
    ec2, elb = aws("ec2"), aws("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"eu-central-1{zone}")["Subnet"]["SubnetId"]
        for i, zone in enumerate("ab")
    ]
    group = elb.create_target_group(
        Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip", HealthCheckPath="/health", HealthCheckIntervalSeconds=5
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = elb.create_load_balancer(Name=name, Subnets=subnets, Scheme="internal")["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    aws("ecs").create_cluster(clusterName=name, capacityProviders=["FARGATE", "FARGATE_SPOT"])
    aws("logs").create_log_group(logGroupName=name)
    return Stack(aws, name, subnets, group, balancer["LoadBalancerArn"], f"http://{balancer['DNSName']}/")


def wait_for(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait until a condition holds; answers its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} seconds"
        time.sleep(0.05)
    return value


def get(url: str) -> tuple[int, str]:
    """Status and body of a page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_free(url: str) -> bool:
    """Whether nobody answers at the port of a URL any more."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", urlsplit(url).port or 80)) != 0
