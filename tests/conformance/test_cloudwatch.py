"""CloudWatch: alarms, their evaluation, actions and history, and dashboards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring"
Aws = Callable[..., Any]

ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:"
ALARM = {
    "MetricName": "Load",
    "Namespace": "Test",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
ALWAYS = {"Threshold": -1e9, "DatapointsToAlarm": 1}  # whatever the data are, they breach
NO_METRIC = {"MetricName": None, "Namespace": None, "Statistic": None, "Period": None}
BOTH_TYPES = ["MetricAlarm", "CompositeAlarm"]
PATIENCE = 6  # seconds; a new alarm is evaluated after one
CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


def put(aws: Aws, name: str, **fields: Any) -> None:
    """Create a metric alarm; a field that is None is left out."""
    alarm = {**ALARM, "AlarmName": name, **fields}
    aws("cloudwatch").put_metric_alarm(**{key: value for key, value in alarm.items() if value is not None})


def put_composite(aws: Aws, name: str, rule: str, **fields: Any) -> None:
    aws("cloudwatch").put_composite_alarm(AlarmName=name, AlarmRule=rule, **fields)


def set_state(aws: Aws, name: str, state: str) -> None:
    aws("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def described(aws: Aws, name: str) -> dict[str, Any]:
    answer = aws("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=BOTH_TYPES)
    (alarm,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return dict(alarm)


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def wait_for_states(aws: Aws, states: Mapping[str, str]) -> None:
    """Wait until alarms have these states, by their names, at most 100."""

    def found() -> dict[str, str]:
        answer = aws("cloudwatch").describe_alarms(AlarmNames=list(states), AlarmTypes=BOTH_TYPES, MaxRecords=100)
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"] + answer["CompositeAlarms"]}

    deadline = time.monotonic() + PATIENCE
    while (now := found()) != states and time.monotonic() < deadline:
        time.sleep(0.05)
    assert now == states


def this_minute() -> datetime:
    """A time in the minute that has begun, which lasts as long as an evaluation takes."""
    if (left := 60 - time.time() % 60) < PATIENCE:
        time.sleep(left)
    return datetime.now(UTC)


def datum(metric: str, value: float, at: datetime, age: int = 0) -> dict[str, Any]:
    """An entry of PutMetricData, so many minutes old."""
    return {"MetricName": metric, "Value": value, "Timestamp": at - timedelta(minutes=age)}


def send(aws: Aws, *data: Mapping[str, Any]) -> None:
    aws("cloudwatch").put_metric_data(Namespace="Test", MetricData=list(data))


def query(query_id: str, metric: str = "Load") -> dict[str, Any]:
    """A query of a metric's sum, which is not the alarm's own value."""
    stat = {"Metric": {"Namespace": "Test", "MetricName": metric}, "Period": 60, "Stat": "Sum"}
    return {"Id": query_id, "MetricStat": stat, "ReturnData": False}


def history(aws: Aws, name: str, kind: str = "Action", **params: Any) -> list[dict[str, Any]]:
    answer = aws("cloudwatch").describe_alarm_history(AlarmName=name, HistoryItemType=kind, AlarmTypes=BOTH_TYPES, **params)
    return list(answer["AlarmHistoryItems"])


# --- Metric alarms ---


@conforms(f"{API}/API_MetricAlarm.html")
def test_a_metric_alarm_keeps_all_its_fields(aws: Aws) -> None:
    stat = {"Metric": {"Namespace": "Test", "MetricName": "Load", "Dimensions": []}, "Period": 60, "Stat": "Average"}
    band = [{"Id": "m1", "MetricStat": stat}, {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]
    dimensions = [{"Name": "B", "Value": "2"}, {"Name": "A", "Value": "1"}]
    of_a_band = {"ThresholdMetricId": "band", "ComparisonOperator": "GreaterThanUpperThreshold", "Threshold": None}
    for number, fields in enumerate(
        (
            {"Dimensions": dimensions, "Unit": "Percent", "DatapointsToAlarm": 1},
            {
                "Statistic": None,
                "ExtendedStatistic": "tm99",
                "TreatMissingData": "ignore",
                "AlarmDescription": "why",
                "ActionsEnabled": False,
            },
            {"EvaluationWindow": {"WallClockWindow": {"Timezone": "Europe/Berlin"}}},
            {"WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 5, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": True}},
            {"ActionConfiguration": {"AlarmTagsPropagation": {"Enabled": True, "IncludedTagKeys": ["team"]}}},
            {**NO_METRIC, **of_a_band, "Metrics": band},
        )
    ):
        put(aws, f"fields-{number}", **fields)
        alarm = described(aws, f"fields-{number}")
        wanted = {key: value for key, value in {**ALARM, **fields}.items() if value is not None}
        if "Metrics" in wanted:
            wanted |= {"Metrics": [{**each, "ReturnData": True} for each in band], "Dimensions": []}
        assert {key: alarm.get(key) for key in wanted} == wanted
        assert alarm["AlarmArn"] == f"{ARN}fields-{number}"


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_an_alarm_starts_without_data(aws: Aws) -> None:
    put(aws, "starts")
    alarm = described(aws, "starts")
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    criteria = {"PromQLCriteria": {"Query": "up == 0", "PendingPeriod": 60}}
    aws("cloudwatch").put_metric_alarm(AlarmName="promql", EvaluationCriteria=criteria, EvaluationInterval=30)
    alarm = described(aws, "promql")
    assert (alarm["EvaluationCriteria"], alarm["EvaluationInterval"], alarm["StateValue"]) == (criteria, 30, "OK")


@conforms("https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html")
def test_alarms_of_a_scaling_policy_start_without_data(aws: Aws) -> None:
    key = {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "id", "KeyType": "HASH"}
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    aws("dynamodb").create_table(TableName="orders", AttributeDefinitions=[key[0]], KeySchema=[key[1]], ProvisionedThroughput=throughput)
    target = {"ServiceNamespace": "dynamodb", "ResourceId": "table/orders", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    scaling = aws("application-autoscaling")
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}, "TargetValue": 50.0}
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": metric}
    made = scaling.put_scaling_policy(**target, PolicyName="reads", **policy)["Alarms"]

    def alarms() -> dict[str, str]:
        found = aws("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-table/orders-")["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

    assert made and alarms() == {alarm["AlarmName"]: "INSUFFICIENT_DATA" for alarm in made}
    scaling.deregister_scalable_target(**target)
    assert alarms() == {}, "they go with the policy"


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_an_update_leaves_state_and_tags(aws: Aws) -> None:
    put(aws, "update", AlarmDescription="why", Tags=[{"Key": "team", "Value": "shop"}])
    set_state(aws, "update", "ALARM")
    put(aws, "update", Threshold=20.0, Tags=[{"Key": "team", "Value": "other"}])
    alarm = described(aws, "update")
    assert (alarm["StateValue"], alarm["Threshold"], alarm.get("AlarmDescription")) == ("ALARM", 20.0, None)
    tags = aws("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "shop"}]


def refused_alarm(aws: Aws, words: str, code: str = "ValidationError", **fields: Any) -> None:
    """AWS refuses such an alarm in these words, and there is none afterwards."""
    assert words in refused(code, lambda: put(aws, "refused", **fields))
    assert aws("cloudwatch").describe_alarms(AlarmNames=["refused"])["MetricAlarms"] == []


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_fields_that_exclude_each_other(aws: Aws) -> None:
    refused_alarm(aws, "Exactly one of Threshold and ThresholdMetricId", Threshold=None)
    refused_alarm(aws, "Exactly one of Statistic and ExtendedStatistic", ExtendedStatistic="p99")
    refused_alarm(aws, "Exactly one of MetricName, Metrics and EvaluationCriteria", Metrics=[query("m1")])
    refused_alarm(aws, "can only be used with ThresholdMetricId", ComparisonOperator="GreaterThanUpperThreshold")
    put(aws, "one-of-each")


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_statistics_and_options_by_name(aws: Aws) -> None:
    supported = "Supported options for parameter TreatMissingData are breaching, notBreaching, ignore and missing"
    refused_alarm(aws, supported, TreatMissingData="bad")
    unknown = "The value q99 for parameter ExtendedStatistic is not supported"
    refused_alarm(aws, unknown, "InvalidParameterValue", Statistic=None, ExtendedStatistic="q99")
    refused_alarm(aws, "length less than or equal to 30", Dimensions=[{"Name": f"d{n}", "Value": "x"} for n in range(31)])
    put(aws, "known", TreatMissingData="missing", Statistic=None, ExtendedStatistic="p99")


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_evaluation_range(aws: Aws) -> None:
    refused_alarm(aws, "Period must be 10, 20, 30 or a multiple of 60", Period=45)
    refused_alarm(aws, "DatapointsToAlarm must be less than or equal to EvaluationPeriods", DatapointsToAlarm=2)
    refused_alarm(aws, "across more than a day", EvaluationPeriods=1441)
    refused_alarm(aws, "across more than a week", Period=86400, EvaluationPeriods=8)
    put(aws, "a-day", EvaluationPeriods=1440, DatapointsToAlarm=1440)
    put(aws, "a-week", Period=86400, EvaluationPeriods=7)


@conforms(f"{API}/API_MetricDataQuery.html")
def test_one_query_is_the_value(aws: Aws) -> None:
    value = {"Id": "e1", "Expression": "2 * m1"}
    both = [{"Id": query_id, "MetricStat": query(query_id)["MetricStat"]} for query_id in ("a", "b")]
    refused_alarm(aws, "Exactly one element of the metrics list should return data", **NO_METRIC, Metrics=both)
    refused_alarm(aws, "Error in expression 'e1'", **NO_METRIC, Metrics=[query("m1"), {**value, "Expression": "m1 +"}])
    refused_alarm(aws, "undefined variable m7", **NO_METRIC, Metrics=[query("m1"), {**value, "Expression": "2 * m7"}])
    put(aws, "expression", **NO_METRIC, Metrics=[query("m1"), value])


@conforms(f"{API}/API_PutMetricAlarm.html")
def test_actions_are_arns_of_the_region(aws: Aws) -> None:
    refused_alarm(aws, "Invalid arn syntax: me@example.com", AlarmActions=["me@example.com"])
    refused_alarm(aws, "Invalid region us-east-1 specified", AlarmActions=["arn:aws:sns:us-east-1:123456789012:x"])
    stop = "arn:aws:automate:eu-central-1:ec2:stop"
    put(aws, "acts", AlarmActions=["arn:aws:sns:eu-central-1:123456789012:x", stop])
    composite = {"AlarmName": "acts-too", "AlarmRule": "ALARM(acts)"}
    message = refused("ValidationError", aws("cloudwatch").put_composite_alarm, **composite, AlarmActions=[stop])
    assert "Unsupported action for a composite alarm" in message


# --- Composite alarms ---


@conforms(f"{API}/API_PutCompositeAlarm.html")
def test_a_composite_alarm_looks_at_alarms_that_exist(aws: Aws) -> None:
    put(aws, "there")
    create = aws("cloudwatch").put_composite_alarm
    for rule, words in (
        ("ALARM(there) OR OK(gone)", "Could not save the composite alarm as alarms [gone] in the alarm rule do not exist"),
        ("ALARM(self)", "do not exist"),
        ("()", "Error in AlarmRule [Unsupported token ')' at char 1]"),
        ("ALARM(there) ALARM(there)", "Unsupported token 'ALARM' at char 13"),
        ('ALARM("there)', "Unsupported token '\"' at char 6"),
        ("there", "Unsupported token 'there' at char 0"),
    ):
        assert words in refused("ValidationError", create, AlarmName="self", AlarmRule=rule)
    periods = {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
    for suppression in ({"ActionsSuppressor": "gone", **periods}, {"ActionsSuppressor": "there"}, periods):
        refused("ValidationError", create, AlarmName="self", AlarmRule="ALARM(there)", **suppression)
    create(AlarmName="self", AlarmRule="ALARM(there)", ActionsSuppressor="there", **periods)


@conforms(f"{GUIDE}/alarm-combining.html")
def test_a_composite_alarm_follows_its_rule(aws: Aws) -> None:
    for name, state in (("high", "ALARM"), ("low (ish)", "OK")):
        put(aws, name)
        set_state(aws, name, state)
    states = {
        "ALARM(high)": "ALARM",
        "NOT ALARM(high)": "OK",
        "OK(high) AND ALARM(high) OR TRUE": "ALARM",
        'OK("low (ish)") AND NOT (OK(high) OR INSUFFICIENT_DATA(high))': "ALARM",
        f"OK({ARN}high)": "OK",
        'AT_LEAST(2, ALARM, (high, "low (ish)"))': "OK",
        'AT_LEAST(50%, NOT OK, (high, "low (ish)"))': "ALARM",
    }
    names = {rule: f"rule-{number}" for number, rule in enumerate(states)}
    for rule, name in names.items():
        put_composite(aws, name, rule)
        assert described(aws, name)["StateValue"] == "INSUFFICIENT_DATA"
    wait_for_states(aws, {names[rule]: state for rule, state in states.items()})
    for rule, name in names.items():
        assert described(aws, name)["StateReason"] == f"{ARN}{name} was created and its alarm rule evaluates to {states[rule]}"


@conforms(f"{GUIDE}/alarm-combining.html")
def test_a_composite_alarm_changes_with_its_children(aws: Aws) -> None:
    put(aws, "child")
    put_composite(aws, "parent", "ALARM(child)")
    put_composite(aws, "grandparent", "NOT ALARM(parent)")
    set_state(aws, "child", "OK")
    wait_for_states(aws, {"parent": "OK", "grandparent": "ALARM"})
    set_state(aws, "child", "ALARM")
    wait_for_states(aws, {"parent": "ALARM", "grandparent": "OK"})
    alarm = described(aws, "parent")
    assert alarm["StateReason"].startswith(f"{ARN}child transitioned to ALARM at ")
    assert json.loads(alarm["StateReasonData"])["triggeringAlarms"][0]["arn"] == f"{ARN}child"


@conforms(f"{API}/API_DeleteAlarms.html")
def test_an_alarm_that_another_looks_at_stays(aws: Aws) -> None:
    delete = aws("cloudwatch").delete_alarms
    put(aws, "seen")
    put(aws, "unseen")
    for name in ("seer", "second-seer"):
        put_composite(aws, name, "ALARM(seen)")
    message = refused("ValidationError", delete, AlarmNames=["unseen", "seen", "nobody"])
    assert message == "Cannot delete seen as there are composite alarm(s) depending on it."
    assert described(aws, "unseen"), "all or nothing"
    refused("ValidationError", delete, AlarmNames=["seer", "second-seer"])
    assert "length less than or equal to 100" in refused("ValidationError", delete, AlarmNames=["unseen"] * 101)
    delete(AlarmNames=["seer", "nobody"])
    delete(AlarmNames=["second-seer"])
    delete(AlarmNames=["seen", "unseen"])
    answer = aws("cloudwatch").describe_alarms(AlarmNames=["seen", "unseen", "seer", "second-seer"], AlarmTypes=BOTH_TYPES)
    assert (answer["MetricAlarms"], answer["CompositeAlarms"]) == ([], [])


@conforms(f"{API}/API_DeleteAlarms.html")
def test_alarms_in_a_circle_stay_until_it_is_broken(aws: Aws) -> None:
    put_composite(aws, "a", "TRUE")
    put_composite(aws, "b", "ALARM(a)")
    put_composite(aws, "a", "NOT ALARM(b)")
    for name in ("a", "b"):
        assert f"Cannot delete {name} as" in refused("ValidationError", aws("cloudwatch").delete_alarms, AlarmNames=[name])
    put_composite(aws, "a", "false")
    for name in ("b", "a"):
        aws("cloudwatch").delete_alarms(AlarmNames=[name])


# --- Reading ---


@conforms(f"{API}/API_DescribeAlarms.html")
def test_alarms_are_read_in_pages(aws: Aws) -> None:
    for number in range(51):
        put(aws, f"page-{number:02}")
    cloudwatch = aws("cloudwatch")
    assert len(cloudwatch.describe_alarms(AlarmNamePrefix="page-")["MetricAlarms"]) == 50
    assert "less than or equal to 100" in refused("ValidationError", cloudwatch.describe_alarms, MaxRecords=101)
    refused("InvalidNextToken", cloudwatch.describe_alarms, NextToken="mine")
    put_composite(aws, "page-all", "ALARM(page-07)")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="page-", AlarmTypes=BOTH_TYPES, PaginationConfig={"PageSize": 20}
    )
    assert [(len(page["CompositeAlarms"]), len(page["MetricAlarms"])) for page in pages] == [(1, 19), (0, 20), (0, 12)]


@conforms(f"{API}/API_DescribeAlarms.html")
def test_metric_alarms_are_read_unless_others_are_asked_for(aws: Aws) -> None:
    describe = aws("cloudwatch").describe_alarms
    put(aws, "metric")
    put_composite(aws, "composite", "ALARM(metric)")
    names = ["metric", "composite"]
    assert [alarm["AlarmName"] for alarm in describe(AlarmNames=names)["MetricAlarms"]] == ["metric"]
    assert describe(AlarmNames=names)["CompositeAlarms"] == []
    assert describe(AlarmNames=names, AlarmTypes=["CompositeAlarm"])["MetricAlarms"] == []
    (child,) = describe(ChildrenOfAlarmName="composite")["MetricAlarms"]
    assert set(child) == {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
    (parent,) = describe(ParentsOfAlarmName="metric")["CompositeAlarms"]
    assert parent == {"AlarmName": "composite", "AlarmArn": f"{ARN}composite"}
    refused("ValidationError", describe, ChildrenOfAlarmName="composite", AlarmNamePrefix="m")


@conforms(f"{API}/API_DescribeAlarms.html")
def test_all_filters_count(aws: Aws) -> None:
    put(aws, "filter-a-1", OKActions=["arn:aws:sns:eu-central-1:123456789012:calls"])
    for name in ("filter-a-2", "filter-b-1"):
        put(aws, name)
    for name in ("filter-a-1", "filter-b-1"):
        set_state(aws, name, "ALARM")

    def found(**filters: str) -> list[str]:
        answer = aws("cloudwatch").describe_alarms(AlarmNamePrefix="filter-a-", **filters)
        return [alarm["AlarmName"] for alarm in answer["MetricAlarms"]]

    assert found() == ["filter-a-1", "filter-a-2"]
    assert found(StateValue="ALARM") == found(ActionPrefix="arn:aws:sns:") == ["filter-a-1"]
    refused("ValidationError", aws("cloudwatch").describe_alarms, AlarmNames=["filter-a-1"], AlarmNamePrefix="f")


@conforms(f"{API}/API_DescribeAlarmsForMetric.html")
def test_alarms_of_a_metric(aws: Aws) -> None:
    dimensions = [{"Name": "A", "Value": "1"}]
    put(aws, "of-a-metric", MetricName="Own")
    put(aws, "of-its-hours", MetricName="Own", Period=3600)
    put(aws, "of-a-dimension", MetricName="Own", Dimensions=dimensions)

    def found(**metric: Any) -> list[str]:
        answer = aws("cloudwatch").describe_alarms_for_metric(Namespace="Test", MetricName="Own", **metric)
        return [alarm["AlarmName"] for alarm in answer["MetricAlarms"]]

    assert found() == ["of-a-metric", "of-its-hours"]
    assert found(Period=60) == ["of-a-metric"]
    assert found(Dimensions=dimensions) == ["of-a-dimension"]
    assert found(Dimensions=[{"Name": "A", "Value": "2"}]) == []


@conforms(f"{API}/API_DescribeAlarmHistory.html")
def test_alarms_have_a_history(aws: Aws) -> None:
    put(aws, "past")
    set_state(aws, "past", "ALARM")
    put(aws, "past", Threshold=20.0)
    aws("cloudwatch").delete_alarms(AlarmNames=["past"])

    def found(**params: Any) -> list[str]:
        pages = aws("cloudwatch").get_paginator("describe_alarm_history").paginate(AlarmName="past", **params)
        return [item["HistorySummary"] for page in pages for item in page["AlarmHistoryItems"]]

    created, changed, updated, deleted = found(ScanBy="TimestampAscending")
    assert (created, deleted) == ('Alarm "past" created', 'Alarm "past" deleted')
    assert (changed, updated) == ("Alarm updated from INSUFFICIENT_DATA to ALARM", 'Alarm "past" updated')
    assert found() == found(PaginationConfig={"PageSize": 3}) == [deleted, updated, changed, created], "the newest first"
    assert found(HistoryItemType="StateUpdate") == [changed]
    assert found(AlarmTypes=["CompositeAlarm"]) == []
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert len(found(EndDate=later)) == 4 and found(StartDate=later) == []


@conforms(f"{API}/API_TagResource.html")
def test_alarms_and_dashboards_have_tags(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    put(aws, "tagged", Tags=[{"Key": "team", "Value": "shop"}, {"Key": "stage", "Value": "test"}])
    cloudwatch.put_dashboard(DashboardName="tagged", DashboardBody='{"widgets": []}', Tags=[{"Key": "team", "Value": "shop"}])

    def tags(arn: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]}

    alarm, dashboard = f"{ARN}tagged", "arn:aws:cloudwatch::123456789012:dashboard/tagged"
    cloudwatch.tag_resource(ResourceARN=alarm, Tags=[{"Key": "owner", "Value": "me"}])
    cloudwatch.untag_resource(ResourceARN=alarm, TagKeys=["stage"])
    assert (tags(alarm), tags(dashboard)) == ({"team": "shop", "owner": "me"}, {"team": "shop"})
    cloudwatch.delete_alarms(AlarmNames=["tagged"])
    refused("ResourceNotFoundException", cloudwatch.list_tags_for_resource, ResourceARN=alarm)
    put(aws, "tagged")
    assert tags(alarm) == {}, "tags go with their alarm"
    put_composite(aws, "tagged-too", "TRUE", Tags=[{"Key": "team", "Value": "shop"}])
    assert tags(f"{ARN}tagged-too") == {"team": "shop"}


# --- Evaluation ---


@conforms(f"{API}/API_SetAlarmState.html")
def test_a_state_can_be_set(aws: Aws) -> None:
    put(aws, "set")
    change = aws("cloudwatch").set_alarm_state
    refused("ResourceNotFound", change, AlarmName="nobody", StateValue="OK", StateReason="test")
    refused("InvalidFormat", change, AlarmName="set", StateValue="OK", StateReason="test", StateReasonData="{")
    change(AlarmName="set", StateValue="OK", StateReason="one", StateReasonData='{"by": "hand"}')
    change(AlarmName="set", StateValue="OK", StateReason="two")
    alarm = described(aws, "set")
    assert (alarm["StateValue"], alarm["StateReason"]) == ("OK", "two")
    assert alarm["StateTransitionedTimestamp"] < alarm["StateUpdatedTimestamp"], "the second was no transition"
    (item,) = history(aws, "set", "StateUpdate")
    assert json.loads(item["HistoryData"])["newState"] == {"stateValue": "OK", "stateReason": "one", "stateReasonData": {"by": "hand"}}


@conforms(f"{GUIDE}/alarm-evaluation.html")
def test_alarms_see_metric_data(aws: Aws) -> None:
    put(aws, "m-of-n", MetricName="MofN", EvaluationPeriods=3, DatapointsToAlarm=2)
    now = this_minute()
    send(aws, *(datum("MofN", value, now, age) for value, age in ((50, 2), (1, 1), (50, 0))))
    wait_for_states(aws, {"m-of-n": "ALARM"})
    alarm = described(aws, "m-of-n")
    assert alarm["StateReason"].startswith("Threshold Crossed: 2 out of the last 3 datapoints [50.0 (")
    assert alarm["StateReason"].endswith("were greater than the threshold (10.0) (minimum 2 datapoints for OK -> ALARM transition).")
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [50, 1, 50]
    send(aws, datum("MofN", -200, now))
    wait_for_states(aws, {"m-of-n": "OK"})


@conforms(f"{GUIDE}/alarms-and-missing-data.html")
def test_the_first_evaluation_treats_missing_data(aws: Aws) -> None:
    for treatment in ("missing", "ignore", "notBreaching", "breaching"):
        put(aws, f"first-{treatment}", MetricName="Nothing", TreatMissingData=treatment, EvaluationPeriods=2)
    put(aws, "first-dynamodb", Namespace="AWS/DynamoDB", TreatMissingData="breaching")
    put(aws, "last-breaching", MetricName="Nothing", TreatMissingData="breaching")
    unknown = dict.fromkeys(("first-missing", "first-ignore", "first-dynamodb"), "INSUFFICIENT_DATA")
    # The last alarm is evaluated after all others.
    wait_for_states(aws, {**unknown, "first-notBreaching": "OK", "first-breaching": "ALARM", "last-breaching": "ALARM"})
    words = "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]."
    assert described(aws, "first-breaching")["StateReason"] == words


@pytest.mark.parametrize("state", ["OK", "ALARM"])
@conforms(f"{GUIDE}/alarms-and-missing-data.html")
def test_missing_data_are_treated_as_in_the_tables(aws: Aws, state: str) -> None:
    # The rows of both tables: how many data points of three must breach; the data points, newest last: X breaches, 0 does not, - is
    # missing; then the state for missing, ignore, breaching, notBreaching. R is the state that the alarm had.
    rows = (
        (3, "0-X-X", "OK OK OK OK"),
        (3, "0----", "OK OK OK OK"),
        (3, "-----", "INSUFFICIENT_DATA R ALARM OK"),
        (3, "0XX-X", "ALARM ALARM ALARM ALARM"),
        (3, "--X--", "ALARM R ALARM OK"),
        (2, "0-X-X", "ALARM ALARM ALARM ALARM"),
        (2, "00X0X", "ALARM ALARM ALARM ALARM"),
        (2, "0-X--", "OK OK ALARM OK"),
        (2, "----0", "OK OK ALARM OK"),
        (2, "---X-", "ALARM R ALARM OK"),
    )
    now = this_minute()
    data, states = [], {}
    for needed, points, expected in rows:
        metric = f"{needed}{points}{state}"
        for treatment, wanted in zip(("missing", "ignore", "breaching", "notBreaching"), expected.split()):
            name = f"{metric}-{treatment}"
            put(aws, name, MetricName=metric, EvaluationPeriods=3, DatapointsToAlarm=needed, TreatMissingData=treatment)
            set_state(aws, name, state)
            states[name] = state if wanted == "R" else wanted
        newest = 1 if points.endswith("-") else 0  # a period that has only begun is not missing yet
        data += [datum(metric, 99 if point == "X" else 0, now, newest + 4 - n) for n, point in enumerate(points) if point != "-"]
        data.append(datum(metric, 0, now, 60))  # too old to count, it only has the alarm evaluated
    send(aws, *data)
    wait_for_states(aws, states)


def values_of(aws: Aws, name: str) -> dict[int, float]:
    """The values that an alarm has been evaluated with, by their age in minutes."""
    data = json.loads(described(aws, name)["StateReasonData"])
    newest = datetime.fromisoformat(data["queryDate"]).replace(second=0, microsecond=0)
    points = [(datetime.fromisoformat(point["timestamp"]), point["value"]) for point in data["evaluatedDatapoints"] if "value" in point]
    return {int((newest - at).total_seconds()) // 60: value for at, value in points}


@conforms(f"{GUIDE}/Statistics-definitions.html")
def test_statistics_are_of_single_values(aws: Aws) -> None:
    extended = {
        "p90": 9, "p0": 1, "tm90": 5, "IQM": 5.5, "tc90": 9, "ts90": 45, "wm80": 5.2, "PR(2:4)": 20, "TM(20%:80%)": 5.5, "TS(:3)": 6,
    }  # fmt: skip
    basic = {"SampleCount": 10, "Average": 5.5, "Sum": 55, "Minimum": 1, "Maximum": 10}
    for name in basic:
        put(aws, f"one-{name}", MetricName="Singles", Statistic=name, **ALWAYS)
    for name in extended:
        put(aws, f"one-{name}", MetricName="Singles", Statistic=None, ExtendedStatistic=name, **ALWAYS)
    put(aws, "set-p90", MetricName="Set", Statistic=None, ExtendedStatistic="p90", **ALWAYS)
    put(aws, "set-Sum", MetricName="Set", Statistic="Sum", **ALWAYS)
    now = this_minute()
    several = {"SampleCount": 2.0, "Sum": 5.0, "Minimum": 1.0, "Maximum": 4.0}
    singles = {"MetricName": "Singles", "Values": [float(value) for value in range(1, 11)], "Counts": [1.0] * 10, "Timestamp": now}
    send(aws, singles, {"MetricName": "Set", "StatisticValues": several, "Timestamp": now})
    wait_for_states(aws, {f"one-{name}": "ALARM" for name in basic | extended} | {"set-Sum": "ALARM", "set-p90": "INSUFFICIENT_DATA"})
    assert {name: values_of(aws, f"one-{name}")[0] for name in basic | extended} == pytest.approx(basic | extended)


@conforms(f"{GUIDE}/using-metric-math.html")
def test_expressions_are_computed_period_by_period(aws: Aws) -> None:
    # By the age of the period, in minutes.
    metrics = {"m1": {3: 2, 2: 1, 1: 0}, "m2": {3: 1, 2: 3, 1: 5}, "m3": {0: 8}}
    results = {
        "100 * (m2 / m1)": {3: 50, 2: 300},
        "m1 - m2 > 0": {3: 1, 2: 0, 1: 0},
        "m1 ^ 2 + 1": {3: 5, 2: 2, 1: 1},
        "IF(m1 > 1, m1, 7)": {3: 2, 2: 7, 1: 7},
        "IF(m1 == 2 OR m2 == 5 && m1 < 1, 1, 0)": {3: 1, 2: 0, 1: 1},
        "SUM(METRICS())": {3: 3, 2: 4, 1: 5, 0: 8},
        "AVG([m1, m3])": {3: 2, 2: 1, 1: 0, 0: 8},
        "MAX(METRICS('m')) / MAX(m2)": {3: 0.4, 2: 0.6, 1: 1, 0: 1.6},
        "FILL(m3, 0) + FILL(m2, REPEAT)": {3: 1, 2: 3, 1: 5, 0: 13},
        "RATE(m2)": {2: 2 / 60, 1: 2 / 60},
        "RUNNING_SUM(m2)": {3: 1, 2: 4, 1: 9},
        "-e1": {3: -4, 2: -2, 1: 0},
    }
    names = {expression: f"math-{number}" for number, expression in enumerate(results)}
    for expression, name in names.items():
        others = [*(query(metric, f"math-{metric}") for metric in metrics), {"Id": "e1", "Expression": "m1 * 2", "ReturnData": False}]
        queries = [{"Id": "asked", "Expression": expression}, *others]
        put(aws, name, **NO_METRIC, Metrics=queries, **ALWAYS | {"EvaluationPeriods": 4})
    now = this_minute()
    send(aws, *(datum(f"math-{metric}", value, now, age) for metric, values in metrics.items() for age, value in values.items()))
    wait_for_states(aws, dict.fromkeys(names.values(), "ALARM"))
    for expression, name in names.items():
        assert values_of(aws, name) == pytest.approx(results[expression]), expression


@conforms(f"{GUIDE}/Create-alarm-on-metric-math-expression.html")
def test_an_alarm_on_an_expression_follows_it(aws: Aws) -> None:
    rate = {"Id": "rate", "Expression": "100 * errors / FILL(requests, 0)"}
    queries = [rate, query("errors", "errors"), query("requests", "requests")]
    put(aws, "rate", **NO_METRIC, Metrics=queries, EvaluationPeriods=2)
    now = this_minute()
    send(aws, *(datum("requests", 10, now, age) for age in (1, 0)), datum("errors", 3, now, 1), datum("errors", 2, now))
    wait_for_states(aws, {"rate": "ALARM"})


# --- Actions ---


def topic(aws: Aws, name: str, **attributes: str) -> str:
    """Make a topic whose messages come to the queue of the same name; returns its ARN."""
    arn = aws("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
    aws("sqs").create_queue(QueueName=name)
    aws("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=arn.replace(":sns:", ":sqs:"))
    return str(arn)


def received(aws: Aws, name: str) -> list[dict[str, Any]]:
    """Take what has come to a queue: notifications of SNS."""
    url = aws("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def come(aws: Aws, name: str) -> list[dict[str, Any]]:
    """Wait until something has come to a queue, and take it."""
    notifications: list[dict[str, Any]] = []
    wait_for(lambda: notifications.extend(received(aws, name)) or notifications)
    return notifications


def result_of_action(aws: Aws, name: str) -> str:
    """What the history of an alarm says of its only action, once that is over."""
    wait_for(lambda: history(aws, name))
    (item,) = history(aws, name)
    return str(item["HistorySummary"])


@conforms(f"{GUIDE}/Notify_Users_Alarm_Changes.html")
def test_subscribers_of_the_topic_are_told(aws: Aws) -> None:
    arn = topic(aws, "told")
    put(aws, "told", AlarmActions=[arn], Dimensions=[{"Name": "A", "Value": "1"}])
    set_state(aws, "told", "ALARM")
    (notification,) = come(aws, "told")
    assert notification["Subject"] == 'ALARM: "told" in Europe (Frankfurt)'
    message = json.loads(notification["Message"])
    assert (message["NewStateValue"], message["OldStateValue"], message["NewStateReason"]) == ("ALARM", "INSUFFICIENT_DATA", "test")
    assert message["Trigger"]["Dimensions"] == [{"value": "1", "name": "A"}]
    assert (message["Trigger"]["Statistic"], message["Trigger"]["Threshold"]) == ("AVERAGE", 10.0)
    assert result_of_action(aws, "told") == f"Successfully executed action {arn}"


def reaches(aws: Aws, name: str, topic_arn: str) -> None:
    """An alarm with this action reaches the topic's subscriber."""
    put(aws, name, AlarmActions=[topic_arn])
    set_state(aws, name, "ALARM")
    assert len(come(aws, name)) == 1
    assert result_of_action(aws, name) == f"Successfully executed action {topic_arn}"


