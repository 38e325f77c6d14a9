# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""CloudWatch alarms as one wanted state: what is wrong with it, and what has to happen to reach it. Nothing here calls AWS.

The way of an alarm: what the user wrote (a dictionary in our words) becomes the request that AWS takes; from a request, or from
what AWS describes, come the settings, in our words again, in one form whatever AWS adds or reorders. Settings are compared and shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

try:
    from botocore import xform_name
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change

OWNER_TAG = "threetier:alarm-set"

# Our words for the API's where they are not its own in snake_case.
OUR_WORDS = {"AlarmName": "name", "AlarmDescription": "description"}

# The fields that belong to one way of saying what an alarm watches. All that a kind of alarm has, botocore's model of CloudWatch tells.
SINGLE_METRIC_FIELDS = {
    "metric_name",
    "namespace",
    "dimensions",
    "statistic",
    "extended_statistic",
    "period",
    "unit",
    "evaluate_low_sample_count_percentile",
}
THRESHOLD_FIELDS = {"evaluation_periods", "datapoints_to_alarm", "threshold", "threshold_metric_id", "comparison_operator", "evaluation_window"}
PROMQL_FIELDS = {"evaluation_criteria", "evaluation_interval"}

# A default gives way where the alarm itself has the other of the pair.
ALTERNATIVES = {
    "statistic": "extended_statistic",
    "extended_statistic": "statistic",
    "threshold": "threshold_metric_id",
    "threshold_metric_id": "threshold",
}
# What AWS takes for a field that is not given, and may or may not answer with.
AWS_DEFAULTS = {
    "actions_enabled": True,
    "treat_missing_data": "missing",
    "evaluate_low_sample_count_percentile": "evaluate",
    "evaluation_window": {"sliding_window": {}},
}
# The same inside a field, by the API's name of the structure.
AWS_NESTED_DEFAULTS = {
    "WallClockWindow": {"timezone": "UTC"},
    "WarmUpConfiguration": {"only_start_evaluating_after_warm_up_period_ends": False},
    "PromQLCriteria": {"pending_period": 0, "recovery_period": 0},
}

# What AWS demands and botocore's model does not say.
CHOICES = {
    "treat_missing_data": ("breaching", "notBreaching", "ignore", "missing"),
    "evaluate_low_sample_count_percentile": ("evaluate", "ignore"),
}
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
BAND_OPERATORS = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
EXTENDED_STATISTIC = re.compile(r"(p|tm|tc|ts|wm)(\d{1,2}(\.\d{1,10})?|100)|(PR|TM|TC|TS|WM)\([^:()]*:[^:()]*\)|IQM")
FIELD = re.compile(r"\w+")  # that a problem begins with
METRIC_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
ALARM_IN_RULE = re.compile(r"""(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]*)"|'([^']*)'|([^"')]*?))\s*\)""")
HOUR, DAY, WEEK = 3600, 86400, 604800


class AlarmSetError(Exception):
    """What is wrong with the wanted alarms, all of it, in words for the person who wrote them."""


@dataclass(frozen=True)
class Alarm:
    """One alarm, as it is wanted or as it is."""

    name: str
    is_composite: bool
    settings: Mapping[str, Any]
    request: Mapping[str, Any] = field(default_factory=dict)
    arn: str = ""
    state: str | None = None

    @property
    def looks_at(self) -> set[str]:
        """The alarms of a composite alarm's rule, and the one that suppresses its actions."""
        in_rule = {alarm_name("".join(groups)) for groups in ALARM_IN_RULE.findall(self.settings.get("alarm_rule", ""))}
        return in_rule | ({self.settings["actions_suppressor"]} if "actions_suppressor" in self.settings else set())


def alarm_name(name_or_arn: str) -> str:
    """The name, where AWS takes and gives either that or the ARN."""
    return name_or_arn.split(":alarm:", 1)[-1] if name_or_arn.startswith("arn:") else name_or_arn


# --- What the user wrote ---


