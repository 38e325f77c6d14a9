"""CloudWatch: alarms, their tags and history, and metric data; the dashboards are beside it."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends

from emulator import alarm_rule, alarms, metric_math
from emulator.alarms import Alarm, alarms_of, name_of
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

HOUR, DAY, WEEK = 3600, 86400, 604800
BAND_OPERATORS = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
SINGLE_METRIC_FIELDS = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
ACTION_FIELDS = ("OKActions", "AlarmActions", "InsufficientDataActions")
COMPOSITE_ACTIONS = ("sns", "lambda", "ssm", "ssm-incidents", "aiops")
DASHBOARD_REGION = "us-east-1"  # where all dashboards of an account are kept here: they belong to no region


def refuse(message: str) -> AwsError:
    """The error that CloudWatch gives for nearly everything."""
    return AwsError("ValidationError", message)


def backend_of(call: Call) -> CloudWatchBackend:
    return cloudwatch_backends[ACCOUNT][call.region]


def valid_params(call: Call) -> dict[str, Any]:
    """The parameters that a call gives; C(emulator/validation.py) has held them against the model."""
    return {key: value for key, value in call.params.items() if value is not None}


def token_of(*place: Any) -> str:
    """A token for the page after a place, which stays right when alarms come and go."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def place_of(token: str) -> tuple[Any, ...]:
    """The place of a token. Raises InvalidNextToken."""
    try:
        return tuple(json.loads(base64.urlsafe_b64decode(token)))
    except (binascii.Error, ValueError, TypeError):
        raise AwsError("InvalidNextToken", "The next token specified is invalid") from None


# --- Creation ---


@rule("cloudwatch", "PutMetricAlarm")
def a_metric_alarm_keeps_all_its_fields(call: Call, _proceed: Proceed) -> Answer:
    """Creates an alarm without data, or replaces the settings of one and leaves its state; tags are only taken for a new one.

    Moto starts alarms as OK, begins anew on every update, forgets newer fields and checks little. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    params = valid_params(call)
    check_metric_alarm(params)
    return put_alarm(call, params, is_composite=False)


@rule("cloudwatch", "PutCompositeAlarm")
def a_composite_alarm_looks_at_alarms_that_exist(call: Call, _proceed: Proceed) -> Answer:
    """The alarms in the rule must exist, and so must the suppressor, which needs both periods. Two composite alarms may look at each
    other in a circle; neither can be deleted then, nor is it evaluated. Moto has no composite alarms. Moto could take it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    """
    params = valid_params(call)
    try:
        children = alarm_rule.parse(params["AlarmRule"]).children
    except alarm_rule.RuleError as error:
        raise refuse(str(error)) from None
    known = alarms_of(call.region)
    if missing := [child for child in children if not exists(call, known, child)]:
        raise refuse(f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm rule do not exist")
    if params["AlarmName"] in map(name_of, children):
        raise refuse(f"Could not save the composite alarm as its alarm rule refers to itself: {params['AlarmName']}")
    periods = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
    if "ActionsSuppressor" in params:
        if not exists(call, known, params["ActionsSuppressor"]):
            raise refuse(f"Could not save the composite alarm as the actions suppressor [{params['ActionsSuppressor']}] does not exist")
        if absent := [period for period in periods if period not in params]:
            raise refuse(f"{' and '.join(absent)} must be specified when ActionsSuppressor is specified")
    elif given := [period for period in periods if period in params]:
        raise refuse(f"{' and '.join(given)} can only be specified when ActionsSuppressor is specified")
    return put_alarm(call, params, is_composite=True)


def exists(call: Call, known: Mapping[str, Alarm], name_or_arn: str) -> bool:
    """Whether an alarm that is given by its name or its ARN exists in the account and region of the call."""
    alarm = known.get(name_of(name_or_arn))
    return bool(alarm) and name_or_arn in (alarm.name, alarm.alarm_arn)  # type: ignore[union-attr]


def put_alarm(call: Call, params: dict[str, Any], is_composite: bool) -> Answer:
    """Create an alarm, or replace the settings of one."""
    check_actions(call, params, is_composite)
    name, tags = params["AlarmName"], params.pop("Tags", [])
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise refuse("AlarmName must not contain ASCII Control characters")
    for query in params.get("Metrics", []):
        query.setdefault("ReturnData", True)
    known = alarms_of(call.region)
    if alarm := known.get(name):
        if alarm.is_composite != is_composite:
            raise refuse(f"An alarm of another type exists with the name {name}")
        alarm.configure(params)
        alarms.record(call.state, alarm, "ConfigurationUpdate", f'Alarm "{name}" updated', {"type": "Update"})
        return {}
    alarm = known[name] = Alarm(call.region, name, is_composite, params)
    if "EvaluationCriteria" in params:
        alarm.state = alarm.announced = "OK"
    if tags:
        backend_of(call).tagger.tag_resource(alarm.alarm_arn, tags)
    alarms.record(call.state, alarm, "ConfigurationUpdate", f'Alarm "{name}" created', {"type": "Create"})
    return {}


def check_actions(call: Call, params: Mapping[str, Any], is_composite: bool) -> None:
    """Actions are ARNs of the alarm's region. A composite alarm cannot act on instances and groups."""
    for action in (action for field in ACTION_FIELDS for action in params.get(field, [])):
        parts = action.split(":", 5)
        if len(parts) < 6 or parts[0] != "arn" or not all((parts[1], parts[2], parts[5])):
            raise refuse(f"Invalid arn syntax: {action}")
        if parts[3] not in ("", call.region):
            raise refuse(f"Invalid region {parts[3]} specified. Only {call.region} is supported.")
        if is_composite and parts[2] not in COMPOSITE_ACTIONS:
            raise refuse(f"Unsupported action for a composite alarm: {action}")


