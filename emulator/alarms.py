"""CloudWatch alarms: what they are set to, their states, and the evaluation that changes these.

Moto's backend keeps the alarms, by region and name, so that its reset, its tagging API and the services that make alarms by themselves
find them. They are evaluated when metric data came in, when they were changed, when an alarm they look at changed, and at the end of a
period as long as there are data left; otherwise nothing is done.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import ast
import json
import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.cloudwatch.utils import make_arn_for_alarm

from emulator import alarm_actions, alarm_rule, metric_math
from emulator.metric_math import Datum, Series
from emulator.wire import ACCOUNT

if TYPE_CHECKING:
    from emulator.state import State

MetricKey = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, name and dimensions of a metric

# AWS evaluates a new alarm within a minute; until then its state is the initial one.
FIRST_EVALUATION_SECONDS = 1.0
# AWS looks at more periods than it needs, so that single missing ones do not matter; it does not say how many.
SPARE_PERIODS = 2
NEVER = math.inf
INITIAL_REASON = "Unchecked: Initial alarm creation"
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATED_AS = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
HISTORY_DATA_LENGTH = 4095


@dataclass(eq=False)
class Alarm:
    """A metric or a composite alarm. C(settings) are those of the last request, in the names of the API."""

    region: str
    name: str
    is_composite: bool
    settings: dict[str, Any] = field(default_factory=dict)
    state: str = "INSUFFICIENT_DATA"
    reason: str = INITIAL_REASON
    reason_data: str | None = None
    configured: datetime = field(init=False)
    updated: datetime = field(init=False)
    transitioned: datetime = field(init=False)
    due: float = field(init=False)  # when to evaluate next, in seconds since the epoch
    watches: frozenset[MetricKey] = frozenset()
    trees: dict[str, ast.expr] = field(default_factory=dict)  # expressions by the id of their query
    rule: alarm_rule.AlarmRule | None = None
    looks_at: frozenset[str] = frozenset()  # names of the alarms in the rule, and of the suppressor
    trigger: Alarm | None = None  # the alarm whose change made a composite alarm look again
    announced: str = "INSUFFICIENT_DATA"  # the last state that suppressed actions have not kept back
    suppressed_by: str | None = None
    suppressed_until: float = 0.0

    def __post_init__(self) -> None:
        self.updated = self.transitioned = datetime.now(UTC)
        self.configure(self.settings)

    @property
    def alarm_arn(self) -> str:
        """ARN; moto's tagging API knows it by this name."""
        return make_arn_for_alarm(self.region, ACCOUNT, self.name)

    @property
    def kind(self) -> str:
        """C(MetricAlarm) or C(CompositeAlarm)."""
        return "CompositeAlarm" if self.is_composite else "MetricAlarm"

    @property
    def suppressor(self) -> str | None:
        """Name of the alarm that suppresses the actions of this one."""
        return name_of(self.settings["ActionsSuppressor"]) if "ActionsSuppressor" in self.settings else None

    def configure(self, settings: dict[str, Any]) -> None:
        """Take settings, which must be valid; the state stays as it is, and is soon looked at again."""
        self.settings = settings
        self.configured = datetime.now(UTC)
        self.due = time.time() + FIRST_EVALUATION_SECONDS
        self.trigger = None
        queries = settings.get("Metrics", [])
        metrics = [query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query]
        if "MetricName" in settings:
            metrics.append(settings)
        self.watches = frozenset(metric_key(metric["Namespace"], metric) for metric in metrics)
        self.trees = {}
        for query in queries:
            if "Expression" in query:
                try:
                    self.trees[query["Id"]] = metric_math.parse(query["Expression"])
                except metric_math.Unsupported:
                    pass  # the alarm stays without data
        if self.is_composite:
            self.rule = alarm_rule.parse(settings["AlarmRule"])
            self.looks_at = frozenset(map(name_of, self.rule.children)) | ({self.suppressor} if self.suppressor else set())


def name_of(name_or_arn: str) -> str:
    """Name of an alarm that is given by name or by ARN."""
    return name_or_arn.split(":", 6)[6] if name_or_arn.startswith("arn:") and name_or_arn.count(":") >= 6 else name_or_arn


def metric_key(namespace: str, metric: Mapping[str, Any]) -> MetricKey:
    """What data of a metric are found by."""
    return namespace, metric["MetricName"], frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))


