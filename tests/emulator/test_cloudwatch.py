"""CloudWatch keeps alarms as AWS does, evaluates them, and tells whom they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator.alarms import verdict
from emulator.metric_math import Datum, Expressions, parse, statistic
from service_stack import wait_for

ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:"
ALARM = {
    "MetricName": "Load", "Namespace": "Test", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip
BOTH_TYPES = ["MetricAlarm", "CompositeAlarm"]


@pytest.fixture
def cloudwatch(aws: Callable[[str], Any]) -> Iterator[Any]:
    """A client; what the test leaves is deleted."""
    client = aws("cloudwatch")
    yield client
    composites = client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    for alarm in composites:
        client.put_composite_alarm(AlarmName=alarm["AlarmName"], AlarmRule="FALSE")
    for alarm in composites:
        client.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    for page in list(client.get_paginator("describe_alarms").paginate()):
        client.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in page["MetricAlarms"]])


def put(client: Any, name: str, **fields: Any) -> None:
    """Create a metric alarm; a field that is None is left out."""
    client.put_metric_alarm(**{key: value for key, value in {**ALARM, "AlarmName": name, **fields}.items() if value is not None})


def described(client: Any, name: str) -> dict[str, Any]:
    answer = client.describe_alarms(AlarmNames=[name], AlarmTypes=BOTH_TYPES)
    (alarm,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return alarm


def set_state(client: Any, name: str, state: str) -> None:
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def state_is(client: Any, name: str, state: str) -> bool:
    return bool(described(client, name)["StateValue"] == state)


def send(client: Any, metric: str, *values: float) -> None:
    """Send values of a metric, one for each minute, the last one for this minute."""
    times = [datetime.now(UTC) - timedelta(minutes=age) for age in reversed(range(len(values)))]
    data = [{"MetricName": metric, "Value": value, "Timestamp": at} for value, at in zip(values, times)]
    client.put_metric_data(Namespace="Test", MetricData=data)


def refused(match: str) -> AbstractContextManager[Any]:
    return pytest.raises(ClientError, match=match)


# --- Metric alarms ---


@pytest.mark.parametrize(
    "fields",
    [
        {"Dimensions": [{"Name": "B", "Value": "2"}, {"Name": "A", "Value": "1"}], "Unit": "Percent", "DatapointsToAlarm": 1},
        {"Statistic": None, "ExtendedStatistic": "tm99", "TreatMissingData": "ignore", "AlarmDescription": "why", "ActionsEnabled": False},
        {"EvaluationWindow": {"WallClockWindow": {"Timezone": "Europe/Berlin"}}},
        {"WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 5, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": True}},
        {"ActionConfiguration": {"AlarmTagsPropagation": {"Enabled": True, "IncludedTagKeys": ["team"]}}},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_the_fields_of_an_alarm_are_read_back(cloudwatch: Any, fields: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html"""
    put(cloudwatch, "fields", **fields)
    alarm = described(cloudwatch, "fields")
    wanted = {key: value for key, value in {**ALARM, **fields}.items() if value is not None}
    assert {key: alarm.get(key) for key in wanted} == wanted
    assert (alarm["AlarmArn"], alarm["StateValue"]) == (f"{ARN}fields", "INSUFFICIENT_DATA")
    assert alarm["StateReason"] == "Unchecked: Initial alarm creation"


