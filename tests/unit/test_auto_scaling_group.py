"""The module auto_scaling_group."""

from __future__ import annotations

import pytest
from ansible_collections.threetier.aws.plugins.module_utils import state

from support import refusal


@pytest.fixture
def group(aws):
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    if not ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": ["group"]}])["LaunchTemplates"]:
        ec2.create_launch_template(LaunchTemplateName="group", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})
    return {"launch_template": "group", "min_size": 1, "max_size": 3, "subnets": subnets, "tags": {"threetier:stack": "demo"}}


def test_creates_changes_and_deletes(aws, group, check_run_check_run):
    check_run_check_run("auto_scaling_group", name="g1", **group)
    wanted = group | {"max_size": 5, "new_instances_protected_from_scale_in": True, "tags": {}}
    changed = check_run_check_run("auto_scaling_group", name="g1", **wanted)
    assert changed["diff"] == {
        "before": {"g1": {"MaxSize": 3, "NewInstancesProtectedFromScaleIn": False, "tag threetier:stack": "demo"}},
        "after": {"g1": {"MaxSize": 5, "NewInstancesProtectedFromScaleIn": True, "tag threetier:stack": None}},
    }

    found = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["g1"])["AutoScalingGroups"][0]
    assert (found["MaxSize"], found["NewInstancesProtectedFromScaleIn"], found["Tags"]) == (5, True, [])
    check_run_check_run("auto_scaling_group", name="g1", state="absent")


def test_a_removal_need_not_be_waited_for(group, run_module, requests):
    run_module("auto_scaling_group", name="g6", **group)
    requests.clear()
    assert run_module("auto_scaling_group", name="g6", state="absent", wait=False)["changes"]["deleted"] == ["g6"]
    assert requests == ["DescribeAutoScalingGroups", "UpdateAutoScalingGroup", "DeleteAutoScalingGroup"]


def test_waits_for_the_service_linked_role_of_a_fresh_account(group, run_module, requests, answers):
    answers["CreateAutoScalingGroup"] = [refusal("ServiceLinkedRoleFailure")]
    assert run_module("auto_scaling_group", name="first", **group)["changed"]


def test_a_removal_waits_for_what_ecs_is_doing_with_the_group(group, run_module, requests, answers):
    run_module("auto_scaling_group", name="busy", **group)
    answers["UpdateAutoScalingGroup"] = [refusal("ResourceContention")]
    answers["DeleteAutoScalingGroup"] = [refusal("ScalingActivityInProgress"), refusal("ResourceInUse")]
    run_module("auto_scaling_group", name="busy", state="absent")
    assert (requests.count("UpdateAutoScalingGroup"), requests.count("DeleteAutoScalingGroup")) == (2, 3)


def test_previews_a_group_in_subnets_that_are_not_made_yet(group, run_module, requests):
    wanted = group | {"subnets": [state.planned("b"), state.planned("a")]}
    preview = run_module("auto_scaling_group", check=True, name="g4", **wanted)
    assert preview["changes"]["created"] == ["g4"] and preview["auto_scaling_group"]["tags"] == group["tags"]
    assert preview["auto_scaling_group"]["auto_scaling_group_arn"] == state.planned("g4")
    run_module("auto_scaling_group", name="g4", **group)
    requests.clear()
    preview = run_module("auto_scaling_group", check=True, name="g4", **wanted)
    assert preview["auto_scaling_group"]["vpc_zone_identifier"] == ",".join([state.planned("a"), state.planned("b")])
    assert requests == ["DescribeAutoScalingGroups"]


def test_leaves_the_number_of_instances_to_who_scales_the_group(aws, group, run_module):
    run_module("auto_scaling_group", name="g2", **group)
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName="g2", DesiredCapacity=2)
    assert not run_module("auto_scaling_group", name="g2", **group)["changed"]
    assert aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["g2"])["AutoScalingGroups"][0]["DesiredCapacity"] == 2


def test_what_somebody_suspended_goes_on(aws, group, run_module, check_run_check_run):
    run_module("auto_scaling_group", name="g5", **group)
    aws("autoscaling").suspend_processes(AutoScalingGroupName="g5", ScalingProcesses=["Terminate", "Launch"])
    done = check_run_check_run("auto_scaling_group", name="g5", **group)
    assert done["diff"] == {"before": {"g5": {"SuspendedProcesses": ["Launch", "Terminate"]}}, "after": {"g5": {"SuspendedProcesses": []}}}
    assert not aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["g5"])["AutoScalingGroups"][0]["SuspendedProcesses"]


def test_order_of_subnets_is_no_difference(group, run_module):
    run_module("auto_scaling_group", name="g3", **group)
    assert not run_module("auto_scaling_group", name="g3", **group | {"subnets": group["subnets"][::-1]})["changed"]