def alarms_of(region: str) -> dict[str, Alarm]:
    """The alarms of a region by name. Alarms that moto made for a scaling policy become ours."""
    alarms: dict[str, Any] = cloudwatch_backends[ACCOUNT][region].alarms
    for made_by_moto in [alarm for alarm in list(alarms.values()) if type(alarm) is not Alarm]:
        alarms[made_by_moto.name] = Alarm(region, made_by_moto.name, is_composite=False, settings=_settings_of_moto(made_by_moto))
    return alarms


def alarm_states(region: str) -> dict[str, str]:
    """The states of all alarms of a region by name: C(OK), C(ALARM) or C(INSUFFICIENT_DATA)."""
    return {name: alarm.state for name, alarm in alarms_of(region).items()}


def put_data(state: State, region: str, namespace: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Take metric data, entries as in PutMetricData, and let the alarms that watch the metrics be evaluated in the next turn."""
    now, keys = time.time(), set()
    for entry in entries:
        key = metric_key(namespace, entry)
        keys.add(key)
        state.metric_data.setdefault((region, *key), []).append(Datum.from_api(entry, now))
    for alarm in alarms_of(region).values():
        if not keys.isdisjoint(alarm.watches):
            alarm.due = 0.0


def record(state: State, alarm: Alarm, kind: str, summary: str, data: Mapping[str, Any]) -> None:
    """Write into the history, which outlives the alarm."""
    item = {
        "AlarmName": alarm.name,
        "AlarmType": alarm.kind,
        "Timestamp": datetime.now(UTC),
        "HistoryItemType": kind,
        "HistorySummary": summary[:255],
        "HistoryData": json.dumps({"version": "1.0", **data}, separators=(",", ":"))[:HISTORY_DATA_LENGTH],
    }
    state.alarm_history.append((alarm.region, item))


def change_state(state: State, alarm: Alarm, value: str, reason: str, reason_data: str | None) -> None:
    """Set the state. Where it is another one, alarms that look at this one are evaluated, and its actions are executed."""
    before = {"stateValue": alarm.state, "stateReason": alarm.reason, "stateReasonData": json.loads(alarm.reason_data or "{}")}
    alarm.reason, alarm.reason_data, alarm.updated = reason[:1023], reason_data, datetime.now(UTC)
    if value == alarm.state:
        return
    old, alarm.state, alarm.transitioned = alarm.state, value, alarm.updated
    after = {"stateValue": value, "stateReason": alarm.reason, "stateReasonData": json.loads(reason_data or "{}")}
    record(state, alarm, "StateUpdate", f"Alarm updated from {old} to {value}", {"oldState": before, "newState": after})
    known = alarms_of(alarm.region)
    for other in known.values():
        if alarm.name in other.looks_at:
            other.due = 0.0
            if alarm.name != other.suppressor:
                other.trigger = alarm
    suppressor = known.get(alarm.suppressor or "")
    if suppressor and not alarm.suppressed_by:
        _suppress(alarm, suppressor, time.time())
    if not alarm.suppressed_by:
        alarm.announced = value
        alarm_actions.execute(state, alarm, old)


def evaluate(state: State) -> None:
    """Evaluate the alarms that are due."""
    now = time.time()
    for region in list(cloudwatch_backends[ACCOUNT]):
        for alarm in list(alarms_of(region).values()):
            if alarm.due <= now:
                alarm.due = NEVER
                (_evaluate_composite if alarm.is_composite else _evaluate_metric)(state, alarm, now)


# --- Metric alarms ---


def _evaluate_metric(state: State, alarm: Alarm, now: float) -> None:
    settings = alarm.settings
    if settings.get("ComparisonOperator") not in COMPARISONS or "Threshold" not in settings:
        return  # anomaly bands and PromQL
    try:
        period, series = _watched_series(state, alarm, now)
    except (metric_math.Unsupported, RecursionError):
        return
    newest = now // period * period
    # The period that has only begun counts if it has data, and is not missing yet if it has none.
    last = newest if newest in series else newest - period
    periods = settings["EvaluationPeriods"]
    starts = [last - number * period for number in range(periods + SPARE_PERIODS)]
    if any(start in series for start in starts):
        alarm.due = newest + period
    breaches = COMPARISONS[settings["ComparisonOperator"]][0]
    points = [breaches(series[start], settings["Threshold"]) if start in series else None for start in starts]
    # Alarms on metrics of DynamoDB always ignore missing data.
    is_dynamodb = any(namespace == "AWS/DynamoDB" for namespace, _name, _dimensions in alarm.watches)
    missing = "ignore" if is_dynamodb else settings.get("TreatMissingData", "missing")
    value = verdict(points, periods, settings.get("DatapointsToAlarm", periods), missing, alarm.state)
    if value != alarm.state:
        used = {start: series[start] for start in [start for start in starts if start in series][:periods]}
        change_state(state, alarm, value, _reason(alarm, value, used, missing), _reason_data(alarm, period, used, starts[:periods], now))


def verdict(points: Sequence[bool | None], periods: int, datapoints: int, missing: str, current: str) -> str:
    """The state that follows from the points of the evaluation range: newest first, whether each breaches, None where it is missing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    real = [point for point in points if point is not None][:periods]
    lacking, breaching = periods - len(real), sum(real)
    if breaching >= datapoints:
        return "ALARM"
    if missing == "breaching" and breaching + lacking >= datapoints:
        return "ALARM"
    if not lacking or missing in TREATED_AS or not all(real):
        return "OK"
    if missing == "ignore":
        return current
    if not real:
        return "INSUFFICIENT_DATA"
    # All that is there breaches. It is an alarm once the oldest such point is so old that enough could have followed.
    oldest = max(number for number, point in enumerate(points) if point is not None)
    return "ALARM" if oldest + 1 >= datapoints else current


def _watched_series(state: State, alarm: Alarm, now: float) -> tuple[int, Series]:
    """The period of an alarm, and the values of what it watches."""
    settings = alarm.settings
    queries: list[dict[str, Any]] = settings.get("Metrics") or [{"Id": "m1", "MetricStat": {"Metric": settings, **settings}}]
    periods = [query["MetricStat"]["Period"] for query in queries if "MetricStat" in query]
    watched = next(query for query in queries if query.get("ReturnData", True))
    period = watched.get("Period") or watched.get("MetricStat", {}).get("Period") or max(periods, default=60)
    newest = now // period * period
    starts = [newest - number * period for number in range(settings["EvaluationPeriods"] + SPARE_PERIODS, -1, -1)]
    metrics: dict[str, Series] = {}
    for query in queries:
        if "MetricStat" in query:
            stat = query["MetricStat"]
            data = state.metric_data.get((alarm.region, *metric_key(stat["Metric"]["Namespace"], stat["Metric"])), [])
            name = stat.get("Stat") or settings.get("Statistic") or settings["ExtendedStatistic"]
            metrics[query["Id"]] = metric_math.series(data, name, stat.get("Unit"), starts, period)
    if watched["Id"] not in metrics and watched["Id"] not in alarm.trees:
        raise metric_math.Unsupported(watched["Expression"])
    value = metric_math.Expressions(metrics, alarm.trees, starts, period).value(watched["Id"])
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise metric_math.Unsupported("an alarm watches one series of values")
    return period, value


def _reason(alarm: Alarm, value: str, used: Series, missing: str) -> str:
    """Why the state is what it is, in AWS's words."""
    settings = alarm.settings
    periods, threshold = settings["EvaluationPeriods"], settings["Threshold"]
    lacking = periods - len(used)
    if value == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {periods} datapoint{'s were' if periods > 1 else ' was'} unknown."
    breaches, words = COMPARISONS[settings["ComparisonOperator"]]
    deciding = {start: number for start, number in used.items() if breaches(number, threshold) == (value == "ALARM")}
    text = f"no datapoints were received for {periods} period{'s' if periods > 1 else ''}"
    if deciding:
        shown = ", ".join(f"{number} ({datetime.fromtimestamp(start, UTC):%d/%m/%y %H:%M:%S})" for start, number in deciding.items())
        out_of = f" out of the last {periods}" if len(deciding) < periods and not lacking else ""
        plural = len(deciding) > 1 or bool(out_of)
        text = (
            f"{len(deciding)}{out_of} datapoint{'s' if plural else ''} [{shown}] {'were' if len(deciding) > 1 else 'was'} "
            f"{'' if value == 'ALARM' else 'not '}{words} the threshold ({float(threshold)})"
        )
        needed = settings.get("DatapointsToAlarm", periods)
        if needed < periods:
            least = needed if value == "ALARM" else periods - needed + 1
            change = "OK -> ALARM" if value == "ALARM" else "ALARM -> OK"
            text += f" (minimum {least} datapoint{'s' if least > 1 else ''} for {change} transition)"
    if lacking and missing in TREATED_AS:
        plurals = ("s", "were") if lacking > 1 else ("", "was")
        text += f" and {lacking} missing datapoint{plurals[0]} {plurals[1]} treated as [{TREATED_AS[missing]}]"
    return f"Threshold Crossed: {text}."


def _reason_data(alarm: Alarm, period: int, used: Series, starts: Sequence[float], now: float) -> str:
    settings = alarm.settings
    evaluated = [{"timestamp": alarm_actions.iso(start)} | ({"value": used[start]} if start in used else {}) for start in starts]
    data: dict[str, Any] = {"version": "1.0", "queryDate": alarm_actions.iso(now)}
    if used:
        data["startDate"] = alarm_actions.iso(min(used))
    if "Unit" in settings:
        data["unit"] = settings["Unit"]
    if statistic := settings.get("Statistic") or settings.get("ExtendedStatistic"):
        data["statistic"] = statistic
    # The oldest comes first here, and last among the evaluated ones.
    data |= {"period": period, "recentDatapoints": [used[start] for start in sorted(used)], "threshold": settings["Threshold"]}
    return json.dumps(data | {"evaluatedDatapoints": evaluated[:20]}, separators=(",", ":"))[:4000]


# --- Composite alarms ---


def _evaluate_composite(state: State, alarm: Alarm, now: float) -> None:
    alarms = alarms_of(alarm.region)
    assert alarm.rule
    # AWS stops to evaluate alarms that look at each other in a circle.
    if not goes_round(alarms, alarm):
        states = {child: alarms[name_of(child)].state for child in alarm.rule.children if name_of(child) in alarms}
        value = "ALARM" if alarm.rule.holds(states) else "OK"
        if value != alarm.state:
            change_state(state, alarm, value, *_composite_reason(alarm, value))
    if alarm.suppressed_by:
        _resume(state, alarm, alarms.get(alarm.suppressor or ""), now)


def goes_round(alarms: Mapping[str, Alarm], alarm: Alarm) -> bool:
    """Whether an alarm looks at itself, directly or through others."""
    seen: set[str] = set()
    todo = set(alarm.looks_at)
    while todo:
        name = todo.pop()
        if name == alarm.name:
            return True
        if name not in seen and name in alarms:
            todo |= alarms[name].looks_at
        seen.add(name)
    return False


def _composite_reason(alarm: Alarm, value: str) -> tuple[str, str | None]:
    if alarm.trigger is None:
        done = "created" if alarm.reason == INITIAL_REASON else "updated"
        return f"{alarm.alarm_arn} was {done} and its alarm rule evaluates to {value}", None
    child = alarm.trigger
    since = {"value": child.state, "timestamp": alarm_actions.iso(child.transitioned.timestamp())}
    data = {"triggeringAlarms": [{"arn": child.alarm_arn, "state": since}]}
    when = f"{child.transitioned:%A %d %B, %Y %H:%M:%S UTC}"
    return f"{child.alarm_arn} transitioned to {child.state} at {when}", json.dumps(data, separators=(",", ":"))


def _suppress(alarm: Alarm, suppressor: Alarm, now: float) -> None:
    """Keep the actions of a change back while the suppressor is in ALARM, or may soon be."""
    if suppressor.state == "ALARM":
        alarm.suppressed_by = "Alarm"
    elif wait := alarm.settings.get("ActionsSuppressorWaitPeriod", 0):
        alarm.suppressed_by, alarm.suppressed_until = "WaitPeriod", now + wait
        alarm.due = min(alarm.due, alarm.suppressed_until)


def _resume(state: State, alarm: Alarm, suppressor: Alarm | None, now: float) -> None:
    """Execute the actions that were kept back, once nothing speaks against it any more."""
    extension = alarm.settings.get("ActionsSuppressorExtensionPeriod", 0)
    if suppressor and suppressor.state == "ALARM":
        alarm.suppressed_by = "Alarm"
    elif suppressor and alarm.suppressed_by == "Alarm" and extension:
        alarm.suppressed_by, alarm.suppressed_until = "ExtensionPeriod", now + extension
        alarm.due = min(alarm.due, alarm.suppressed_until)
    elif not suppressor or alarm.suppressed_by == "Alarm" or now >= alarm.suppressed_until:
        alarm.suppressed_by = None
        if alarm.state != alarm.announced:
            old, alarm.announced = alarm.announced, alarm.state
            alarm_actions.execute(state, alarm, old)
    else:
        alarm.due = min(alarm.due, alarm.suppressed_until)


def _settings_of_moto(alarm: Any) -> dict[str, Any]:
    """The settings of an alarm that moto made for a scaling policy."""
    settings = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "ActionsEnabled": alarm.actions_enabled,
        "AlarmActions": alarm.alarm_actions,
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric_name,
        "Dimensions": [{"Name": dimension.name, "Value": dimension.value} for dimension in alarm.dimensions],
        "Statistic": alarm.statistic,
        "Unit": alarm.unit,
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "Threshold": float(alarm.threshold),
        "ComparisonOperator": alarm.comparison_operator,
    }
    return {key: value for key, value in settings.items() if value is not None}
