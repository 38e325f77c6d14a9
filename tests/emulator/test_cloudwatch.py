"""What of CloudWatch is no rule that moto lacks; those are in tests/conformance/test_cloudwatch.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service_stack import wait_for


def test_long_requests_of_data_are_unpacked(aws: Callable[[str], Any]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""
    cloudwatch = aws("cloudwatch")
    alarm = {"MetricName": "Packed", "Namespace": "Test", "ExtendedStatistic": "p50", "Period": 60, "EvaluationPeriods": 1}
    cloudwatch.put_metric_alarm(AlarmName="packed", **alarm, Threshold=499.5, ComparisonOperator="GreaterThanThreshold")
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "Packed", "Value": float(value)} for value in range(1, 1001)])
    wait_for(lambda: cloudwatch.describe_alarms(AlarmNames=["packed"])["MetricAlarms"][0]["StateValue"] == "ALARM")
    cloudwatch.delete_alarms(AlarmNames=["packed"])