def test_a_band_returns_its_data_beside_the_metric(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Anomaly_Detection_Alarm.html"""
    stat = {"Metric": {"Namespace": "Test", "MetricName": "Load", "Dimensions": []}, "Period": 60, "Stat": "Average"}
    metrics = [{"Id": "m1", "MetricStat": stat}, {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]
    fields = {"Metrics": metrics, "ThresholdMetricId": "band", "ComparisonOperator": "GreaterThanUpperThreshold", "EvaluationPeriods": 2}
    cloudwatch.put_metric_alarm(AlarmName="band", **fields)
    alarm = described(cloudwatch, "band")
    assert alarm["Metrics"] == [{**metric, "ReturnData": True} for metric in metrics]
    assert (alarm["ThresholdMetricId"], alarm["Dimensions"]) == ("band", [])


def test_a_promql_alarm_starts_ok(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    criteria = {"PromQLCriteria": {"Query": "up == 0", "PendingPeriod": 60}}
    cloudwatch.put_metric_alarm(AlarmName="promql", EvaluationCriteria=criteria, EvaluationInterval=30)
    alarm = described(cloudwatch, "promql")
    assert (alarm["EvaluationCriteria"], alarm["EvaluationInterval"], alarm["StateValue"]) == (criteria, 30, "OK")


def test_an_update_replaces_the_settings_and_leaves_the_state(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    put(cloudwatch, "update", AlarmDescription="why", Tags=[{"Key": "team", "Value": "shop"}])
    set_state(cloudwatch, "update", "ALARM")
    put(cloudwatch, "update", Threshold=20.0, Tags=[{"Key": "team", "Value": "other"}])
    alarm = described(cloudwatch, "update")
    assert (alarm["StateValue"], alarm["Threshold"], alarm.get("AlarmDescription")) == ("ALARM", 20.0, None)
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "shop"}], "an update ignores tags"


MATH = {"MetricName": None, "Namespace": None, "Statistic": None, "Period": None}
STAT = {"Metric": {"Namespace": "Test", "MetricName": "Load"}, "Period": 60, "Stat": "Sum"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Threshold": None}, "Exactly one of Threshold and ThresholdMetricId"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"Statistic": None, "ExtendedStatistic": "q99"}, "The value q99 for parameter ExtendedStatistic is not supported"),
        ({"Period": 45}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        ({"Period": 60, "EvaluationPeriods": 1441}, "across more than a day"),
        ({"Period": 86400, "EvaluationPeriods": 8}, "across more than a week"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "can only be used with ThresholdMetricId"),
        ({"TreatMissingData": "bad"}, "Supported options for parameter TreatMissingData are breaching, notBreaching, ignore and missing"),
        ({"Metrics": [{"Id": "m1", "MetricStat": STAT}]}, "Exactly one of MetricName, Metrics and EvaluationCriteria"),
        ({**MATH, "Metrics": [{"Id": x, "MetricStat": STAT} for x in ("a", "b")]}, "Exactly one element of the metrics list should return"),
        ({**MATH, "Metrics": [{"Id": "e1", "Expression": "m1 +"}]}, "Error in expression 'e1'"),
        ({**MATH, "Metrics": [{"Id": "e1", "Expression": "2 * m7"}]}, "undefined variable m7"),
        ({"AlarmActions": ["me@example.com"]}, "Invalid arn syntax: me@example.com"),
        ({"AlarmActions": ["arn:aws:sns:us-east-1:123456789012:x"]}, "Invalid region us-east-1 specified"),
        ({"Dimensions": [{"Name": f"d{n}", "Value": "x"} for n in range(31)]}, "length less than or equal to 30"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_metric_alarm_that_aws_refuses_is_refused(cloudwatch: Any, fields: dict[str, Any], words: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    with refused(words):
        put(cloudwatch, "refused", **fields)
    assert cloudwatch.describe_alarms(AlarmNames=["refused"])["MetricAlarms"] == []


def test_alarms_of_scaling_policies_are_alarms_like_others(cloudwatch: Any, aws: Callable[[str], Any]) -> None:
    """https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html"""
    target = {"ServiceNamespace": "dynamodb", "ResourceId": "table/orders", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    scaling = aws("application-autoscaling")
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}, "TargetValue": 50.0}
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": metric}
    made = scaling.put_scaling_policy(**target, PolicyName="reads", **policy)["Alarms"]
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-table/orders-")["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == {alarm["AlarmName"] for alarm in made}
    assert {alarm["StateValue"] for alarm in alarms} == {"INSUFFICIENT_DATA"}
    scaling.deregister_scalable_target(**target)
    assert cloudwatch.describe_alarms(AlarmNamePrefix="TargetTracking-table/orders-")["MetricAlarms"] == [], "they go with the policy"


# --- Composite alarms ---


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("ALARM(there) OR OK(gone)", r"Could not save the composite alarm as alarms \[gone\] in the alarm rule do not exist"),
        ("ALARM(self)", "do not exist"),
        ("()", r"Error in AlarmRule \[Unsupported token '\)' at char 1\]"),
        ("ALARM(there) ALARM(there)", "Unsupported token 'ALARM' at char 13"),
        ('ALARM("there)', "Unsupported token '\"' at char 6"),
        ("there", "Unsupported token 'there' at char 0"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(cloudwatch: Any, rule: str, words: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"""
    put(cloudwatch, "there")
    with refused(words):
        cloudwatch.put_composite_alarm(AlarmName="self", AlarmRule=rule)


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("ALARM(high)", "ALARM"),
        ("NOT ALARM(high)", "OK"),
        ("OK(high) AND ALARM(high) OR TRUE", "ALARM"),
        ('OK("low (ish)") AND NOT (OK(high) OR INSUFFICIENT_DATA(high))', "ALARM"),
        (f"OK({ARN}high)", "OK"),
        ('AT_LEAST(2, ALARM, (high, "low (ish)"))', "OK"),
        ('AT_LEAST(50%, NOT OK, (high, "low (ish)"))', "ALARM"),
    ],
)
def test_a_composite_alarm_follows_its_rule(cloudwatch: Any, rule: str, state: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html"""
    for name, value in (("high", "ALARM"), ("low (ish)", "OK")):
        put(cloudwatch, name)
        set_state(cloudwatch, name, value)
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule=rule)
    assert described(cloudwatch, "both")["StateValue"] == "INSUFFICIENT_DATA"
    wait_for(lambda: state_is(cloudwatch, "both", state))
    assert described(cloudwatch, "both")["StateReason"] == f"{ARN}both was created and its alarm rule evaluates to {state}"


def test_a_composite_alarm_changes_with_its_children(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html"""
    put(cloudwatch, "child")
    cloudwatch.put_composite_alarm(AlarmName="parent", AlarmRule="ALARM(child)")
    cloudwatch.put_composite_alarm(AlarmName="grandparent", AlarmRule="NOT ALARM(parent)")
    wait_for(lambda: state_is(cloudwatch, "grandparent", "ALARM"))
    set_state(cloudwatch, "child", "ALARM")
    wait_for(lambda: state_is(cloudwatch, "grandparent", "OK"))
    alarm = described(cloudwatch, "parent")
    assert alarm["StateReason"].startswith(f"{ARN}child transitioned to ALARM at ")
    assert json.loads(alarm["StateReasonData"])["triggeringAlarms"][0]["arn"] == f"{ARN}child"


def test_what_a_composite_alarm_looks_at_is_not_deleted(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html"""
    put(cloudwatch, "child")
    put(cloudwatch, "other")
    for name in ("parent", "second"):
        cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule="ALARM(child)")
    with refused(r"Cannot delete child as there are composite alarm\(s\) depending on it\."):
        cloudwatch.delete_alarms(AlarmNames=["other", "child", "nobody"])
    assert described(cloudwatch, "other"), "all or nothing"
    with refused("ValidationError"):
        cloudwatch.delete_alarms(AlarmNames=["parent", "second"])
    with refused("length less than or equal to 100"):
        cloudwatch.delete_alarms(AlarmNames=["other"] * 101)
    cloudwatch.delete_alarms(AlarmNames=["parent", "nobody"])
    cloudwatch.delete_alarms(AlarmNames=["second"])
    cloudwatch.delete_alarms(AlarmNames=["child", "other"])
    assert cloudwatch.describe_alarms(AlarmTypes=BOTH_TYPES)["MetricAlarms"] == []


def test_composite_alarms_in_a_circle_stay_until_the_circle_is_broken(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html"""
    cloudwatch.put_composite_alarm(AlarmName="a", AlarmRule="TRUE")
    cloudwatch.put_composite_alarm(AlarmName="b", AlarmRule="ALARM(a)")
    cloudwatch.put_composite_alarm(AlarmName="a", AlarmRule="NOT ALARM(b)")
    for name in ("a", "b"):
        with refused(f"Cannot delete {name} as"):
            cloudwatch.delete_alarms(AlarmNames=[name])
    cloudwatch.put_composite_alarm(AlarmName="a", AlarmRule="false")
    cloudwatch.delete_alarms(AlarmNames=["b"])
    cloudwatch.delete_alarms(AlarmNames=["a"])


# --- Reading ---


def test_alarms_are_read_in_pages(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    for number in range(51):
        put(cloudwatch, f"page-{number:02}")
    cloudwatch.put_composite_alarm(AlarmName="page-all", AlarmRule="ALARM(page-07)")
    assert len(cloudwatch.describe_alarms()["MetricAlarms"]) == 50
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="page-", AlarmTypes=BOTH_TYPES, PaginationConfig={"PageSize": 20}
    )
    sizes = [(len(page["CompositeAlarms"]), len(page["MetricAlarms"])) for page in pages]
    assert sizes == [(1, 19), (0, 20), (0, 12)]
    with refused("less than or equal to 100"):
        cloudwatch.describe_alarms(MaxRecords=101)
    with refused("InvalidNextToken"):
        cloudwatch.describe_alarms(NextToken="mine")


def test_only_metric_alarms_are_read_unless_asked(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    put(cloudwatch, "metric")
    cloudwatch.put_composite_alarm(AlarmName="composite", AlarmRule="ALARM(metric)")
    names = ["metric", "composite"]
    assert cloudwatch.describe_alarms(AlarmNames=names)["CompositeAlarms"] == []
    assert cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["CompositeAlarm"])["MetricAlarms"] == []
    with refused("ValidationError"):
        cloudwatch.describe_alarms(AlarmNames=names, AlarmNamePrefix="m")
    (child,) = cloudwatch.describe_alarms(ChildrenOfAlarmName="composite")["MetricAlarms"]
    assert set(child) == {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
    (parent,) = cloudwatch.describe_alarms(ParentsOfAlarmName="metric")["CompositeAlarms"]
    assert parent == {"AlarmName": "composite", "AlarmArn": f"{ARN}composite"}


def test_all_filters_count(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    put(cloudwatch, "a-1", OKActions=["arn:aws:sns:eu-central-1:123456789012:calls"])
    for name in ("a-2", "b-1"):
        put(cloudwatch, name)
    for name in ("a-1", "b-1"):
        set_state(cloudwatch, name, "ALARM")
    find = partial(cloudwatch.describe_alarms, AlarmNamePrefix="a-")
    assert [alarm["AlarmName"] for alarm in find(StateValue="ALARM")["MetricAlarms"]] == ["a-1"]
    assert [alarm["AlarmName"] for alarm in find(ActionPrefix="arn:aws:sns:")["MetricAlarms"]] == ["a-1"]
    for_metric = cloudwatch.describe_alarms_for_metric(Namespace="Test", MetricName="Load", Period=60)["MetricAlarms"]
    assert len(for_metric) == 3
    other = cloudwatch.describe_alarms_for_metric(Namespace="Test", MetricName="Load", Dimensions=[{"Name": "A", "Value": "1"}])
    assert other["MetricAlarms"] == []


def test_tags_of_alarms_are_kept_and_found(cloudwatch: Any, aws: Callable[[str], Any]) -> None:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html"""
    for number in range(60):
        put(cloudwatch, f"tagged-{number:02}", Tags=[{"Key": key, "Value": "x"} for key in ("set", "b", "c")])
    cloudwatch.put_composite_alarm(AlarmName="tagged-all", AlarmRule="TRUE", Tags=[{"Key": "set", "Value": "x"}])
    cloudwatch.tag_resource(ResourceARN=f"{ARN}tagged-all", Tags=[{"Key": "d", "Value": "y"}])
    cloudwatch.untag_resource(ResourceARN=f"{ARN}tagged-00", TagKeys=["set"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=f"{ARN}tagged-all")["Tags"][1] == {"Key": "d", "Value": "y"}
    find = aws("resourcegroupstaggingapi").get_paginator("get_resources").paginate
    asked = {"TagFilters": [{"Key": "set", "Values": ["x"]}], "ResourceTypeFilters": ["cloudwatch:alarm"]}
    assert [len(page["ResourceTagMappingList"]) for page in find(**asked, ResourcesPerPage=40)] == [40, 20]
    assert [len(page["ResourceTagMappingList"]) for page in find(**asked)] == [50, 10]
    cloudwatch.delete_alarms(AlarmNames=["tagged-01"])
    put(cloudwatch, "tagged-01")
    assert cloudwatch.list_tags_for_resource(ResourceARN=f"{ARN}tagged-01")["Tags"] == [], "tags go with their alarm"
    with refused("ResourceNotFoundException"):
        cloudwatch.list_tags_for_resource(ResourceARN=f"{ARN}nobody")


# --- Evaluation ---


def test_an_alarm_follows_its_data(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html"""
    put(cloudwatch, "m-of-n", MetricName="MofN", EvaluationPeriods=3, DatapointsToAlarm=2)
    send(cloudwatch, "MofN", 50, 1, 50)
    wait_for(lambda: state_is(cloudwatch, "m-of-n", "ALARM"))
    alarm = described(cloudwatch, "m-of-n")
    assert alarm["StateReason"].startswith("Threshold Crossed: 2 out of the last 3 datapoints [50.0 (")
    assert alarm["StateReason"].endswith("were greater than the threshold (10.0) (minimum 2 datapoints for OK -> ALARM transition).")
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [50, 1, 50]
    send(cloudwatch, "MofN", -200)
    wait_for(lambda: state_is(cloudwatch, "m-of-n", "OK"))


def test_long_requests_of_data_are_unpacked(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""
    put(cloudwatch, "packed", MetricName="Packed", Statistic=None, ExtendedStatistic="p50", Threshold=499.5)
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "Packed", "Value": float(value)} for value in range(1, 1001)])
    wait_for(lambda: state_is(cloudwatch, "packed", "ALARM"))


def test_the_first_evaluation_treats_missing_data(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"""
    for treatment in ("breaching", "notBreaching", "missing"):
        put(cloudwatch, treatment, MetricName="Nothing", TreatMissingData=treatment, EvaluationPeriods=2)
    wait_for(lambda: state_is(cloudwatch, "breaching", "ALARM") and state_is(cloudwatch, "notBreaching", "OK"))
    assert state_is(cloudwatch, "missing", "INSUFFICIENT_DATA")
    words = "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]."
    assert described(cloudwatch, "breaching")["StateReason"] == words


# The rows of AWS's two tables: data points, newest last, X breaches, 0 does not, - is missing; then the state for missing, ignore,
# breaching, notBreaching. R is the state that the alarm has.
@pytest.mark.parametrize(
    ("datapoints", "points", "states"),
    [
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
    ],
)
def test_missing_data_are_treated_as_in_the_tables_of_aws(datapoints: int, points: str, states: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"""
    newest_first = [{"X": True, "0": False, "-": None}[point] for point in reversed(points)]
    found = [verdict(newest_first, 3, datapoints, missing, "R") for missing in ("missing", "ignore", "breaching", "notBreaching")]
    assert found == states.split()


def test_extended_statistics_are_of_single_values() -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html"""
    entry = {"Values": [float(value) for value in range(1, 11)], "Counts": [1.0] * 10}
    data = [Datum.from_api(entry, now=0)]
    names = ("p90", "p0", "tm90", "IQM", "tc90", "ts90", "wm80", "PR(2:4)", "TM(20%:80%)", "TS(:3)", "SampleCount", "Average")
    assert [statistic(name, data) for name in names] == [9, 1, 5, 5.5, 9, 45, 5.2, 20, 5.5, 6, 10, 5.5]
    several = {"StatisticValues": {"SampleCount": 2.0, "Sum": 5.0, "Minimum": 1.0, "Maximum": 4.0}}
    assert statistic("p90", [Datum.from_api(several, now=0)]) is None


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("100 * (m2 / m1)", {0: 50, 60: 300}),
        ("m1 - m2 > 0", {0: 1, 60: 0, 120: 0}),
        ("m1 ^ 2 + 1", {0: 5, 60: 2, 120: 1}),
        ("IF(m1 > 1, m1, 7)", {0: 2, 60: 7, 120: 7}),
        ("IF(m1 == 2 OR m2 == 5 && m1 < 1, 1, 0)", {0: 1, 60: 0, 120: 1}),
        ("SUM(METRICS())", {0: 3, 60: 4, 120: 5, 180: 8}),
        ("AVG([m1, m3])", {0: 2, 60: 1, 120: 0, 180: 8}),
        ("MAX(METRICS('m')) / MAX(m2)", {0: 0.4, 60: 0.6, 120: 1, 180: 1.6}),
        ("FILL(m3, 0) + FILL(m2, REPEAT)", {0: 1, 60: 3, 120: 5, 180: 13}),
        ("RATE(m2)", {60: 2 / 60, 120: 2 / 60}),
        ("RUNNING_SUM(m2)", {0: 1, 60: 4, 120: 9}),
        ("-e1", {0: -4, 60: -2, 120: 0}),
    ],
)
def test_expressions_are_computed_period_by_period(expression: str, values: dict[int, float]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html"""
    metrics = {"m1": {0: 2.0, 60: 1.0, 120: 0.0}, "m2": {0: 1.0, 60: 3.0, 120: 5.0}, "m3": {180: 8.0}}
    trees = {"e1": parse("m1 * 2"), "asked": parse(expression)}
    assert Expressions(metrics, trees, (0, 60, 120, 180), 60).value("asked") == pytest.approx(values)


def test_an_alarm_on_an_expression_follows_it(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html"""
    queries = [{"Id": "rate", "Expression": "100 * errors / FILL(requests, 0)"}] + [
        {"Id": name, "MetricStat": {**STAT, "Metric": {"Namespace": "Test", "MetricName": name}}, "ReturnData": False}
        for name in ("errors", "requests")
    ]
    put(cloudwatch, "rate", **MATH, Metrics=queries, EvaluationPeriods=2)
    send(cloudwatch, "errors", 3, 2)
    send(cloudwatch, "requests", 10, 10)
    wait_for(lambda: state_is(cloudwatch, "rate", "ALARM"))


# --- Actions ---


@pytest.fixture
def topic(aws: Callable[[str], Any]) -> Iterator[str]:
    """ARN of a topic with CloudWatch's default policy."""
    arn = aws("sns").create_topic(Name="alarms")["TopicArn"]
    yield arn
    aws("sns").delete_topic(TopicArn=arn)


def action_of(client: Any, name: str, **fields: Any) -> dict[str, Any]:
    """Make an alarm, let it go to ALARM, and answer what its history says of the action."""
    put(client, name, **fields)
    set_state(client, name, "ALARM")
    asked = {"AlarmName": name, "HistoryItemType": "Action"}
    wait_for(lambda: bool(client.describe_alarm_history(**asked)["AlarmHistoryItems"]))
    (item,) = client.describe_alarm_history(**asked)["AlarmHistoryItems"]
    return item


def test_subscribers_of_the_topic_are_told(cloudwatch: Any, aws: Callable[[str], Any], topic: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"""
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    item = action_of(cloudwatch, "told", AlarmActions=[topic], Dimensions=[{"Name": "A", "Value": "1"}])
    assert item["HistorySummary"] == f"Successfully executed action {topic}"
    envelope = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert envelope["Subject"] == 'ALARM: "told" in Europe (Frankfurt)'
    message = json.loads(envelope["Message"])
    assert (message["NewStateValue"], message["OldStateValue"], message["NewStateReason"]) == ("ALARM", "INSUFFICIENT_DATA", "test")
    assert message["Trigger"]["Dimensions"] == [{"value": "1", "name": "A"}]
    assert (message["Trigger"]["Statistic"], message["Trigger"]["Threshold"]) == ("AVERAGE", 10.0)
    sqs.delete_queue(QueueUrl=queue)


CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}
NO_KEY = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ({"Principal": CLOUDWATCH, "Condition": {"ArnLike": {"aws:SourceArn": f"{ARN}*"}}}, None),
        ({"Principal": CLOUDWATCH, "Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}}, "is not authorized to perform"),
        ({"Principal": {"Service": "events.amazonaws.com"}}, "is not authorized to perform: SNS:Publish on resource"),
        ({"Principal": "*", "Effect": "Deny"}, "is not authorized to perform: SNS:Publish on resource"),
    ],
    ids=["admitted", "other account", "other service", "denied"],
)
def test_the_policy_of_the_topic_must_admit_cloudwatch(
    cloudwatch: Any, aws: Callable[[str], Any], topic: str, request: pytest.FixtureRequest, statement: dict[str, Any], error: str | None
) -> None:
    """https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger"""
    policy = {"Statement": [{"Effect": "Allow", "Action": "SNS:Publish", "Resource": topic, **statement}]}
    aws("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    item = action_of(cloudwatch, f"policy-{request.node.callspec.id}", AlarmActions=[topic])
    assert (error or "Successfully executed action") in item["HistorySummary"]


@pytest.mark.parametrize(("principal", "error"), [(None, NO_KEY), ({"AWS": "arn:aws:iam::123456789012:root"}, NO_KEY), (CLOUDWATCH, None)])
def test_cloudwatch_must_be_allowed_to_use_the_key_of_the_topic(
    cloudwatch: Any, aws: Callable[[str], Any], topic: str, principal: dict[str, str] | None, error: str | None
) -> None:
    """https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns"""
    key = "alias/aws/sns"
    if principal:
        use = {"Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*", "Principal": principal}
        policy = json.dumps({"Statement": [{"Effect": "Allow", **use}]})
        key = aws("kms").create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    aws("sns").set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    item = action_of(cloudwatch, f"key-{key}", AlarmActions=[topic])
    assert (error or "Successfully executed action") in item["HistorySummary"]


def suppressible(client: Any, topic: str, suppressor_state: str) -> Callable[[], int]:
    """Let an alarm with a suppressor in this state go to ALARM; answers what counts its actions."""
    for name in ("child", "maintenance"):
        put(client, name)
    set_state(client, "maintenance", suppressor_state)
    periods = {"ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
    name = f"suppressed-{suppressor_state}"
    client.put_composite_alarm(
        AlarmName=name, AlarmRule="ALARM(child)", AlarmActions=[topic], ActionsSuppressor="maintenance", **periods
    )  # fmt: skip
    set_state(client, "child", "ALARM")
    wait_for(lambda: state_is(client, name, "ALARM"))
    asked = {"AlarmName": name, "HistoryItemType": "Action", "AlarmTypes": ["CompositeAlarm"]}
    return lambda: len(client.describe_alarm_history(**asked)["AlarmHistoryItems"])


def test_a_suppressor_in_alarm_keeps_actions_back(cloudwatch: Any, topic: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html"""
    actions = suppressible(cloudwatch, topic, "ALARM")
    assert described(cloudwatch, "suppressed-ALARM")["ActionsSuppressedBy"] == "Alarm"
    set_state(cloudwatch, "maintenance", "OK")
    wait_for(lambda: described(cloudwatch, "suppressed-ALARM").get("ActionsSuppressedBy") == "ExtensionPeriod")
    assert actions() == 0
    wait_for(lambda: actions() == 1)
    assert "ActionsSuppressedBy" not in described(cloudwatch, "suppressed-ALARM")


def test_a_suppressor_is_waited_for(cloudwatch: Any, topic: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html"""
    actions = suppressible(cloudwatch, topic, "OK")
    assert described(cloudwatch, "suppressed-OK")["ActionsSuppressedBy"] == "WaitPeriod"
    assert actions() == 0
    wait_for(lambda: actions() == 1)


def test_disabled_actions_are_not_executed(cloudwatch: Any, topic: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DisableAlarmActions.html"""
    put(cloudwatch, "switched", AlarmActions=[topic], OKActions=[topic])
    cloudwatch.disable_alarm_actions(AlarmNames=["switched", "nobody"])
    assert described(cloudwatch, "switched")["ActionsEnabled"] is False
    set_state(cloudwatch, "switched", "ALARM")
    cloudwatch.enable_alarm_actions(AlarmNames=["switched"])
    set_state(cloudwatch, "switched", "OK")
    asked = {"AlarmName": "switched", "HistoryItemType": "Action"}
    wait_for(lambda: bool(cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"]))
    items = cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"]
    assert [json.loads(json.loads(item["HistoryData"])["publishedMessage"])["NewStateValue"] for item in items] == ["OK"]


# --- Dashboards ---


METRIC = ["AWS/ECS", "CPUUtilization", "ClusterName"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("not JSON", "there are 1 validation errors"),
        ("{}", "widgets"),
        ({"type": "metric"}, '"dataPath": "/widgets/0"'),
        ({"type": "text", "width": 25, "properties": {"markdown": "x"}}, '"dataPath": "/widgets/0/width"'),
        ({"type": "alarm", "properties": {"alarms": []}}, "/widgets/0/properties/alarms"),
        ({"type": "metric", "properties": {"metrics": [[*METRIC, "c", {"stat": "Sum"}], METRIC]}}, "/widgets/0/properties/metrics/1"),
        ({"type": "metric", "properties": {"metrics": [[*METRIC, 7]]}}, "Invalid metric field type"),
    ],
)
def test_a_dashboard_that_cannot_be_shown_is_refused(cloudwatch: Any, body: str | dict[str, Any], words: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    text = body if isinstance(body, str) else json.dumps({"widgets": [body]})
    with refused(rf"\(InvalidParameterInput\)(.|\n)*{words}"):
        cloudwatch.put_dashboard(DashboardName="bad", DashboardBody=text)


def test_a_dashboard_belongs_to_the_account(cloudwatch: Any) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html"""
    elsewhere = boto3.client(
        "cloudwatch", region_name="us-west-2", endpoint_url=cloudwatch.meta.endpoint_url,
        aws_access_key_id="key", aws_secret_access_key="secret",
    )  # fmt: skip
    with refused("ResourceNotFound"):
        cloudwatch.get_dashboard(DashboardName="shop")
    cloudwatch.put_dashboard(DashboardName="shop", DashboardBody='{"widgets":[]}', Tags=[{"Key": "team", "Value": "shop"}])
    cloudwatch.put_dashboard(DashboardName="shop", DashboardBody='{"widgets": []}', Tags=[{"Key": "team", "Value": "other"}])
    dashboard = elsewhere.get_dashboard(DashboardName="shop")
    assert (dashboard["DashboardArn"], dashboard["DashboardBody"]) == ("arn:aws:cloudwatch::123456789012:dashboard/shop", '{"widgets": []}')
    assert cloudwatch.list_tags_for_resource(ResourceARN=dashboard["DashboardArn"])["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert [entry["DashboardName"] for entry in cloudwatch.list_dashboards(DashboardNamePrefix="sh")["DashboardEntries"]] == ["shop"]
    with refused("ResourceNotFound"):
        cloudwatch.delete_dashboards(DashboardNames=["shop", "gone"])
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []
