"""The module ecs_capacity_provider."""

from __future__ import annotations

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed


@pytest.fixture
def group_arn(aws):
    """Makes an auto-scaling group, protected from scale-in as managed termination protection demands."""
    ec2, autoscaling = aws("ec2"), aws("autoscaling")

    def make(name):
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=1,
            LaunchTemplate={"LaunchTemplateName": name},
            AvailabilityZones=["eu-central-1a"],
            NewInstancesProtectedFromScaleIn=True,
        )
        return autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]["AutoScalingGroupARN"]

    aws("ecs").create_cluster(clusterName="cp")  # an account's first one makes the service-linked role
    return make


def provider(group_arn):
    return {
        "auto_scaling_group_arn": group_arn,
        "managed_scaling": {"status": "ENABLED", "target_capacity": 90},
        "managed_termination_protection": "ENABLED",
        "tags": {"threetier:stack": "demo"},
    }


def test_creates_changes_and_deletes(aws, group_arn, check_run_check_run):
    wanted = provider(group_arn("cp-group"))
    check_run_check_run("ecs_capacity_provider", name="cp", **wanted)
    changed = check_run_check_run("ecs_capacity_provider", name="cp", **wanted | {"managed_scaling": {"target_capacity": 80}})
    assert changed["diff"] == {
        "before": {"cp": {"managedScaling": {"targetCapacity": 90}}},
        "after": {"cp": {"managedScaling": {"targetCapacity": 80}}},
    }

    found = aws("ecs").describe_capacity_providers(capacityProviders=["cp"], include=["TAGS"])["capacityProviders"][0]
    assert found["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 80
    assert found["autoScalingGroupProvider"]["managedScaling"]["status"] == "ENABLED"
    assert found["tags"] == [{"key": "threetier:stack", "value": "demo"}]

    check_run_check_run("ecs_capacity_provider", name="cp", state="absent")


def found_as(status, reason="no such thing"):
    """AWS's answer about a provider, with how far it is with what it was asked for."""
    return lambda given: {"capacityProviders": [{**given["capacityProviders"][0], "updateStatus": status, "updateStatusReason": reason}]}


@pytest.mark.parametrize(
    ("what", "wanted"), [("update", {"managed_scaling": {"target_capacity": 80}}), ("delete", {"state": "absent", "auto_scaling_group_arn": None})]
)
def test_waits_for_what_aws_only_begins_and_says_why_it_failed(group_arn, run_module, requests, answers, what, wanted):
    options = provider(group_arn(f"cp-{what}"))
    run_module("ecs_capacity_provider", name=f"cp-{what}", **options)
    states = [found_as(f"{what.upper()}_{end}", "the group is gone") for end in ("IN_PROGRESS", "FAILED")]
    answers["DescribeCapacityProviders"] = [lambda given: given, *states]
    answers[f"{what.title()}CapacityProvider"] = [{}]
    with pytest.raises(ModuleFailed, match=f"could not {what} capacity provider cp-{what}: the group is gone"):
        run_module("ecs_capacity_provider", name=f"cp-{what}", **options | wanted)
    assert requests.count("DescribeCapacityProviders") == 4


def test_previews_a_provider_of_a_group_that_is_not_made_yet(run_module, requests):
    preview = run_module("ecs_capacity_provider", check=True, name="cp-planned", **provider(state.planned("group")))
    assert preview["diff"]["after"]["cp-planned"]["autoScalingGroupArn"] == state.planned("group")
    assert preview["capacity_provider"]["capacity_provider_arn"] == state.planned("cp-planned")
    assert requests == ["DescribeCapacityProviders"]


def test_refuses_to_move_to_another_group(group_arn, run_module):
    run_module("ecs_capacity_provider", name="cp-moved", **provider(group_arn("cp-moved-1")))
    with pytest.raises(ModuleFailed, match="cannot move it"):
        run_module("ecs_capacity_provider", name="cp-moved", **provider(group_arn("cp-moved-2")))
