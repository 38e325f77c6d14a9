"""What an alarm does when its state changes: it publishes to SNS topics, where their policies and keys let CloudWatch do so.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any

import botocore.session
from moto.sns.models import sns_backends

from emulator.authorization import find_key, service_may
from emulator.wire import ACCOUNT

if TYPE_CHECKING:
    from emulator.alarms import Alarm
    from emulator.state import State

SERVICE = "cloudwatch.amazonaws.com"
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
STATISTIC_NAMES = {"SampleCount": "SAMPLE_COUNT"}
DATAPOINT_FIELDS = ("ComparisonOperator", "EvaluationPeriods", "DatapointsToAlarm", "Threshold")


def execute(state: State, alarm: Alarm, old: str) -> None:
    """Execute the actions for the state that an alarm has changed to, beside the loop: who is told may take his time."""
    if not alarm.settings.get("ActionsEnabled", True):
        return
    topics = [arn for arn in alarm.settings.get(ACTIONS[alarm.state], []) if arn.split(":")[2] == "sns"]
    if topics:
        subject = f'{alarm.state}: "{alarm.name}" in {region_name(alarm.region)}'[:100]
        Thread(target=_tell, args=(state, alarm, topics, subject, message(alarm, old)), daemon=True).start()


def _tell(state: State, alarm: Alarm, topics: list[str], subject: str, text: str) -> None:
    from emulator.alarms import record

    for topic_arn in topics:
        error = refusal(topic_arn, alarm.alarm_arn)
        if error is None:
            try:
                sns_backends[ACCOUNT][topic_arn.split(":")[3]].topics[topic_arn].publish(text, subject=subject)
            except Exception as failure:
                error = f"the emulator failed: {failure!r}"
        data = {"actionState": "Failed", "error": error} if error else {"actionState": "Succeeded"}
        failed = f'Failed to execute action {topic_arn}. Received error: "{error}"'
        told = data | {"notificationResource": topic_arn, "publishedMessage": text}
        record(state, alarm, "Action", failed if error else f"Successfully executed action {topic_arn}", told)


def refusal(topic_arn: str, alarm_arn: str) -> str | None:
    """What keeps CloudWatch from publishing to a topic, in the words of an alarm's history; None where nothing does.

    The topic's policy must let the service in, on behalf of the alarm. An encrypted topic needs a key of the customer whose
    policy lets it in, too; that of C(alias/aws/sns) does not, and no statement for the account as a whole means a service.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    region = topic_arn.split(":")[3]
    topic = sns_backends[ACCOUNT][region].topics.get(topic_arn)
    if topic is None:
        return "Topic does not exist"
    # The policy that a topic has from the start lets the account's own alarms in.
    own = topic_arn.split(":")[4] == alarm_arn.split(":")[4] and "__default_statement_ID" in topic.policy
    if not own and not service_may(topic.policy, "sns:Publish", topic_arn, SERVICE, alarm_arn):
        return "CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: " + topic_arn
    if topic.kms_master_key_id:
        key = find_key(region, topic.kms_master_key_id)
        actions = ("kms:Decrypt", "kms:GenerateDataKey")
        if (
            key is None
            or key.key_state != "Enabled"
            or not all(service_may(key.policy, each, key.arn, SERVICE, alarm_arn) for each in actions)
        ):
            return "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
    return None


# --- The message ---


def iso(seconds: float) -> str:
    """A point in time as CloudWatch writes it in JSON."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


@cache
def region_name(region: str) -> str:
    """Name of a region for people: Europe (Frankfurt)."""
    for partition in botocore.session.get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region


def message(alarm: Alarm, old: str) -> str:
    """What is published: JSON, as AWS writes it."""
    settings = alarm.settings
    told: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": settings.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": iso(alarm.configured.timestamp()),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": iso(alarm.transitioned.timestamp()),
        "Region": region_name(alarm.region),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": old,
        **{field: settings.get(field, []) for field in ("OKActions", "AlarmActions", "InsufficientDataActions")},
    }
    if not alarm.is_composite:
        return json.dumps(told | {"Trigger": _trigger(settings)}, separators=(",", ":"))
    told.pop("AlarmConfigurationUpdatedTimestamp")
    told["AlarmRule"] = settings["AlarmRule"]
    if child := alarm.trigger:
        since = {"Value": child.state, "Timestamp": iso(child.transitioned.timestamp())}
        told["TriggeringChildren"] = [{"Arn": child.alarm_arn, "State": since}]
    return json.dumps(told, separators=(",", ":"))


def _trigger(settings: dict[str, Any]) -> dict[str, Any]:
    common = {field: settings[field] for field in DATAPOINT_FIELDS if field in settings} | {
        "TreatMissingData": settings.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": settings.get("EvaluateLowSampleCountPercentile", ""),
    }
    if "Metrics" in settings:
        return {"Metrics": [_told_query(query) for query in settings["Metrics"]], **common}
    if "MetricName" not in settings:
        return common
    kind = "Statistic" if "Statistic" in settings else "ExtendedStatistic"
    statistic = settings[kind]
    return {
        "MetricName": settings["MetricName"],
        "Namespace": settings["Namespace"],
        "StatisticType": kind,
        kind: STATISTIC_NAMES.get(statistic, statistic.upper()) if kind == "Statistic" else statistic,
        "Unit": settings.get("Unit"),
        "Dimensions": _told_dimensions(settings),
        "Period": settings["Period"],
        **common,
    }


def _told_query(query: dict[str, Any]) -> dict[str, Any]:
    told = {"ReturnData": True, **query}
    if "MetricStat" in query:
        metric = query["MetricStat"]["Metric"]
        told["MetricStat"] = {**query["MetricStat"], "Metric": {**metric, "Dimensions": _told_dimensions(metric)}}
    return told


def _told_dimensions(metric: dict[str, Any]) -> list[dict[str, str]]:
    return [{"value": each["Value"], "name": each["Name"]} for each in metric.get("Dimensions", [])]
