"""The shortest time in which anybody could create the stack: the longest chain of slow steps that must follow one another.

The seconds are those of the emulator's own table, C(emulator.clock.SECONDS); which step must follow which is said here, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.clock import SECONDS


@dataclass(frozen=True)
class Stage:
    """Something slow: the steps of the table it takes one after another, and the stages that must be over before the first of them.

    C(only_on_aws) are stages that it needs on AWS and not on the emulator, whose tasks and instances reach everything without a route.
    """

    steps: tuple[str, ...]
    after: tuple[str, ...] = ()
    only_on_aws: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    "VPC": Stage(("vpc_available",)),
    # An address and a subnet; CreateRoute refuses a gateway that is not available.
    "NAT gateways": Stage(("nat_gateway_available",), ("VPC",)),
    # Subnets and security groups. It answers nobody before it is active.
    "load balancers": Stage(("load_balancer_active",), ("VPC",)),
    "roles": Stage(("role_usable",)),
    "instance profile": Stage(("instance_profile_usable",)),
    # Auto Scaling refuses a profile that EC2 does not know yet.
    "instances": Stage(("group_instance_in_service",), ("VPC", "instance profile")),
    # The agent on the instance reaches ECS through the NAT gateway.
    "container instances": Stage(("container_instance_registered",), ("instances",), ("NAT gateways",)),
    "api tasks": Stage(("ec2_task_running",), ("container instances", "roles")),
    # Images are pulled through the NAT gateway.
    "web tasks": Stage(("fargate_task_running",), ("VPC", "roles"), ("NAT gateways",)),
    "table": Stage(("table_active", "continuous_backups_available")),
    # The stack works when its page does.
    "page": Stage((), ("load balancers", "api tasks", "web tasks", "NAT gateways", "table")),
}


@dataclass(frozen=True)
class Path:
    """A chain of stages, and the seconds that it takes."""

    seconds: float
    stages: tuple[str, ...]

    def __str__(self) -> str:
        return " → ".join(self.stages)


def critical_path(
    stages: Mapping[str, Stage] = STAGES, end: str = "page", *, seconds: Mapping[str, float] = SECONDS, on_aws: bool = False
) -> Path:
    """The longest chain that ends with a stage. Raises KeyError for a step or a stage that nobody knows."""
    stage = stages[end]
    before = [critical_path(stages, name, seconds=seconds, on_aws=on_aws) for name in stage.after + (stage.only_on_aws if on_aws else ())]
    longest = max(before, key=lambda path: path.seconds, default=Path(0, ()))
    return Path(longest.seconds + sum(seconds[step] for step in stage.steps), (*longest.stages, end))