def does_not_reach(aws: Aws, name: str, topic_arn: str, why: str) -> None:
    """An alarm with this action does not reach the topic's subscriber, and its history says why."""
    put(aws, name, AlarmActions=[topic_arn])
    set_state(aws, name, "ALARM")
    assert why in result_of_action(aws, name)
    assert received(aws, name) == []


@conforms("https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html")
def test_the_policy_of_the_topic_admits_cloudwatch(aws: Aws) -> None:
    def topic_with(name: str, **statement: Any) -> str:
        arn = topic(aws, name)
        policy = {"Statement": [{"Effect": "Allow", "Action": "SNS:Publish", "Resource": arn, **statement}]}
        aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy))
        return arn

    own_alarms = {"ArnLike": {"aws:SourceArn": f"{ARN}*"}}
    reaches(aws, "admitted", topic_with("admitted", Principal=CLOUDWATCH, Condition=own_alarms))
    other_account = {"StringEquals": {"aws:SourceAccount": "210987654321"}}
    for name, statement in {
        "other-account": {"Principal": CLOUDWATCH, "Condition": other_account},
        "other-service": {"Principal": {"Service": "events.amazonaws.com"}},
        "denied": {"Principal": "*", "Effect": "Deny"},
    }.items():
        does_not_reach(aws, name, topic_with(name, **statement), "is not authorized to perform: SNS:Publish on resource")


