"""The module cloudwatch_dashboard."""

from __future__ import annotations

import copy
import itertools
import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.threetier.aws.plugins.modules import cloudwatch_dashboard
from support import REGION, ModuleFailed

ALARM_ARN = f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:"
ARN = "arn:aws:cloudwatch::123456789012:dashboard/demo"
CPU = {"name": "demo-cpu", "namespace": "AWS/ECS", "metric_name": "CPUUtilization", "threshold": 80}
RATE = {"name": "demo-rate", "metrics": [{"id": "rate", "expression": "errors / requests"}], "threshold": 0.05}
DOWN = {"name": "demo-down", "alarm_rule": 'ALARM("demo-cpu") AND ALARM("demo-rate")'}
FOREIGN = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "Made by hand"}}]})


def body_of(aws, name):
    return json.loads(aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])


def wanted(alarms):
    return cloudwatch_dashboard.wanted_body(alarms, REGION, ALARM_ARN)


def of_type(body, kind):
    return [widget["properties"] for widget in body["widgets"] if widget["type"] == kind]


def test_makes_changes_and_deletes_the_dashboard(aws, check_run_check_run):
    done = check_run_check_run("cloudwatch_dashboard", name="stack", alarms=[CPU, DOWN, RATE])
    assert body_of(aws, "stack") == done["dashboard"]["body"]
    assert list(done["diff"]["after"]["stack"]) == [
        "periodOverride",
        "widget text",
        "widget Alarms",
        "widget demo-cpu",
        "widget demo-rate",
        "tags",
    ]

    check_run_check_run("cloudwatch_dashboard", name="stack", alarms=[RATE])
    assert [graph["title"] for graph in of_type(body_of(aws, "stack"), "metric")] == ["demo-rate"]

    assert check_run_check_run("cloudwatch_dashboard", name="stack", state="absent")["changes"]["deleted"] == ["stack"]
    with pytest.raises(ClientError, match="does not exist"):
        body_of(aws, "stack")


def test_shows_the_status_of_all_alarms_and_a_graph_of_each_that_has_a_metric():
    body = wanted([CPU, DOWN, RATE])
    assert [widget["type"] for widget in body["widgets"]] == ["text", "alarm", "metric", "metric"]
    assert of_type(body, "alarm")[0]["alarms"] == [ALARM_ARN + name for name in ("demo-down", "demo-cpu", "demo-rate")]
    assert of_type(body, "metric") == [
        {"title": name, "view": "timeSeries", "region": REGION, "annotations": {"alarms": [ALARM_ARN + name]}}
        for name in ("demo-cpu", "demo-rate")
    ]


def test_no_status_widget_is_empty_or_holds_more_than_aws_takes():
    composites = [DOWN | {"name": f"down-{number}"} for number in range(30)]
    body = wanted([CPU | {"name": f"cpu-{number}"} for number in range(171)] + composites)
    assert [len(status["alarms"]) for status in of_type(body, "alarm")] == [100, 100, 1]
    assert of_type(body, "alarm")[0]["alarms"][:30] == [ALARM_ARN + alarm["name"] for alarm in composites]
    assert of_type(wanted([]), "alarm") == []


def test_widgets_lie_on_the_grid_and_not_on_each_other():
    cells = set()
    for widget in wanted([CPU | {"name": f"cpu-{number}"} for number in range(101)])["widgets"]:
        columns = range(widget["x"], widget["x"] + widget["width"])
        covered = set(itertools.product(columns, range(widget["y"], widget["y"] + widget["height"])))
        assert columns.start >= 0 and columns.stop <= 24 and not covered & cells
        cells |= covered


def test_a_dashboard_of_somebody_else_is_an_error_unless_adopted(aws, run_module, check_run_check_run):
    aws("cloudwatch").put_dashboard(DashboardName="theirs", DashboardBody=FOREIGN)
    for state in ("present", "absent"):
        with pytest.raises(ModuleFailed, match="did not make"):
            run_module("cloudwatch_dashboard", name="theirs", alarms=[CPU], state=state)
    assert body_of(aws, "theirs") == json.loads(FOREIGN)

    check_run_check_run("cloudwatch_dashboard", name="theirs", alarms=[CPU], adopt=True)
    assert not run_module("cloudwatch_dashboard", name="theirs", alarms=[CPU])["changed"]

    aws("cloudwatch").put_dashboard(DashboardName="theirs", DashboardBody=FOREIGN)
    check_run_check_run("cloudwatch_dashboard", name="theirs", state="absent", adopt=True)