def wanted_alarms(alarms: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any], model: Any, name_prefix: str = "") -> list[Alarm]:
    """The wanted alarms, the defaults merged under each. All that is wrong with any of them is said in one AlarmSetError.

    C(model) is botocore's service model of CloudWatch, which knows every field, its type, length, range and choices.
    """
    known = fields_of(False, model) | fields_of(True, model)
    problems = [f"defaults: {key}: no alarm has such a field; there are {', '.join(known)}" for key in defaults if key not in known]
    wanted: dict[str, Alarm] = {}
    for number, written in enumerate(alarms):
        is_composite = written.get("alarm_rule") is not None
        found: list[str] = []
        alarm = with_defaults(written, defaults, fields_of(is_composite, model))
        request = to_request(alarm, is_composite, model, found)
        name = request.get("AlarmName")
        found += problems_between_fields(request, is_composite, bad={FIELD.match(problem)[0] for problem in found})
        if name and not str(name).startswith(name_prefix):
            found.append(f"name: must begin with the name_prefix {name_prefix!r}")
        if name in wanted:
            found.append("name: another alarm of the set has the same")
        elif name:
            wanted[name] = Alarm(name, is_composite, settings_of(request, is_composite, model), request)
        problems += [f"{name or f'alarms[{number}]'}: {problem}" for problem in found]
    try:
        in_order_of_rules(wanted.values())
    except CycleError as error:
        circle = error.args[1]
        problems.append(f"{circle[0]}: alarm_rule: the alarms look at each other in a circle: {' -> '.join(circle)}")
    if problems:
        raise AlarmSetError("\n".join(problems))
    return list(wanted.values())