@conforms("https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html")
def test_the_key_of_the_topic_admits_cloudwatch(aws: Aws) -> None:
    account = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
    use = {"Effect": "Allow", "Principal": CLOUDWATCH, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}

    def key(*statements: dict[str, Any]) -> str:
        return str(aws("kms").create_key(Policy=json.dumps({"Statement": statements}))["KeyMetadata"]["KeyId"])

    reaches(aws, "key-of-cloudwatch", topic(aws, "key-of-cloudwatch", KmsMasterKeyId=key(account, use)))
    error = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
    for name, key_id in {"key-of-account": key(account), "key-of-aws": "alias/aws/sns"}.items():
        does_not_reach(aws, name, topic(aws, name, KmsMasterKeyId=key_id), error)


@conforms(f"{API}/API_DisableAlarmActions.html")
def test_actions_can_be_switched(aws: Aws) -> None:
    cloudwatch, arn = aws("cloudwatch"), topic(aws, "switched")
    put(aws, "switched", AlarmActions=[arn], OKActions=[arn])
    cloudwatch.disable_alarm_actions(AlarmNames=["switched", "nobody"])
    assert described(aws, "switched")["ActionsEnabled"] is False
    set_state(aws, "switched", "ALARM")
    cloudwatch.enable_alarm_actions(AlarmNames=["switched"])
    set_state(aws, "switched", "OK")
    told = come(aws, "switched")
    set_state(aws, "switched", "ALARM")
    told += come(aws, "switched")
    assert [json.loads(each["Message"])["NewStateValue"] for each in told] == ["OK", "ALARM"]
    wait_for(lambda: len(history(aws, "switched")) == 2)
    assert received(aws, "switched") == []


