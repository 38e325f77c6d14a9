"""What an alarm does when its state changes: it publishes to SNS topics, where their policies and keys let CloudWatch do so.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
"""

from __future__ import annotations

import fnmatch
import json
from datetime import UTC, datetime
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any

import botocore.session
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

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
        error = refusal(topic_arn, alarm)
        if error is None:
            try:
                sns_backends[ACCOUNT][topic_arn.split(":")[3]].topics[topic_arn].publish(text, subject=subject)
            except Exception as failure:
                error = f"the emulator failed: {failure!r}"
        data = {"actionState": "Failed", "error": error} if error else {"actionState": "Succeeded"}
        failed = f'Failed to execute action {topic_arn}. Received error: "{error}"'
        told = data | {"notificationResource": topic_arn, "publishedMessage": text}
        record(state, alarm, "Action", failed if error else f"Successfully executed action {topic_arn}", told)


def refusal(topic_arn: str, alarm: Alarm) -> str | None:
    """Why CloudWatch may not publish to a topic, in AWS's words; None where it may."""
    region = topic_arn.split(":")[3]
    topic = sns_backends[ACCOUNT][region].topics.get(topic_arn)
    if topic is None:
        return f"Topic {topic_arn} does not exist"
    context = {"aws:sourcearn": alarm.alarm_arn, "aws:sourceaccount": ACCOUNT, "aws:sourceowner": ACCOUNT}
    if not permits(json.loads(topic.policy), "sns:Publish", topic_arn, context):
        return f"CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: {topic_arn}"
    if topic.kms_master_key_id and not _key_is_usable(topic.kms_master_key_id, region, context):
        return "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
    return None


def _key_is_usable(key_id: str, region: str, context: dict[str, str]) -> bool:
    """Whether CloudWatch may use a key. The policy of AWS's own, alias/aws/sns, does not let it, and nobody can change that."""
    backend = kms_backends[ACCOUNT][region]
    try:
        key = backend.keys[backend.any_id_to_key_id(key_id)]
    except (KeyError, AttributeError, TypeError):  # what moto raises for an alias that nobody has
        return False
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    return key.key_state == "Enabled" and all(permits(json.loads(key.policy), action, key.arn, context) for action in actions)


def permits(policy: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether a resource's policy lets CloudWatch perform an action; C(context) has condition keys in lower case.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    effects = {
        statement["Effect"]
        for statement in _many(policy.get("Statement"))
        if _is_principal(statement)
        and _matches(action.lower(), (pattern.lower() for pattern in _many(statement.get("Action", "*"))))
        and _matches(resource, _many(statement.get("Resource", "*")))
        and all(
            _condition_holds(test, key.lower(), _many(values), context)
            for test, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    }
    return effects == {"Allow"}


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _matches(text: str, patterns: Any) -> bool:
    return any(fnmatch.fnmatchcase(text, str(pattern).replace("[", "[[]")) for pattern in patterns)


def _is_principal(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return "*" in _many(principal.get("AWS")) or SERVICE in _many(principal.get("Service")) or "*" in _many(principal.get("Service"))


def _condition_holds(test: str, key: str, values: list[Any], context: dict[str, str]) -> bool:
    """What a test of a condition says. CloudWatch calls over TLS; other keys are missing in its calls."""
    test, _, if_exists = test.partition("IfExists")
    actual = {"aws:securetransport": "true", "aws:principalservicename": SERVICE, **context}.get(key)
    negated = "Not" in test
    if actual is None:
        return bool(if_exists) or test.endswith("IfExists") or negated
    if test == "Bool":
        return actual == str(values[0]).lower()
    if test.removeprefix("String").removeprefix("Arn").replace("Not", "") not in ("Equals", "Like", "EqualsIgnoreCase"):
        return False  # a test that the emulator does not know lets nobody in
    # For ARNs, Equals and Like are the same.
    is_pattern = test.startswith("Arn") or "Like" in test
    found = _matches(actual, values) if is_pattern else actual.lower() in [str(value).lower() for value in values]
    return found != negated


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
