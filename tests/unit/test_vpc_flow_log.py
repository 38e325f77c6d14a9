"""The module vpc_flow_log."""

from __future__ import annotations

import json

import pytest

from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import vpc_flow_log
from support import ModuleFailed

ROLE = "arn:aws:iam::123456789012:role/demo-flow-log"
TAGS = {"threetier:stack": "demo"}


@pytest.fixture
def vpc_id(aws):
    """A VPC of the test's own, and a role that may write its flow logs."""
    if "demo-flow-log" not in [role["RoleName"] for role in aws("iam").list_roles()["Roles"]]:
        trust = {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}
        aws("iam").create_role(
            RoleName="demo-flow-log", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
    return aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def flow_logs(aws, vpc_id):
    return aws("ec2").describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc_id]}])["FlowLogs"]


def in_cloudwatch(vpc_id, **changed):
    return {"resource_id": vpc_id, "log_group_name": "/demo/vpc", "deliver_logs_permission_arn": ROLE, "tags": TAGS} | changed


def test_creates_and_deletes(aws, vpc_id, check_run_check_run):
    done = check_run_check_run("vpc_flow_log", **in_cloudwatch(vpc_id, traffic_type="REJECT"))
    [log] = flow_logs(aws, vpc_id)
    assert (log["TrafficType"], log["LogGroupName"], log["Tags"]) == ("REJECT", "/demo/vpc", [{"Key": "threetier:stack", "Value": "demo"}])
    assert done["flow_log"]["flow_log_id"] == log["FlowLogId"]
    check_run_check_run("vpc_flow_log", resource_id=vpc_id, tags=TAGS, state="absent")
    assert flow_logs(aws, vpc_id) == []


def test_replaces_a_flow_log_that_differs(aws, vpc_id, run_module, check_run_check_run):
    run_module("vpc_flow_log", **in_cloudwatch(vpc_id))
    done = check_run_check_run("vpc_flow_log", **in_cloudwatch(vpc_id, max_aggregation_interval=60))
    assert done["diff"] == {"before": {vpc_id: {"MaxAggregationInterval": 600}}, "after": {vpc_id: {"MaxAggregationInterval": 60}}}
    assert done["changes"]["replaced"] == [vpc_id]
    [log] = flow_logs(aws, vpc_id)
    assert (log["MaxAggregationInterval"], log["FlowLogId"]) == (60, done["flow_log"]["flow_log_id"])


def test_moves_to_another_destination_and_leaves_the_flow_logs_of_others(aws, vpc_id, run_module, check_run_check_run):
    aws("s3").create_bucket(Bucket="demo-logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    foreign = run_module("vpc_flow_log", **in_cloudwatch(vpc_id, log_group_name="/security", tags={"team": "security"}))["flow_log"]
    run_module("vpc_flow_log", **in_cloudwatch(vpc_id))
    moved = check_run_check_run("vpc_flow_log", resource_id=vpc_id, log_destination="arn:aws:s3:::demo-logs", tags=TAGS)["flow_log"]
    assert {log["FlowLogId"] for log in flow_logs(aws, vpc_id)} == {foreign["flow_log_id"], moved["flow_log_id"]}


def test_changes_tags_in_place(aws, vpc_id, run_module, check_run_check_run):
    run_module("vpc_flow_log", **in_cloudwatch(vpc_id))
    done = check_run_check_run("vpc_flow_log", **in_cloudwatch(vpc_id, tags={"Name": "demo", "number": 7}))
    assert done["diff"] == {
        "before": {"demo": {"tag Name": None, "tag number": None, "tag threetier:stack": "demo"}},
        "after": {"demo": {"tag Name": "demo", "tag number": "7", "tag threetier:stack": None}},
    }
    assert done["changes"]["changed"] == ["demo"]


def test_removes_what_an_interrupted_replacement_left_behind(aws, vpc_id, run_module, check_run_check_run):
    old = run_module("vpc_flow_log", **in_cloudwatch(vpc_id, log_group_name="/demo/old"))["flow_log"]["flow_log_id"]
    aws("ec2").create_flow_logs(
        ResourceIds=[vpc_id],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="/demo/vpc",
        DeliverLogsPermissionArn=ROLE,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "threetier:stack", "Value": "demo"}]}],
    )
    done = check_run_check_run("vpc_flow_log", **in_cloudwatch(vpc_id))
    assert (done["changes"]["deleted"], done["changes"]["unchanged"]) == ([old], [vpc_id])
    assert [log["LogGroupName"] for log in flow_logs(aws, vpc_id)] == ["/demo/vpc"]


def test_a_preview_takes_parents_that_are_not_made_yet(vpc_id, run_module, requests):
    planned_vpc = state.planned("demo")
    done = run_module("vpc_flow_log", check=True, **in_cloudwatch(planned_vpc, deliver_logs_permission_arn=state.planned("role")))
    assert (done["changes"]["created"], requests) == ([planned_vpc], [])
    assert not run_module("vpc_flow_log", check=True, resource_id=planned_vpc, tags=TAGS, state="absent")["changed"]

    run_module("vpc_flow_log", **in_cloudwatch(vpc_id))
    same_role = in_cloudwatch(vpc_id, deliver_logs_permission_arn=state.planned("demo-flow-log"))
    assert not run_module("vpc_flow_log", check=True, **same_role)["changed"], "made anew, the role gets the ARN that it had"
    other_role = in_cloudwatch(vpc_id, deliver_logs_permission_arn=state.planned("other"))
    assert run_module("vpc_flow_log", check=True, **other_role)["changes"]["replaced"] == [vpc_id]


def test_waits_until_a_new_role_can_be_assumed(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    refusal = {"ResourceId": "vpc-1", "Error": {"Code": "400", "Message": "Access Denied for LogDestination: /demo/vpc"}}
    answers = [{"Unsuccessful": [refusal], "FlowLogIds": []}, {"Unsuccessful": [], "FlowLogIds": ["fl-1"]}]

    class NotYet:
        def create_flow_logs(self, **request):
            return answers.pop(0)

    params = in_cloudwatch("vpc-1", traffic_type="ALL", log_destination=None, max_aggregation_interval=600)
    assert vpc_flow_log.create(NotYet(), params, {}, vpc_flow_log.NOT_YET)["FlowLogId"] == "fl-1"


def test_says_which_resources_can_have_a_flow_log(run_module):
    with pytest.raises(ModuleFailed, match="'tgw-1' is none of a VPC"):
        run_module("vpc_flow_log", **in_cloudwatch("tgw-1"))