def suppressed(aws: Aws, name: str, suppressor_state: str) -> None:
    """Let an alarm go to ALARM, whose suppressor C(NAME-suppressor) has this state."""
    child, suppressor = f"{name}-child", f"{name}-suppressor"
    put(aws, child)
    put(aws, suppressor)
    set_state(aws, suppressor, suppressor_state)
    periods = {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
    put_composite(aws, name, f"ALARM({child})", AlarmActions=[topic(aws, name)], ActionsSuppressor=suppressor, **periods)
    set_state(aws, child, "ALARM")
    wait_for_states(aws, {name: "ALARM"})


@conforms(f"{GUIDE}/Create_Composite_Alarm_Suppression.html")
def test_a_suppressor_in_alarm_keeps_actions_back(aws: Aws) -> None:
    suppressed(aws, "kept-back", "ALARM")
    assert described(aws, "kept-back")["ActionsSuppressedBy"] == "Alarm"
    set_state(aws, "kept-back-suppressor", "OK")
    wait_for(lambda: described(aws, "kept-back").get("ActionsSuppressedBy") == "ExtensionPeriod")
    assert history(aws, "kept-back") == received(aws, "kept-back") == []
    assert len(come(aws, "kept-back")) == 1
    assert "ActionsSuppressedBy" not in described(aws, "kept-back")


@conforms(f"{GUIDE}/Create_Composite_Alarm_Suppression.html")
def test_a_suppressor_is_waited_for(aws: Aws) -> None:
    suppressed(aws, "waits", "OK")
    assert described(aws, "waits")["ActionsSuppressedBy"] == "WaitPeriod"
    assert history(aws, "waits") == received(aws, "waits") == []
    assert len(come(aws, "waits")) == 1


# --- Dashboards ---


@conforms(f"{API}/CloudWatch-Dashboard-Body-Structure.html")
def test_a_dashboard_has_widgets(aws: Aws) -> None:
    metric = ["AWS/ECS", "CPUUtilization", "ClusterName"]

    def put_dashboard(*widgets: dict[str, Any]) -> None:
        aws("cloudwatch").put_dashboard(DashboardName="widgets", DashboardBody=json.dumps({"widgets": widgets}))

    for body, words in (("not JSON", "there are 1 validation errors"), ("{}", "widgets")):
        assert words in refused("InvalidParameterInput", aws("cloudwatch").put_dashboard, DashboardName="bad", DashboardBody=body)
    for widget, words in (
        ({"type": "metric"}, '"dataPath": "/widgets/0"'),
        ({"type": "text", "width": 25, "properties": {"markdown": "x"}}, '"dataPath": "/widgets/0/width"'),
        ({"type": "alarm", "properties": {"alarms": []}}, "/widgets/0/properties/alarms"),
        ({"type": "metric", "properties": {"metrics": [[*metric, "c", {"stat": "Sum"}], metric]}}, "/widgets/0/properties/metrics/1"),
        ({"type": "metric", "properties": {"metrics": [[*metric, 7]]}}, "Invalid metric field type"),
    ):
        assert words in refused("InvalidParameterInput", lambda widget=widget: put_dashboard(widget))
    put_dashboard({"type": "metric", "width": 24, "properties": {"metrics": [[*metric, "c", {"stat": "Sum"}]]}})


@conforms(f"{API}/API_PutDashboard.html")
def test_a_dashboard_belongs_to_no_region(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    refused("ResourceNotFound", cloudwatch.get_dashboard, DashboardName="shop")
    for body, team in (('{"widgets":[]}', "shop"), ('{"widgets": []}', "other")):
        cloudwatch.put_dashboard(DashboardName="shop", DashboardBody=body, Tags=[{"Key": "team", "Value": team}])
    dashboard = aws("cloudwatch", region_name="us-west-2").get_dashboard(DashboardName="shop")
    assert (dashboard["DashboardArn"], dashboard["DashboardBody"]) == ("arn:aws:cloudwatch::123456789012:dashboard/shop", '{"widgets": []}')
    tags = cloudwatch.list_tags_for_resource(ResourceARN=dashboard["DashboardArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "shop"}], "an update ignores tags"


@conforms(f"{API}/API_ListDashboards.html")
def test_dashboards_are_listed(aws: Aws) -> None:
    for name in ("listed", "unlisted"):
        aws("cloudwatch").put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    (entry,) = aws("cloudwatch", region_name="us-west-2").list_dashboards(DashboardNamePrefix="list")["DashboardEntries"]
    assert (entry["DashboardName"], entry["Size"]) == ("listed", len('{"widgets": []}'))


@conforms(f"{API}/API_DeleteDashboards.html")
def test_dashboards_are_deleted_as_far_as_they_exist(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_dashboard(DashboardName="there", DashboardBody='{"widgets": []}')
    refused("ResourceNotFound", cloudwatch.delete_dashboards, DashboardNames=["there", "gone"])
    refused("ResourceNotFound", cloudwatch.get_dashboard, DashboardName="there")