def check_metric_alarm(params: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses beyond the constraints of the model."""
    metrics, periods = params.get("Metrics", []), params.get("EvaluationPeriods", 1)
    if ("MetricName" in params) + bool(metrics) + ("EvaluationCriteria" in params) != 1:
        raise refuse("Exactly one of MetricName, Metrics and EvaluationCriteria must be specified")
    if "MetricName" not in params:
        for field in SINGLE_METRIC_FIELDS:
            if field in params:
                raise refuse(f"{field} must not be set if {'Metrics' if metrics else 'EvaluationCriteria'} is set")
    if "EvaluationCriteria" in params:
        if "EvaluationInterval" not in params:
            raise refuse("EvaluationInterval is required if EvaluationCriteria is set")
        return
    if "EvaluationPeriods" not in params:
        raise refuse("PutMetricAlarm request should have an EvaluationPeriods parameter")
    if "ComparisonOperator" not in params:
        raise refuse("PutMetricAlarm request should have a valid ComparisonOperator parameter")
    if params.get("DatapointsToAlarm", periods) > periods:
        raise refuse("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    check_option(params, "TreatMissingData", "breaching", "notBreaching", "ignore", "missing")
    check_option(params, "EvaluateLowSampleCountPercentile", "evaluate", "ignore")
    check_threshold(params)
    if metrics:
        check_math(params)
    else:
        check_single_metric(params)


def check_option(params: Mapping[str, Any], field: str, *options: str) -> None:
    if (option := params.get(field, options[0])) not in options:
        supported = f"{', '.join(options[:-1])} and {options[-1]}"
        raise refuse(f"Option {option} is not supported. Supported options for parameter {field} are {supported}.")


def check_threshold(params: Mapping[str, Any]) -> None:
    band, operator = params.get("ThresholdMetricId"), params["ComparisonOperator"]
    if (band is None) == ("Threshold" not in params):
        raise refuse("Exactly one of Threshold and ThresholdMetricId must be specified")
    if not math.isfinite(params.get("Threshold", 0)):
        raise refuse("PutMetricAlarm request should have valid Threshold parameter")
    if (band is not None) != (operator in BAND_OPERATORS):
        raise refuse(f"ComparisonOperator {operator} {'cannot' if band else 'can only'} be used with ThresholdMetricId")
    if band is not None and [query["Id"] for query in params.get("Metrics", [])].count(band) != 1:
        raise refuse("Metrics list must contain exactly one metric matching the ThresholdMetricId parameter")


def check_single_metric(params: Mapping[str, Any]) -> None:
    statistic, extended = params.get("Statistic"), params.get("ExtendedStatistic")
    if "Namespace" not in params:
        raise refuse("PutMetricAlarm request should have a Namespace parameter")
    if "Period" not in params:
        raise refuse("PutMetricAlarm request should have a Period parameter")
    if (statistic is None) == (extended is None):
        raise refuse("Exactly one of Statistic and ExtendedStatistic must be specified")
    if extended is not None and (extended in metric_math.BASIC or not metric_math.is_statistic(extended)):
        raise AwsError("InvalidParameterValue", f"The value {extended} for parameter ExtendedStatistic is not supported.")
    if "EvaluateLowSampleCountPercentile" in params and not str(extended).startswith("p"):
        raise refuse(
            f"Option evaluateLowSampleCountPercentile can not be applied with statistic {statistic or extended}. "
            "This option is enabled only for percentile statistics."
        )
    check_period(params["Period"], params["EvaluationPeriods"])


def check_math(params: Mapping[str, Any]) -> None:
    ids = [query["Id"] for query in params["Metrics"]]
    for query in params["Metrics"]:
        if not re.fullmatch(r"[a-z]\w*", query["Id"], re.ASCII) or ids.count(query["Id"]) > 1:
            allowed = "begin with a lower-case letter, hold letters, digits and _ only, and be unique"
            raise refuse(f"Invalid metrics list: the id {query['Id']} must {allowed}")
        if ("Expression" in query) == ("MetricStat" in query):
            raise refuse(f"Invalid metrics list: {query['Id']} must have exactly one of Expression and MetricStat")
        if "MetricStat" in query:
            stat = query["MetricStat"]
            if not {"Namespace", "MetricName"} <= stat["Metric"].keys():
                raise refuse(f"Invalid metrics list: the metric of {query['Id']} must have a Namespace and a MetricName")
            if not metric_math.is_statistic(stat["Stat"]):
                raise refuse(f"The value {stat['Stat']} for parameter Stat is not supported.")
            check_period(stat["Period"], params["EvaluationPeriods"])
        elif "Period" in query:
            check_period(query["Period"], params["EvaluationPeriods"])
        check_expression(query, ids)
    # An anomaly band returns its data beside those of the metric.
    if sum(query.get("ReturnData", True) for query in params["Metrics"] if query["Id"] != params.get("ThresholdMetricId")) != 1:
        raise refuse("Exactly one element of the metrics list should return data.")


def check_expression(query: Mapping[str, Any], ids: list[str]) -> None:
    try:
        tree = metric_math.parse(query.get("Expression", "0"))
    except metric_math.Unsupported:
        return
    except ValueError as error:
        raise refuse(f"Error in expression '{query['Id']}': {error}") from None
    if unknown := metric_math.names_in(tree) - set(ids):
        raise refuse(f"Error in expression '{query['Id']}': undefined variable {', '.join(sorted(unknown))}")


def check_period(period: int, periods: int) -> None:
    if period not in (10, 20, 30) and period % 60:
        raise refuse("Period must be 10, 20, 30 or a multiple of 60")
    longest, unit, sign = (WEEK, "week", ">=") if period >= HOUR else (DAY, "day", "<")
    if period * periods > longest:
        raise refuse(
            f"Metrics cannot be checked across more than a {unit} (EvaluationPeriods * Period must be <= {longest}) "
            f"for alarms using period {sign} {HOUR}"
        )


# --- Reading ---


def described(call: Call, alarm: Alarm) -> dict[str, Any]:
    """An alarm as DescribeAlarms gives it."""
    assert call.model
    members = call.model.shape_for(alarm.kind).members
    description = {key: value for key, value in alarm.settings.items() if key in members}
    for field in ACTION_FIELDS if alarm.is_composite else (*ACTION_FIELDS, "Dimensions"):
        description.setdefault(field, [])
    return description | {
        "AlarmArn": alarm.alarm_arn,
        "ActionsEnabled": alarm.settings.get("ActionsEnabled", True),
        "AlarmConfigurationUpdatedTimestamp": alarm.configured,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.updated,
        "StateTransitionedTimestamp": alarm.transitioned,
        **({"StateReasonData": alarm.reason_data} if alarm.reason_data else {}),
        **({"ActionsSuppressedBy": alarm.suppressed_by} if alarm.suppressed_by else {}),
        **({"ActionsSuppressedReason": f"Actions suppressed by {alarm.suppressed_by}"} if alarm.suppressed_by else {}),
    }


@rule("cloudwatch", "DescribeAlarms")
def alarms_are_read_in_pages(call: Call, _proceed: Proceed) -> Answer:
    """All filters count, metric alarms are read where no type is given, and pages are at most 100 long, 50 by default.

    Moto looks at one filter only and gives all at once. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    """
    params = valid_params(call)
    most, after = params.pop("MaxRecords", 50), place_of(params.pop("NextToken", "")) if params.get("NextToken") else ("", "")
    if {"AlarmNames", "AlarmNamePrefix"} <= params.keys():
        raise refuse("AlarmNames and AlarmNamePrefix can not be specified together")
    relation = {"ChildrenOfAlarmName", "ParentsOfAlarmName"} & params.keys()
    if relation and len(params) > 1:
        raise refuse(f"No other filters are allowed when {sorted(relation)[0]} is specified")
    found = sorted((alarm.kind, alarm.name) for alarm in filtered(alarms_of(call.region), params))
    page = [place for place in found if place > after][:most]
    known = [alarms_of(call.region)[name] for _kind, name in page]
    answer: Answer = {"MetricAlarms": [], "CompositeAlarms": []}
    for alarm in known:
        description = described(call, alarm)
        if "ParentsOfAlarmName" in params:
            description = {field: description[field] for field in ("AlarmName", "AlarmArn")}
        elif relation:
            description = {field: description[field] for field in ("AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp")}
        answer[f"{alarm.kind}s"].append(description)
    return answer | ({"NextToken": token_of(*page[-1])} if page and page[-1] != found[-1] else {})


def filtered(known: Mapping[str, Alarm], params: Mapping[str, Any]) -> list[Alarm]:
    """The alarms that DescribeAlarms looks for."""
    if parent := known.get(params.get("ChildrenOfAlarmName", "")):
        return [known[name] for name in children_of(parent) if name in known]
    if "ChildrenOfAlarmName" in params:
        return []
    if child := params.get("ParentsOfAlarmName"):
        return [alarm for alarm in known.values() if child in children_of(alarm)]
    names = params.get("AlarmNames") or known
    return [
        known[name]
        for name in dict.fromkeys(names)
        if name in known
        and name.startswith(params.get("AlarmNamePrefix", ""))
        and known[name].kind in (params.get("AlarmTypes") or ["MetricAlarm"])
        and known[name].state == params.get("StateValue", known[name].state)
        and has_action(known[name], params.get("ActionPrefix", ""))
    ]


def children_of(alarm: Alarm) -> set[str]:
    return {name_of(child) for child in alarm.rule.children} if alarm.rule else set()


def has_action(alarm: Alarm, prefix: str) -> bool:
    return not prefix or any(action.startswith(prefix) for field in ACTION_FIELDS for action in alarm.settings.get(field, []))


@rule("cloudwatch", "DescribeAlarmsForMetric")
def alarms_of_a_metric(call: Call, _proceed: Proceed) -> Answer:
    """The alarms on exactly this metric, dimensions included; statistic, period and unit count where they are given.

    Moto compares name and namespace alone. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmsForMetric.html
    """
    params = valid_params(call)
    key = alarms.metric_key(params["Namespace"], params)
    filters = {field: params[field] for field in ("Statistic", "ExtendedStatistic", "Period", "Unit") if field in params}
    found = [
        described(call, alarm)
        for alarm in alarms_of(call.region).values()
        if key in alarm.watches and filters.items() <= {field: alarm.settings.get(field) for field in filters}.items()
    ]
    return {"MetricAlarms": found}


@rule("cloudwatch", "DescribeAlarmHistory")
def alarms_have_a_history(call: Call, _proceed: Proceed) -> Answer:
    """What happened to alarms, the newest first, also to those that are gone: changes of settings and state, and actions.

    Moto does not implement it. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
    """
    params = valid_params(call)
    most, start = params.get("MaxRecords", 100), place_of(params["NextToken"])[0] if params.get("NextToken") else 0
    # Moto reads times without a zone.
    begin, end = (params.get(field, limit).replace(tzinfo=UTC) for field, limit in (("StartDate", datetime.min), ("EndDate", datetime.max)))
    items = [
        item
        for region, item in list(call.state.alarm_history)
        if region == call.region
        and item["AlarmName"] == params.get("AlarmName", item["AlarmName"])
        and item["AlarmType"] in (params.get("AlarmTypes") or ["MetricAlarm"])
        and item["HistoryItemType"] == params.get("HistoryItemType", item["HistoryItemType"])
        and begin <= item["Timestamp"] <= end
    ]
    if params.get("ScanBy") != "TimestampAscending":
        items.reverse()
    more = {"NextToken": token_of(start + most)} if start + most < len(items) else {}
    return {"AlarmHistoryItems": items[start : start + most], **more}


# --- Changes ---


@rule("cloudwatch", "DeleteAlarms")
def an_alarm_that_another_looks_at_stays(call: Call, _proceed: Proceed) -> Answer:
    """Deletes all or nothing: not what a composite alarm looks at, and one composite alarm at most. Names that nobody has are no error.

    Moto deletes whatever is named. Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
    """
    known = alarms_of(call.region)
    doomed = {name: known[name] for name in valid_params(call)["AlarmNames"] if name in known}
    if sum(alarm.is_composite for alarm in doomed.values()) > 1:
        raise refuse("Request must contain at most 1 composite alarm")
    # AWS does not say what becomes of children that go together with their composite alarm; here they stay.
    looked_at = {name for alarm in known.values() for name in alarm.looks_at}
    if kept := [name for name in doomed if name in looked_at]:
        them = "it" if len(kept) == 1 else "them"
        raise refuse(f"Cannot delete {','.join(kept)} as there are composite alarm(s) depending on {them}.")
    for name, alarm in doomed.items():
        del known[name]
        backend_of(call).tagger.delete_all_tags_for_resource(alarm.alarm_arn)
        alarms.record(call.state, alarm, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"})
    return {}


@rule("cloudwatch", "EnableAlarmActions", "DisableAlarmActions")
def actions_can_be_switched(call: Call, _proceed: Proceed) -> Answer:
    """Switches the actions of alarms; names that nobody has are no error. Moto keeps the switch, and executes no actions.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DisableAlarmActions.html
    """
    known = alarms_of(call.region)
    for name in valid_params(call)["AlarmNames"]:
        if name in known:
            known[name].settings["ActionsEnabled"] = call.operation == "EnableAlarmActions"
    return {}


@rule("cloudwatch", "SetAlarmState")
def a_state_can_be_set(call: Call, _proceed: Proceed) -> Answer:
    """Sets a state by hand, with all its consequences, until the next evaluation: here, until data come or settings change, so that
    a test has the time to see it. Moto executes no actions.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
    """
    params = valid_params(call)
    try:
        json.loads(params.get("StateReasonData", "{}"))
    except ValueError:
        raise AwsError("InvalidFormat", "StateReasonData is not valid JSON") from None
    alarm = alarms_of(call.region).get(params["AlarmName"])
    if alarm is None:
        raise AwsError("ResourceNotFound", f"The alarm {params['AlarmName']} does not exist")
    alarm.due = alarms.NEVER
    alarms.change_state(call.state, alarm, params["StateValue"], params["StateReason"], params.get("StateReasonData"))
    return {}


@rule("cloudwatch", "PutMetricData")
def alarms_see_metric_data(call: Call, proceed: Proceed) -> Answer:
    """Data are kept for the alarms, which are evaluated soon. Moto evaluates none.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    answer = proceed()
    alarms.put_data(call.state, call.region, call.params["Namespace"], call.params.get("MetricData", []))
    return answer


# --- Tags ---


@rule("cloudwatch", "ListTagsForResource", "TagResource", "UntagResource")
def alarms_and_dashboards_have_tags(call: Call, proceed: Proceed) -> Answer:
    """Tags belong to what exists: alarms, dashboards, insight rules. In moto they also belong to alarms that are gone.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_TagResource.html
    """
    params = valid_params(call)
    arn = params["ResourceARN"]
    if ":insight-rule/" in arn:
        return proceed()
    backend = cloudwatch_backends[ACCOUNT][DASHBOARD_REGION if ":dashboard/" in arn else call.region]
    name = arn.rpartition("/")[2] if ":dashboard/" in arn else name_of(arn)
    owner = backend.dashboards.get(name) if ":dashboard/" in arn else alarms_of(call.region).get(name)
    if owner is None or arn != (owner.alarm_arn if isinstance(owner, Alarm) else owner.arn):
        raise AwsError("ResourceNotFoundException", f"Unknown resource: {arn}")
    if call.operation == "ListTagsForResource":
        return {"Tags": [{"Key": key, "Value": value} for key, value in backend.tagger.get_tag_dict_for_resource(arn).items()]}
    backend.tagger.tag_resource(arn, params.get("Tags"))
    backend.tagger.untag_resource_using_names(arn, params.get("TagKeys", []))
    return {}
