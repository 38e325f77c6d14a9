"""A preview of a stack that does not exist yet names all that the first run then makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runs import account

# What the emulator's inventory calls it, and the kind of resource that it is in a report.
KINDS = {
    ("applicationautoscaling", "scalable-target"): "application_autoscaling",
    ("autoscaling", "group"): "auto_scaling_group",
    ("cloudwatch", "alarm"): "cloudwatch_alarm_set",
    ("cloudwatch", "dashboard"): "cloudwatch_dashboard",
    ("dynamodb", "table"): "dynamodb_table",
    ("ec2", "elastic-ip"): "vpc_nat_gateways",
    ("ec2", "internet-gateway"): "vpc",
    ("ec2", "launch-template"): "launch_template",
    ("ec2", "natgateway"): "vpc_nat_gateways",
    ("ec2", "route-table"): "vpc_route_tables",
    ("ec2", "security-group"): "security_groups",
    ("ec2", "subnet"): "vpc_subnets",
    ("ec2", "vpc"): "vpc",
    ("ec2", "vpc-endpoint"): "vpc_endpoints",
    ("ec2", "vpc-flow-log"): "vpc_flow_log",
    ("ecr", "repository"): "ecr_repository",
    ("ecs", "capacity-provider"): "ecs_capacity_provider",
    ("ecs", "cluster"): "ecs_cluster",
    ("ecs", "service"): "ecs_service",
    ("ecs", "task-definition"): "ecs_task_definition",
    ("elbv2", "loadbalancer"): "application_load_balancers",
    ("elbv2", "targetgroup"): "target_groups",
    ("iam", "role"): "iam_roles",
    ("iam", "user"): "iam_users",
    ("kms", "key"): "kms_key",
    ("logs", "log-group"): "log_groups",
    ("s3", "bucket"): "s3_bucket",
    ("sns", "topic"): "sns_topic",
}
# Parts of one of these, and what AWS makes on its own account for one of these.
PARTS = {
    ("applicationautoscaling", "scaling-policy"),
    ("ec2", "instance"),
    ("ec2", "network-acl"),
    ("ec2", "network-interface"),
    ("ec2", "volume"),
    ("ecs", "container-instance"),
    ("ecs", "task"),
    ("elbv2", "listener"),
    ("iam", "instance-profile"),
    ("kms", "alias"),
    ("sns", "subscription"),
}


def test_a_preview_of_an_empty_account_lists_all_that_the_run_makes(tmp_path: Path) -> None:
    with account(tmp_path) as one:
        preview = one.preview()
        assert one.inventory() == []
        run = one.deploy()
        assert preview.resources == run.resources
        # The default group comes with the VPC; it is closed.
        assert {key for key, action in run.resources.items() if action != "create"} == {("network", "security_groups", "default")}
        named = {(kind, name) for _, kind, name in preview.resources}
        assert [entry for entry in one.inventory() if not of_aws(entry) and named_in_a_report(entry) not in named] == []


def of_aws(entry: dict[str, Any]) -> bool:
    """Parts, the route table that comes with a VPC, and the alarms of a target-tracking policy."""
    kind = (entry["service"], entry["type"])
    return kind in PARTS or (kind == ("ec2", "route-table") and not entry["name"]) or str(entry["name"]).startswith("TargetTracking-")


def named_in_a_report(entry: dict[str, Any]) -> tuple[str, str]:
    name = entry["tags"].get("Name") or entry["name"]
    match entry["type"]:
        case "internet-gateway":
            name = f"{name} internet gateway"
        case "scalable-target":
            name = name.partition(" ")[0]
        case "task-definition":
            name = name.partition(":")[0]
        case "key":
            name = f"{entry['tags']['threetier:stack']}-alarms"
    return KINDS[entry["service"], entry["type"]], name