def test_a_stack_of_the_same_name_in_another_region_is_somebody_else(aws, run_module):
    elsewhere = cloudwatch_dashboard.wanted_body([CPU], "eu-west-1", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:")
    aws("cloudwatch").put_dashboard(DashboardName="twice", DashboardBody=json.dumps(elsewhere))
    with pytest.raises(ModuleFailed, match=f"did not make from alarms in {REGION}"):
        run_module("cloudwatch_dashboard", name="twice", state="absent")
    assert body_of(aws, "twice") == elsewhere


def test_neither_blanks_nor_the_order_of_keys_are_a_change(aws, run_module):
    run_module("cloudwatch_dashboard", name="blanks", alarms=[CPU])
    reformatted = json.dumps(body_of(aws, "blanks"), indent=4, sort_keys=True)
    aws("cloudwatch").put_dashboard(DashboardName="blanks", DashboardBody=reformatted)
    assert not run_module("cloudwatch_dashboard", name="blanks", alarms=[CPU])["changed"]


def test_what_was_changed_by_hand_is_set_right(aws, run_module, check_run_check_run):
    made = run_module("cloudwatch_dashboard", name="moved", alarms=[CPU, RATE])["dashboard"]["body"]
    by_hand = copy.deepcopy(made)
    by_hand["widgets"][2]["y"] = 50
    aws("cloudwatch").put_dashboard(DashboardName="moved", DashboardBody=json.dumps(by_hand))
    diff = check_run_check_run("cloudwatch_dashboard", name="moved", alarms=[CPU, RATE])["diff"]
    moved = [diff[when]["moved"] for when in ("before", "after")]
    assert [list(fields) for fields in moved] == [["widget demo-cpu"]] * 2
    assert [fields["widget demo-cpu"]["y"] for fields in moved] == [50, made["widgets"][2]["y"]]
    assert body_of(aws, "moved") == made


def test_the_diff_of_a_new_alarm_is_not_hidden_by_all_that_it_moves(run_module):
    run_module("cloudwatch_dashboard", name="diffed", alarms=[CPU, RATE])
    diff = run_module("cloudwatch_dashboard", name="diffed", alarms=[CPU | {"name": "new"}, CPU, RATE])["diff"]
    assert sorted(diff["after"]["diffed"]) == ["widget Alarms", "widget new"]
    assert diff["before"]["diffed"]["widget new"] is None


def test_a_widget_that_somebody_added_is_shown_as_it_goes(aws, run_module, check_run_check_run):
    made = run_module("cloudwatch_dashboard", name="added", alarms=[CPU])["dashboard"]["body"]
    twin = {**made["widgets"][2], "y": 50}
    aws("cloudwatch").put_dashboard(DashboardName="added", DashboardBody=json.dumps({**made, "widgets": [*made["widgets"], twin]}))
    diff = check_run_check_run("cloudwatch_dashboard", name="added", alarms=[CPU])["diff"]
    assert diff["after"] == {"added": {"widget demo-cpu (2)": None}}
    assert diff["before"]["added"]["widget demo-cpu (2)"]["properties"] == twin["properties"]


def test_says_all_that_is_wrong_before_anything_is_written(aws, run_module):
    alarms = [CPU, CPU, {"threshold": 1}, CPU | {"name": "x" * 256}, *(CPU | {"name": f"cpu-{number}"} for number in range(492))]
    with pytest.raises(ModuleFailed) as failed:
        run_module("cloudwatch_dashboard", name="my dashboard", alarms=alarms)
    for said in (
        "name: must be 1 to 255 letters (A-Z, a-z), digits, - and _, not 'my dashboard'",
        "alarms[1]: name: another alarm of the list has the same, 'demo-cpu'",
        "alarms[2]: name: must be a string of 1 to 255 characters, not None",
        "alarms[3]: name: must be at most 255 characters, not 256",
        "alarms: make 502 widgets (a text, 5 of status, 496 graphs), and AWS takes 500",
    ):
        assert said in str(failed.value)
    assert "my dashboard" not in [entry["DashboardName"] for entry in aws("cloudwatch").list_dashboards()["DashboardEntries"]]


def test_as_many_alarms_as_documented_fit():
    alarms = [CPU | {"name": f"cpu-{number}"} for number in range(494)]
    assert cloudwatch_dashboard.problems_of({"name": "full", "state": "present", "alarms": alarms, "tags": None}) == []
    assert len(wanted(alarms)["widgets"]) == 500


def test_tags_are_left_out_with_a_boto3_that_knows_none(run_module, monkeypatch):
    monkeypatch.setattr(cloudwatch_dashboard, "can_tag", lambda client: False)
    made = run_module("cloudwatch_dashboard", name="untagged", alarms=[CPU], tags={"a": "b"})
    assert made["changed"] and "boto3 1.43.2" in str(made["warnings"])
    assert not run_module("cloudwatch_dashboard", name="untagged", alarms=[CPU], tags={"a": "b"})["changed"]


@pytest.fixture
def stubbed(monkeypatch):
    """A module and a client whose answers the test gives, for what the emulator lacks. It checks each request, and their order."""
    monkeypatch.setattr(cloudwatch_dashboard, "get_aws_account_info", lambda module: ("123456789012", "aws"))
    client = boto3.client("cloudwatch", region_name=REGION, aws_access_key_id="stub-access-key", aws_secret_access_key="stub-secret-key")
    params = {"name": "demo", "state": "present", "alarms": [CPU], "adopt": False, "tags": None, "purge_tags": True}
    warnings = []
    module = SimpleNamespace(params=params, check_mode=False, warn=warnings.append, warnings=warnings)
    with Stubber(client) as stubber:
        yield module, RetryingBotoClientWrapper(client, AWSRetry.jittered_backoff()), stubber
        stubber.assert_no_pending_responses()


def test_a_new_dashboard_is_tagged_as_it_is_made(stubbed):
    module, client, stubber = stubbed
    module.params["tags"] = {"threetier:stack": "demo"}
    stubber.add_client_error("get_dashboard", "ResourceNotFound")
    request = {"DashboardName": "demo", "DashboardBody": json.dumps(wanted([CPU])), "Tags": [{"Key": "threetier:stack", "Value": "demo"}]}
    stubber.add_response("put_dashboard", {}, request)
    assert cloudwatch_dashboard.ensure_present(module, client)["diff"]["after"]["demo"]["tags"] == {"threetier:stack": "demo"}


def test_only_the_tags_that_differ_are_written_to_an_existing_dashboard(stubbed):
    module, client, stubber = stubbed
    module.params["tags"] = {"kept": "1", "new": "2"}
    stubber.add_response("get_dashboard", {"DashboardArn": ARN, "DashboardBody": json.dumps(wanted([CPU]))}, {"DashboardName": "demo"})
    tags = [{"Key": "kept", "Value": "1"}, {"Key": "old", "Value": "3"}]
    stubber.add_response("list_tags_for_resource", {"Tags": tags}, {"ResourceARN": ARN})
    stubber.add_response("tag_resource", {}, {"ResourceARN": ARN, "Tags": [{"Key": "new", "Value": "2"}]})
    stubber.add_response("untag_resource", {}, {"ResourceARN": ARN, "TagKeys": ["old"]})
    assert cloudwatch_dashboard.ensure_present(module, client)["changed"]


def test_what_aws_says_about_the_body_is_a_warning(stubbed):
    module, client, stubber = stubbed
    stubber.add_client_error("get_dashboard", "ResourceNotFound")
    messages = [{"DataPath": "/widgets/2/properties", "Message": "Should have required property 'metrics'"}]
    stubber.add_response("put_dashboard", {"DashboardValidationMessages": messages})
    cloudwatch_dashboard.ensure_present(module, client)
    assert module.warnings == ["AWS about the dashboard demo: /widgets/2/properties Should have required property 'metrics'"]