def with_defaults(alarm: Mapping[str, Any], defaults: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The alarm with the defaults that its kind, of the C(fields), has. A field that the alarm sets to null has no default."""
    strange = {key for key in defaults if key not in fields}
    if "metrics" in alarm:
        strange |= SINGLE_METRIC_FIELDS
    if "evaluation_criteria" in alarm:
        strange |= {*SINGLE_METRIC_FIELDS, *THRESHOLD_FIELDS, "metrics"}
    merged = dict(alarm)
    for key, value in defaults.items():
        if key not in alarm and ALTERNATIVES.get(key) not in alarm and key not in strange:
            merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}


def fields_of(is_composite: bool, model: Any) -> dict[str, str]:
    """The API's name of each field of a kind of alarm, by ours."""
    members = model.operation_model("PutCompositeAlarm" if is_composite else "PutMetricAlarm").input_shape.members
    return {OUR_WORDS.get(member, xform_name(member)): member for member in members if member != "Tags"}


def to_request(alarm: Mapping[str, Any], is_composite: bool, model: Any, problems: list[str]) -> dict[str, Any]:
    """The alarm as AWS takes it; what cannot be is added to C(problems)."""
    fields = fields_of(is_composite, model)
    members = model.operation_model("PutCompositeAlarm" if is_composite else "PutMetricAlarm").input_shape.members
    if "name" not in alarm:
        problems.append("name: is missing")
    for key in alarm:
        if key not in fields:
            kind = "composite" if is_composite else "metric"
            problems.append(f"{key}: a {kind} alarm has no such field; it has {', '.join(fields)}")
    return {fields[key]: to_api(members[fields[key]], value, key, problems) for key, value in alarm.items() if key in fields}


def to_api(shape: Any, value: Any, where: str, problems: list[str]) -> Any:
    """C(value) in the type of botocore's C(shape), names in the API's words; what cannot be is added to C(problems)."""
    if shape.type_name == "structure":
        if not isinstance(value, Mapping):
            problems.append(f"{where}: must be a dictionary, not {value!r}")
            return {}
        members = {xform_name(member): member for member in shape.members}
        problems += [f"{where}.{key}: no such field; there are {', '.join(members)}" for key in value if key not in members]
        problems += [f"{where}.{xform_name(key)}: is missing" for key in shape.required_members if value.get(xform_name(key)) is None]
        return {
            members[key]: to_api(shape.members[members[key]], item, f"{where}.{key}", problems)
            for key, item in value.items()
            if key in members and item is not None
        }
    if shape.type_name == "list":
        items = value
        if shape.name == "Dimensions" and isinstance(value, Mapping):
            items = [{"name": name, "value": item} for name, item in value.items()]
        if not isinstance(items, list):
            problems.append(f"{where}: must be a {'dictionary' if shape.name == 'Dimensions' else 'list'}, not {value!r}")
            return []
        check_size(shape, len(items), "entries", where, problems)
        return [to_api(shape.member, item, f"{where}[{number}]", problems) for number, item in enumerate(items)]
    return to_scalar(shape, value, where, problems)


def to_scalar(shape: Any, value: Any, where: str, problems: list[str]) -> Any:
    if shape.type_name == "boolean":
        if not isinstance(value, bool):
            problems.append(f"{where}: must be true or false, not {value!r}")
        return value
    if shape.type_name == "string":
        text = str(value)
        choices = CHOICES.get(where) or shape.enum
        if isinstance(value, (Mapping, list, bool)):
            problems.append(f"{where}: must be a string, not {value!r}")
        elif choices and text not in choices:
            problems.append(f"{where}: must be one of {', '.join(choices)}, not {text!r}")
        else:
            check_size(shape, len(text), "characters", where, problems)
            if "pattern" in shape.metadata and not re.fullmatch(shape.metadata["pattern"], text):
                problems.append(f"{where}: must match {shape.metadata['pattern']}, and {text!r} does not")
        return text
    try:
        number = int(str(value)) if shape.type_name in ("integer", "long") else float(str(value))
    except ValueError:
        problems.append(f"{where}: must be {'a whole number' if shape.type_name in ('integer', 'long') else 'a number'}, not {value!r}")
        return value
    check_size(shape, number, "", where, problems)
    return number


def check_size(shape: Any, size: float, unit: str, where: str, problems: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        problems.append(f"{where}: must be at least {least} {unit}".rstrip() + f", not {size}")
    if most is not None and size > most:
        problems.append(f"{where}: must be at most {most} {unit}".rstrip() + f", not {size}")


def problems_between_fields(request: Mapping[str, Any], is_composite: bool, bad: set[str]) -> list[str]:
    """What is wrong with an alarm beyond its single fields, those that are C(bad) left out of it."""
    given = {OUR_WORDS.get(member, xform_name(member)): member for member in request}
    good = {member: request[member] for key, member in given.items() if key not in bad}
    if is_composite:
        found = composite_problems(good)
    elif "metrics" in bad:
        found = []
    else:
        found = metric_problems(good, set(given))
    return [problem for problem in found if not bad & {FIELD.match(problem)[0], ALTERNATIVES.get(FIELD.match(problem)[0])}]


def metric_problems(request: Mapping[str, Any], given: set[str]) -> list[str]:
    """What is wrong between the fields of a metric alarm. AWS says one such thing at a time, and only when it is asked."""
    ways = [way for way in ("metric_name", "metrics", "evaluation_criteria") if way in given]
    if len(ways) != 1:
        said = f"cannot be given with {ways[1]}" if ways else "is missing"
        return [f"{[*ways, 'metric_name'][0]}: {said}; an alarm has one of metric_name, metrics, evaluation_criteria and alarm_rule"]
    if ways == ["evaluation_criteria"]:
        strange, required = SINGLE_METRIC_FIELDS | THRESHOLD_FIELDS, ["evaluation_interval"]
    elif ways == ["metrics"]:
        # the percentile may be that of one of the metrics
        strange = (SINGLE_METRIC_FIELDS | PROMQL_FIELDS) - {"evaluate_low_sample_count_percentile"}
        required = ["comparison_operator", "evaluation_periods"]
    else:
        strange, required = PROMQL_FIELDS, ["comparison_operator", "evaluation_periods", "namespace", "period"]
    problems = [f"{key}: cannot be given with {ways[0]}" for key in sorted(given & strange)]
    problems += [f"{key}: is missing; {ways[0]} needs it" for key in required if key not in given]
    if ways == ["evaluation_criteria"]:
        return problems + period_problems("evaluation_interval", request.get("EvaluationInterval"))
    problems += math_problems(request) if ways == ["metrics"] else single_metric_problems(request)
    problems += band_problems(request)
    periods = request.get("EvaluationPeriods", 1)
    if request.get("DatapointsToAlarm", 1) > periods:
        problems.append(f"datapoints_to_alarm: must be at most evaluation_periods, {periods}")
    period = max([request.get("Period", 1), *(query.get("MetricStat", query).get("Period", 1) for query in request.get("Metrics", []))])
    longest = WEEK if period >= HOUR else DAY
    if period * periods > longest:
        problems.append(f"evaluation_periods: times period ({period} s) must be at most {longest} s, not {period * periods}")
    return problems


def single_metric_problems(request: Mapping[str, Any]) -> list[str]:
    problems = period_problems("period", request.get("Period"))
    statistic, extended = request.get("Statistic"), request.get("ExtendedStatistic")
    if (statistic is None) == (extended is None):
        problems.append("statistic: give exactly one of statistic and extended_statistic")
    if extended is not None and not EXTENDED_STATISTIC.fullmatch(extended):
        problems.append(f"extended_statistic: must be like p99, tm95, IQM or PR(0:100), not {extended!r}")
    if extended is None and "EvaluateLowSampleCountPercentile" in request:
        problems.append("evaluate_low_sample_count_percentile: only goes with extended_statistic")
    return problems


def math_problems(request: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    queries = request["Metrics"]
    ids = [query["Id"] for query in queries]
    for number, query in enumerate(queries):
        where, metric = f"metrics[{number}]", query.get("MetricStat", {})
        if not METRIC_ID.fullmatch(query["Id"]):
            problems.append(f"{where}.id: must begin with a lower-case letter and hold letters, digits and _ only, not {query['Id']!r}")
        if ids.count(query["Id"]) > 1:
            problems.append(f"{where}.id: {query['Id']!r} is given twice")
        if ("Expression" in query) == bool(metric):
            problems.append(f"{where}: give exactly one of expression and metric_stat")
        if metric and metric["Stat"] not in STATISTICS and not EXTENDED_STATISTIC.fullmatch(metric["Stat"]):
            problems.append(f"{where}.metric_stat.stat: must be one of {', '.join(STATISTICS)}, or like p99, not {metric['Stat']!r}")
        problems += period_problems(f"{where}.period", query.get("Period"))
        problems += period_problems(f"{where}.metric_stat.period", metric.get("Period"))
    returned = [query["Id"] for query in queries if query.get("ReturnData", True) and query["Id"] != request.get("ThresholdMetricId")]
    if len(returned) != 1:
        problems.append(
            f"metrics: exactly one must be watched, so the others need return_data: false; now it is {', '.join(returned) or 'none'}"
        )
    return problems


def band_problems(request: Mapping[str, Any]) -> list[str]:
    """What is wrong with the threshold: a number, or an anomaly band with operators of its own."""
    problems: list[str] = []
    band, operator = request.get("ThresholdMetricId"), request.get("ComparisonOperator")
    if (band is None) == ("Threshold" not in request):
        problems.append("threshold: give exactly one of threshold and threshold_metric_id")
    if band is not None and band not in [query["Id"] for query in request.get("Metrics", [])]:
        problems.append(f"threshold_metric_id: {band!r} is the id of none of the metrics")
    if operator is not None and (band is not None) != (operator in BAND_OPERATORS):
        only = "only goes" if operator in BAND_OPERATORS else "does not go"
        problems.append(f"comparison_operator: {operator} {only} with threshold_metric_id")
    return problems


def period_problems(where: str, period: int | None) -> list[str]:
    if period is None or period in (10, 20, 30) or (period > 0 and period % 60 == 0):
        return []
    return [f"{where}: must be 10, 20, 30 or a multiple of 60, not {period}"]


def composite_problems(request: Mapping[str, Any]) -> list[str]:
    periods = {"ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"}
    if "ActionsSuppressor" in request:
        return [f"{xform_name(member)}: is missing; actions_suppressor needs it" for member in sorted(periods - request.keys())]
    return [f"{xform_name(member)}: only goes with actions_suppressor" for member in sorted(periods & request.keys())]


# --- What can be compared and shown ---


def described_alarm(description: Mapping[str, Any], is_composite: bool, model: Any) -> Alarm:
    """An alarm of DescribeAlarms' answer."""
    arn = description["AlarmArn"]
    settings = without_account(settings_of(description, is_composite, model), arn)
    return Alarm(description["AlarmName"], is_composite, settings, arn=arn, state=description.get("StateValue"))


def settings_of(api: Mapping[str, Any], is_composite: bool, model: Any) -> dict[str, Any]:
    """The settings in a request or a description, in our words and one form; what is empty, or AWS's default, is left out."""
    fields = fields_of(is_composite, model)
    settings = {key: in_our_words(member, api[member]) for key, member in fields.items() if api.get(member) not in (None, "", [])}
    if settings.get("datapoints_to_alarm") == settings.get("evaluation_periods"):
        settings.pop("datapoints_to_alarm", None)
    return {key: value for key, value in settings.items() if key != "name" and value != AWS_DEFAULTS.get(key)}


def without_account(settings: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The settings without the account of the alarm's C(arn), which AWS takes, and may add, where a metric names none."""
    own = ("account_id", arn.split(":")[4])
    metrics = {key: dict(item for item in query.items() if item != own) for key, query in settings.get("metrics", {}).items()}
    return {**settings, "metrics": metrics} if metrics else dict(settings)


def in_our_words(member: str, value: Any) -> Any:
    """C(value) of the API's field C(member) so that it does not matter in which order AWS holds it."""
    if member == "Dimensions":
        return {dimension["Name"]: dimension["Value"] for dimension in sorted(value, key=lambda dimension: dimension["Name"])}
    if member == "Metrics":
        queries = sorted(({"ReturnData": True} | dict(query) for query in value), key=lambda query: query["Id"])
        return {query["Id"]: in_our_words("", {key: item for key, item in query.items() if key != "Id"}) for query in queries}
    if member == "AlarmRule":
        return " ".join(value.split())
    if member == "ActionsSuppressor":
        return alarm_name(value)
    if isinstance(value, Mapping):
        given = {xform_name(key): in_our_words(key, item) for key, item in value.items() if item not in (None, "", [])}
        return AWS_NESTED_DEFAULTS.get(member, {}) | given
    if isinstance(value, list):
        return sorted(set(value))  # actions: AWS runs all of them, in no order
    return value


def as_written(alarm: Alarm) -> dict[str, Any]:
    """The alarm as a user would write it: what C(wanted_alarms) takes."""
    settings = dict(alarm.settings)
    if "metrics" in settings:
        settings["metrics"] = [{"id": metric_id, **query} for metric_id, query in settings["metrics"].items()]
    return {"name": alarm.name, **settings}


# --- What has to happen ---


@dataclass
class Plan:
    """What has to happen to the alarms. Those that are C(replaced) go before those of the same name, which are C(added).

    C(tags) are what happens to the tags of those that are C(added), by name: AWS takes tags only with a new alarm.
    """

    replaced: list[Alarm] = field(default_factory=list)
    added: list[Alarm] = field(default_factory=list)
    changed: list[tuple[Alarm, Alarm]] = field(default_factory=list)
    retagged: list[tuple[Alarm, TagChange]] = field(default_factory=list)
    deleted: list[Alarm] = field(default_factory=list)
    tags: dict[str, TagChange] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.retagged or self.deleted)

    @property
    def diff(self) -> dict[str, dict[str, Any]]:
        """Before and after, alarm by alarm, of the fields that change."""
        before: dict[str, Any] = {alarm.name: dict(alarm.settings) for alarm in self.deleted}
        before |= {alarm.name: {**alarm.settings, "tags": dict(self.tags[alarm.name].current)} for alarm in self.replaced}
        after: dict[str, Any] = {alarm.name: {**alarm.settings, "tags": self.tags[alarm.name].result} for alarm in self.added}
        for current, wanted in self.changed:
            before[wanted.name], after[wanted.name] = both_sides(current.settings, wanted.settings, AWS_DEFAULTS)
        for alarm, tags in self.retagged:
            before[alarm.name] = before.get(alarm.name, {}) | tags.before
            after[alarm.name] = after.get(alarm.name, {}) | tags.after
        return {"before": before, "after": after}


def both_sides(
    current: Mapping[str, Any], wanted: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ, before and after, mappings cut down to what differs in them; a field that is not there has its default."""
    before, after = {}, {}
    for key in sorted({**current, **wanted}):
        old, new = (fields.get(key, (defaults or {}).get(key)) for fields in (current, wanted))
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            old, new = both_sides(old, new)
        if old != new:
            before[key], after[key] = old, new
    return before, after


def make_plan(
    set_name: str,
    wanted: Iterable[Alarm],
    current: Mapping[str, Alarm],
    tags_of: Mapping[str, Mapping[str, str]],
    wanted_tags: Mapping[str, str] | None,
    purge_tags: bool = True,
    purge: bool = True,
    adopt: bool = False,
) -> Plan:
    """The way from the C(current) alarms, with the tags C(tags_of) them, to the C(wanted) ones; deletes only what the set owns."""
    plan, foreign = Plan(), []
    wanted_by_name = {alarm.name: alarm for alarm in wanted}
    replaced = replaced_names(wanted_by_name, current)
    for name, alarm in wanted_by_name.items():
        if name not in current:
            plan.added.append(alarm)
            plan.tags[name] = set_tag_change({}, set_name, wanted_tags, purge_tags)
            continue
        found, owner = current[name], tags_of[name].get(OWNER_TAG)
        if owner != set_name and not adopt:
            foreign.append(f"{name}: exists and belongs to {f'the alarm set {owner}' if owner else 'no alarm set'}")
            continue
        tags = set_tag_change(tags_of[name], set_name, wanted_tags, purge_tags)
        if name in replaced:
            plan.replaced.append(found)
            plan.added.append(alarm)
            plan.tags[name] = tags
            continue
        goal = replace(alarm, settings=without_account(alarm.settings, found.arn))
        if found.settings != goal.settings:
            plan.changed.append((found, goal))
        if tags:
            plan.retagged.append((found, tags))
    if foreign:
        raise AlarmSetError("\n".join([*foreign, "choose other names, or give adopt: true to take these alarms over"]))
    if purge:
        plan.deleted = [alarm for name, alarm in current.items() if name not in wanted_by_name and tags_of[name].get(OWNER_TAG) == set_name]
    return plan


def set_tag_change(current: Mapping[str, str], set_name: str, wanted_tags: Mapping[str, str] | None, purge_tags: bool) -> TagChange:
    """What has to happen to an alarm's tags: the set's mark, and what the user asked for."""
    return tag_change(current, {**(wanted_tags or {}), OWNER_TAG: set_name}, purge_tags and wanted_tags is not None)


def replaced_names(wanted: Mapping[str, Alarm], current: Mapping[str, Alarm]) -> set[str]:
    """The alarms that must go before those of the same name can be made.

    AWS turns no metric alarm into a composite one, nor back; and it deletes none that a composite alarm looks at, so that must go, too.
    """
    both = wanted.keys() & current.keys()
    names = {name for name in both if wanted[name].is_composite != current[name].is_composite}
    while parents := {name for name in both - names if current[name].looks_at & names}:
        names |= parents
    return names


def in_order_of_rules(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The alarms, each after those that it looks at."""
    by_name = {alarm.name: alarm for alarm in alarms}
    graph = {alarm.name: sorted(alarm.looks_at & by_name.keys()) for alarm in by_name.values()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]
