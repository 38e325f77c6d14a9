"""The module ecs_capacity_provider."""

from __future__ import annotations

import pytest

from support import ModuleFailed

GROUP = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:1:autoScalingGroupName/demo"
PROVIDER = {
    "auto_scaling_group_arn": GROUP,
    "managed_scaling": {"status": "ENABLED", "target_capacity": 90},
    "managed_termination_protection": "ENABLED",
    "tags": {"threetier:stack": "demo"},
}


def test_creates_changes_and_deletes(aws, check_run_check_run):
    check_run_check_run("ecs_capacity_provider", name="cp", **PROVIDER)
    changed = check_run_check_run("ecs_capacity_provider", name="cp", **PROVIDER | {"managed_scaling": {"target_capacity": 80}})
    assert changed["diff"] == {"before": {"managedScaling": {"targetCapacity": 90}}, "after": {"managedScaling": {"targetCapacity": 80}}}

    found = aws("ecs").describe_capacity_providers(capacityProviders=["cp"], include=["TAGS"])["capacityProviders"][0]
    assert found["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 80
    assert found["autoScalingGroupProvider"]["managedScaling"]["status"] == "ENABLED"
    assert found["tags"] == [{"key": "threetier:stack", "value": "demo"}]

    check_run_check_run("ecs_capacity_provider", name="cp", state="absent")


def test_refuses_to_move_to_another_group(run_module):
    run_module("ecs_capacity_provider", name="cp-moved", **PROVIDER)
    with pytest.raises(ModuleFailed, match="cannot move it"):
        run_module("ecs_capacity_provider", name="cp-moved", **PROVIDER | {"auto_scaling_group_arn": GROUP + "2"})
