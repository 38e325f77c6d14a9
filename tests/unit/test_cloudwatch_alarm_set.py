"""The module cloudwatch_alarm_set."""

from __future__ import annotations

import copy
import json
from datetime import datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.stub import Stubber

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.threetier.aws.plugins.module_utils.alarm_set import (
    OWNER_TAG,
    AlarmSetError,
    described_alarm,
    fields_of,
    make_plan,
    wanted_alarms,
)
from ansible_collections.threetier.aws.plugins.modules import cloudwatch_alarm_set
from support import ModuleFailed

MODEL = get_session().get_service_model("cloudwatch")
TOPIC = "arn:aws:sns:eu-central-1:123456789012:demo"
OWNED = {OWNER_TAG: "demo"}

CPU = {
    "name": "demo-cpu",
    "description": "Requests will soon wait.",
    "namespace": "AWS/ECS",
    "metric_name": "CPUUtilization",
    "dimensions": {"ServiceName": "web", "ClusterName": "demo"},
    "statistic": "Average",
    "period": 300,
    "evaluation_periods": 2,
    "datapoints_to_alarm": 1,
    "threshold": 80,
    "comparison_operator": "GreaterThanThreshold",
    "treat_missing_data": "notBreaching",
    "unit": "Percent",
    "alarm_actions": [TOPIC, TOPIC + "-pager"],
}
ERROR_RATE = {
    "name": "demo-error-rate",
    "metrics": [
        {"id": "rate", "expression": "errors / requests", "label": "Rate"},
        *(
            {
                "id": metric_id,
                "return_data": False,
                "metric_stat": {
                    "metric": {
                        "namespace": "AWS/ApplicationELB",
                        "metric_name": metric,
                        "dimensions": {"LoadBalancer": "app/demo/1", "Zone": "a"},
                    },
                    "period": 60,
                    "stat": "Sum",
                },
            }
            for metric_id, metric in (("errors", "HTTPCode_Target_5XX_Count"), ("requests", "RequestCount"))
        ),
    ],
    "threshold": 0.05,
    "evaluation_periods": 1,
    "comparison_operator": "GreaterThanThreshold",
}
BAND = {
    "name": "demo-band",
    "metrics": [
        {"id": "latency", "metric_stat": {"metric": {"namespace": "N", "metric_name": "M"}, "period": 60, "stat": "p99"}},
        {"id": "band", "expression": "ANOMALY_DETECTION_BAND(latency, 3)"},
    ],
    "threshold_metric_id": "band",
    "evaluation_periods": 3,
    "comparison_operator": "GreaterThanUpperThreshold",
}
LATENCY = {
    "name": "demo-latency",
    "namespace": "AWS/ApplicationELB",
    "metric_name": "TargetResponseTime",
    "extended_statistic": "p99",
    "period": 3600,
    "evaluation_periods": 24,
    "threshold": 0.5,
    "comparison_operator": "GreaterThanThreshold",
    "evaluate_low_sample_count_percentile": "ignore",
    "evaluation_window": {"wall_clock_window": {"timezone": "Europe/Berlin"}},
    "warm_up_configuration": {"warm_up_period_duration_in_minutes": 30},
    "action_configuration": {"alarm_tags_propagation": {"enabled": True, "included_tag_keys": ["a", "b"]}},
}
QUEUE = {
    "name": "demo-queue",
    "evaluation_criteria": {"prom_ql_criteria": {"query": "max(queue_length) > 100", "recovery_period": 60}},
    "evaluation_interval": 60,
}
DOWN = {
    "name": "demo-down",
    "alarm_rule": 'ALARM("demo-cpu") AND\n  NOT OK(demo-error-rate)',
    "actions_suppressor": "demo-queue",
    "actions_suppressor_wait_period": 60,
    "actions_suppressor_extension_period": 120,
}
ALARMS = [CPU, LATENCY, ERROR_RATE, BAND, QUEUE, DOWN]


def wanted(*alarms, **defaults):
    return wanted_alarms(alarms, defaults, MODEL)


def as_described(*alarms):
    """The alarms as AWS answers with them: in another order, and with fields that nobody gave."""
    found = {}
    for alarm in wanted(*alarms):
        added = {
            "ActionsEnabled": True,
            "OKActions": [],
            "InsufficientDataActions": [],
            "StateValue": "OK",
            "StateUpdatedTimestamp": datetime.now(),
        }
        answer = added | copy.deepcopy(dict(alarm.request))
        answer["AlarmArn"] = f"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:{alarm.name}"
        answer["AlarmActions"] = answer.get("AlarmActions", [])[::-1]
        if not alarm.is_composite:
            answer.setdefault("TreatMissingData", "missing")
            answer["Dimensions"] = answer.get("Dimensions", [])[::-1]
            if "EvaluationPeriods" in answer:
                answer.setdefault("DatapointsToAlarm", answer["EvaluationPeriods"])
            for query in answer.setdefault("Metrics", []):
                query.setdefault("AccountId", "123456789012")
                query.setdefault("ReturnData", True)
                metric = query.get("MetricStat", {}).get("Metric", {})
                metric["Dimensions"] = metric.get("Dimensions", [])[::-1]
            answer["Metrics"].reverse()
        found[alarm.name] = described_alarm(answer, alarm.is_composite, MODEL)
    return found


def plan_from(current, *alarms, tags_of=None, **options):
    tags_of = {name: OWNED for name in current} | (tags_of or {})
    return make_plan("demo", wanted(*alarms), current, tags_of, options.pop("tags", None), **options)


def with_change(alarm, path, value):
    """A copy of the alarm in which the field at the path, C(metrics.1.period), is another."""
    changed = copy.deepcopy(alarm)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    parent = changed
    for part in parents:
        parent = parent[part]
    parent[last] = value
    return changed


def test_what_aws_adds_and_reorders_is_no_change():
    assert not plan_from(as_described(*ALARMS), *ALARMS)


# One change by hand for every field of every kind of alarm: alarm, path of the field, value.
CHANGES_BY_HAND = [
    (CPU, "description", "Other words."),
    (CPU, "namespace", "AWS/EC2"),
    (CPU, "metric_name", "MemoryUtilization"),
    (CPU, "dimensions.ServiceName", "api"),
    (CPU, "statistic", "Maximum"),
    (CPU, "period", 60),
    (CPU, "evaluation_periods", 3),
    (CPU, "datapoints_to_alarm", 2),
    (CPU, "threshold", 80.5),
    (CPU, "comparison_operator", "GreaterThanOrEqualToThreshold"),
    (CPU, "treat_missing_data", "breaching"),
    (CPU, "unit", "Count"),
    (CPU, "actions_enabled", False),
    (CPU, "alarm_actions", [TOPIC]),
    (CPU, "ok_actions", [TOPIC]),
    (CPU, "insufficient_data_actions", [TOPIC]),
    (LATENCY, "extended_statistic", "p95"),
    (LATENCY, "evaluate_low_sample_count_percentile", "evaluate"),
    (LATENCY, "evaluation_window", {"sliding_window": {}}),
    (LATENCY, "evaluation_window.wall_clock_window.timezone", "UTC"),
    (LATENCY, "warm_up_configuration.warm_up_period_duration_in_minutes", 60),
    (LATENCY, "warm_up_configuration.only_start_evaluating_after_warm_up_period_ends", True),
    (LATENCY, "action_configuration.alarm_tags_propagation.enabled", False),
    (LATENCY, "action_configuration.alarm_tags_propagation.included_tag_keys", ["a"]),
    (LATENCY, "action_configuration.alarm_tags_propagation", {"enabled": True, "excluded_tag_keys": ["b"]}),
    (ERROR_RATE, "metrics.0.id", "share"),
    (ERROR_RATE, "metrics.0.expression", "errors"),
    (ERROR_RATE, "metrics.0.label", "Errors"),
    (ERROR_RATE, "metrics.0.period", 300),
    (ERROR_RATE, "metrics.0.account_id", "210987654321"),
    (ERROR_RATE, "metrics.1.metric_stat.metric.namespace", "AWS/NetworkELB"),
    (ERROR_RATE, "metrics.1.metric_stat.metric.metric_name", "HTTPCode_ELB_5XX_Count"),
    (ERROR_RATE, "metrics.1.metric_stat.metric.dimensions.Zone", "b"),
    (ERROR_RATE, "metrics.1.metric_stat.stat", "Average"),
    (ERROR_RATE, "metrics.1.metric_stat.unit", "Count"),
    (ERROR_RATE, "metrics.1.metric_stat.period", 300),
    (BAND, "comparison_operator", "LessThanLowerThreshold"),
    (BAND, "metrics.1.expression", "ANOMALY_DETECTION_BAND(latency, 2)"),
    (BAND, "evaluation_periods", 4),
    (QUEUE, "evaluation_criteria.prom_ql_criteria.query", "max(queue_length) > 200"),
    (QUEUE, "evaluation_criteria.prom_ql_criteria.pending_period", 300),
    (QUEUE, "evaluation_criteria.prom_ql_criteria.recovery_period", 120),
    (QUEUE, "evaluation_interval", 300),
    (QUEUE, "ok_actions", [TOPIC]),
    (DOWN, "description", "Other words."),
    (DOWN, "alarm_rule", "ALARM(demo-cpu)"),
    (DOWN, "actions_suppressor", "demo-band"),
    (DOWN, "actions_suppressor_wait_period", 0),
    (DOWN, "actions_suppressor_extension_period", 0),
    (DOWN, "actions_enabled", False),
    (DOWN, "alarm_actions", [TOPIC]),
    (DOWN, "ok_actions", [TOPIC]),
    (DOWN, "insufficient_data_actions", [TOPIC]),
    (DOWN, "action_configuration", {"alarm_tags_propagation": {"enabled": True}}),
]
each_change_by_hand = pytest.mark.parametrize(
    "alarm, path, value", CHANGES_BY_HAND, ids=[f"{alarm['name']}-{path}-{number}" for number, (alarm, path, _) in enumerate(CHANGES_BY_HAND)]
)


def test_a_change_by_hand_is_tried_for_every_field_of_the_api():
    tried = {(alarm is DOWN, path.split(".")[0]) for alarm, path, _value in CHANGES_BY_HAND} | {(False, "threshold_metric_id")}
    fields = {(is_composite, field) for is_composite in (False, True) for field in fields_of(is_composite, MODEL)}
    assert fields - tried == {(False, "name"), (True, "name")}


@each_change_by_hand
def test_a_change_by_hand_is_found_in_exactly_that_alarm_and_field(alarm, path, value):
    by_hand = [with_change(each, path, value) if each is alarm else each for each in ALARMS]
    plan = plan_from(as_described(*by_hand), *ALARMS)
    assert [each.name for _current, each in plan.changed] == [alarm["name"]]
    for when in ("before", "after"):
        assert [list(fields) for fields in plan.diff[when].values()] == [[path.split(".")[0]]]
    assert not (plan.added or plan.deleted or plan.retagged)


def test_of_a_field_that_holds_others_only_the_differing_part_is_shown():
    by_hand = with_change(with_change(ERROR_RATE, "metrics.1.metric_stat.period", 300), "metrics.1.metric_stat.unit", "Count")
    assert plan_from(as_described(by_hand), ERROR_RATE).diff == {
        "before": {"demo-error-rate": {"metrics": {"errors": {"metric_stat": {"period": 300, "unit": "Count"}}}}},
        "after": {"demo-error-rate": {"metrics": {"errors": {"metric_stat": {"period": 60, "unit": None}}}}},
    }


@each_change_by_hand
def test_a_change_by_hand_is_repaired_and_nothing_else(aws, run_module, alarm, path, value):
    options = {"name": "demo", "name_prefix": "demo-", "alarms": ALARMS}
    run_module("cloudwatch_alarm_set", **options)
    (by_hand,) = wanted(with_change(alarm, path, value))
    client = aws("cloudwatch")
    (client.put_composite_alarm if by_hand.is_composite else client.put_metric_alarm)(**by_hand.request)

    others = [each["name"] for each in ALARMS if each is not alarm]
    for found in (run_module("cloudwatch_alarm_set", check=True, **options), run_module("cloudwatch_alarm_set", **options)):
        assert found["changes"] == {"created": [], "changed": [alarm["name"]], "replaced": [], "deleted": [], "unchanged": others}
        assert [list(fields) for fields in found["diff"]["before"].values()] == [[path.split(".")[0]]]
    assert not run_module("cloudwatch_alarm_set", **options)["changed"]


@pytest.mark.parametrize(
    "alarm, change, said",
    [
        (CPU, {"statistic": "Mean"}, "statistic: must be one of SampleCount, Average, Sum, Minimum, Maximum, not 'Mean'"),
        (CPU, {"treshold": 1}, "treshold: a metric alarm has no such field"),
        (CPU, {"period": 45}, "period: must be 10, 20, 30 or a multiple of 60, not 45"),
        (CPU, {"period": "five"}, "period: must be a whole number, not 'five'"),
        (CPU, {"evaluation_periods": 289}, "evaluation_periods: times period (300 s) must be at most 86400 s"),
        (CPU, {"datapoints_to_alarm": 3}, "datapoints_to_alarm: must be at most evaluation_periods, 2"),
        (CPU, {"extended_statistic": "p99"}, "statistic: give exactly one of statistic and extended_statistic"),
        (CPU, {"statistic": None, "extended_statistic": "q99"}, "extended_statistic: must be like p99"),
        (CPU, {"namespace": None}, "namespace: is missing"),
        (CPU, {"description": "x" * 1025}, "description: must be at most 1024 characters, not 1025"),
        (CPU, {"alarm_actions": [TOPIC] * 6}, "alarm_actions: must be at most 5 entries, not 6"),
        (CPU, {"treat_missing_data": "ok"}, "treat_missing_data: must be one of breaching, notBreaching, ignore, missing"),
        (CPU, {"actions_enabled": "no"}, "actions_enabled: must be true or false"),
        (CPU, {"comparison_operator": "LessThanLowerThreshold"}, "comparison_operator: LessThanLowerThreshold only goes with"),
        (CPU, {"metrics": ERROR_RATE["metrics"]}, "metric_name: cannot be given with metrics"),
        (CPU, {"metric_name": None}, "metric_name: is missing; an alarm has one of metric_name, metrics, evaluation_criteria and alarm_rule"),
        (CPU, {"evaluation_interval": 60}, "evaluation_interval: cannot be given with metric_name"),
        (LATENCY, {"evaluation_periods": 169}, "evaluation_periods: times period (3600 s) must be at most 604800 s"),
        (LATENCY, {"warm_up_configuration": {}}, "warm_up_configuration.warm_up_period_duration_in_minutes: is missing"),
        (QUEUE, {"evaluation_interval": None}, "evaluation_interval: is missing; evaluation_criteria needs it"),
        (QUEUE, {"threshold": 1}, "threshold: cannot be given with evaluation_criteria"),
        (ERROR_RATE, {"namespace": "AWS/ECS"}, "namespace: cannot be given with metrics"),
        (ERROR_RATE, {"evaluation_periods": 1441}, "evaluation_periods: times period (60 s) must be at most 86400 s"),
        (BAND, {"metrics": [with_change(BAND, "metrics.0.metric_stat.stat", "Mean")["metrics"][0]]}, "stat: must be one of SampleCount"),
        (CPU, {"name": None}, "alarms[0]: name: is missing"),
        (ERROR_RATE, {"metrics": ERROR_RATE["metrics"][1:]}, "metrics: exactly one must be watched"),
        (ERROR_RATE, {"metrics": [{"id": "Rate", "expression": "1"}]}, "metrics[0].id: must begin with a lower-case letter"),
        (ERROR_RATE, {"metrics": [{"id": "a", "metric_stat": {"period": 60}}]}, "metrics[0].metric_stat.metric: is missing"),
        (BAND, {"threshold_metric_id": "none"}, "threshold_metric_id: 'none' is the id of none of the metrics"),
        (DOWN, {"actions_suppressor_wait_period": None}, "actions_suppressor_wait_period: is missing"),
        (DOWN, {"alarm_rule": "ALARM(demo-down)"}, "alarm_rule: the alarms look at each other in a circle"),
    ],
)
def test_says_what_is_wrong_with_which_field(alarm, change, said):
    with pytest.raises(AlarmSetError) as error:
        wanted(alarm | change)
    assert said in str(error.value)


def test_says_all_that_is_wrong_before_anything_is_written(aws, run_module):
    good = CPU | {"name": "wrong-good"}
    wrong = [good, CPU | {"name": "wrong-a", "statistic": "Mean"}, CPU | {"name": "wrong-b", "unit": "Percents"}, good]
    with pytest.raises(ModuleFailed) as failed:
        run_module("cloudwatch_alarm_set", name="wrong", alarms=wrong)
    for said in ("wrong-a: statistic", "wrong-b: unit", "wrong-good: name: another alarm of the set has the same"):
        assert said in str(failed.value)
    assert aws("cloudwatch").describe_alarms(AlarmNamePrefix="wrong-")["MetricAlarms"] == []


def test_one_wrong_field_hides_no_other_of_the_same_alarm():
    with pytest.raises(AlarmSetError) as error:
        wanted(CPU | {"statistic": "Mean", "period": 45, "datapoints_to_alarm": 9, "unit": ["Count"], "alarm_actions": TOPIC})
    problems = str(error.value).splitlines()
    assert sorted(problem.split(": ")[1] for problem in problems) == ["alarm_actions", "datapoints_to_alarm", "period", "statistic", "unit"]


def test_every_name_begins_with_the_prefix():
    with pytest.raises(AlarmSetError, match="demo-cpu: name: must begin with the name_prefix 'web-'"):
        wanted_alarms([CPU], {}, MODEL, "web-")


def test_defaults_apply_where_they_can():
    cpu = {key: value for key, value in CPU.items() if key not in ("statistic", "unit")} | {"extended_statistic": "p99", "unit": None}
    found = wanted(cpu, ERROR_RATE, DOWN, QUEUE, statistic="Sum", unit="Count", period=60, ok_actions=[TOPIC], evaluation_periods=1)
    assert "Statistic" not in found[0].request and "Unit" not in found[0].request and found[0].request["Period"] == 300
    assert "Period" not in found[1].request
    assert [alarm.request["OKActions"] for alarm in found] == [[TOPIC]] * 4
    assert "EvaluationPeriods" not in found[3].request


def test_an_alarm_of_somebody_else_is_an_error_unless_adopted():
    current, tags_of = as_described(CPU, DOWN), {"demo-cpu": {}, "demo-down": {OWNER_TAG: "other"}}
    with pytest.raises(AlarmSetError) as error:
        plan_from(current, CPU, DOWN, tags_of=tags_of)
    assert "demo-cpu: exists and belongs to no alarm set" in str(error.value)
    assert "demo-down: exists and belongs to the alarm set other" in str(error.value)

    adopted = plan_from(current, CPU, DOWN, tags_of=tags_of, adopt=True)
    assert {alarm.name: dict(tags.to_set) for alarm, tags in adopted.retagged} == {"demo-cpu": OWNED, "demo-down": OWNED}


def test_purges_only_alarms_of_the_set():
    current = as_described(*ALARMS)
    tags_of = {"demo-down": {OWNER_TAG: "other"}, "demo-band": {}}
    assert [alarm.name for alarm in plan_from(current, CPU, tags_of=tags_of).deleted] == ["demo-latency", "demo-error-rate", "demo-queue"]
    assert plan_from(current, CPU, tags_of=tags_of, purge=False).deleted == []


def test_a_metric_alarm_that_becomes_a_composite_one_is_replaced():
    composite, tagged = {"name": "demo-cpu", "alarm_rule": "ALARM(x)"}, OWNED | {"team": "web"}
    plan = plan_from(as_described(CPU), composite, tags_of={"demo-cpu": tagged}, tags={}, purge_tags=False)
    assert [alarm.name for alarm in plan.replaced] == [alarm.name for alarm in plan.added] == ["demo-cpu"]
    assert plan.diff["before"]["demo-cpu"]["metric_name"] == "CPUUtilization"
    assert plan.diff["after"]["demo-cpu"] == {"alarm_rule": "ALARM(x)", "tags": tagged}


def test_composite_alarms_that_look_at_a_replaced_one_are_replaced_with_it():
    composites = [{"name": "a", "alarm_rule": "ALARM(b)"}, {"name": "b", "alarm_rule": "ALARM(demo-cpu)"}]
    plan = plan_from(as_described(CPU, LATENCY, *composites), {"name": "demo-cpu", "alarm_rule": "ALARM(x)"}, LATENCY, *composites)
    assert {alarm.name for alarm in plan.replaced} == {"a", "b", "demo-cpu"} and not (plan.changed or plan.retagged)


def test_a_replaced_alarm_keeps_its_tags(aws, run_module, check_run_check_run):
    part = CPU | {"name": "turned-part"}
    run_module("cloudwatch_alarm_set", name="turned", alarms=[part, CPU | {"name": "turned"}], tags={"team": "web"})
    done = check_run_check_run("cloudwatch_alarm_set", name="turned", alarms=[part, {"name": "turned", "alarm_rule": "ALARM(turned-part)"}])
    assert done["changes"] == {"created": [], "changed": [], "replaced": ["turned"], "deleted": [], "unchanged": ["turned-part"]}
    arn = aws("cloudwatch").describe_alarms(AlarmNames=["turned"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]["AlarmArn"]
    tags = aws("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {OWNER_TAG: "turned", "team": "web"}


def test_makes_changes_and_deletes_metric_alarms(aws, check_run_check_run):
    alarms = [CPU | {"name": f"set-{number}", "threshold": number} for number in range(3)] + [ERROR_RATE | {"name": "set-rate"}]
    tags = {"threetier:stack": "demo"}
    done = check_run_check_run("cloudwatch_alarm_set", name="set", alarms=alarms, tags=tags)
    assert done["changes"]["created"] == [alarm["name"] for alarm in alarms]
    assert done["diff"]["after"]["set-0"]["tags"] == {OWNER_TAG: "set", **tags}

    alarms[0] |= {"threshold": 50}
    done = check_run_check_run("cloudwatch_alarm_set", name="set", alarms=alarms[:1] + alarms[2:], tags=tags | {"threetier:tier": "web"})
    assert (done["changes"]["changed"], done["changes"]["deleted"]) == (["set-0", "set-2", "set-rate"], ["set-1"])
    assert done["diff"]["after"]["set-0"] == {"threshold": 50.0, "tag threetier:tier": "web"}
    found = aws("cloudwatch").describe_alarms(AlarmNamePrefix="set-")["MetricAlarms"]
    assert sorted((alarm["AlarmName"], alarm["Threshold"]) for alarm in found) == [("set-0", 50), ("set-2", 2), ("set-rate", 0.05)]

    check_run_check_run("cloudwatch_alarm_set", name="set", state="absent")
    assert aws("cloudwatch").describe_alarms(AlarmNamePrefix="set-")["MetricAlarms"] == []


def test_makes_changes_and_deletes_every_kind_of_alarm(aws, check_run_check_run):
    options = {"name": "kinds", "name_prefix": "kinds-"}
    alarms = json.loads(json.dumps(ALARMS).replace("demo-", "kinds-"))
    done = check_run_check_run("cloudwatch_alarm_set", **options, alarms=alarms)
    assert sorted(done["changes"]["created"]) == sorted(alarm["name"] for alarm in alarms)

    written = [{**alarm, "description": "Another."} for alarm in alarms if alarm["name"] != "kinds-latency"]
    done = check_run_check_run("cloudwatch_alarm_set", **options, alarms=written)
    assert done["changes"]["changed"] == [alarm["name"] for alarm in written] and done["changes"]["deleted"] == ["kinds-latency"]

    done = check_run_check_run("cloudwatch_alarm_set", **options, state="absent")
    assert sorted(done["changes"]["deleted"]) == sorted(alarm["name"] for alarm in written)
    found = aws("cloudwatch").describe_alarms(AlarmNamePrefix="kinds-", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert found["MetricAlarms"] == found["CompositeAlarms"] == []


def test_alarms_are_read_back_in_the_form_in_which_they_are_written(aws, run_module):
    run_module("cloudwatch_alarm_set", name="demo", alarms=ALARMS, tags={"team": "web"})
    for selection in ({"name": "demo"}, {"name_prefix": "demo-"}, {"alarm_names": [alarm["name"] for alarm in ALARMS]}):
        read = run_module("cloudwatch_alarm_set_info", **selection)
        assert run_module("cloudwatch_alarm_set", check=True, name="demo", alarms=read["alarms"])["changed"] is False
        assert sorted(read["states"]) == sorted(read["tags"]) == [alarm["name"] for alarm in read["alarms"]]
        assert read["tags"]["demo-cpu"] == {OWNER_TAG: "demo", "team": "web"}
    written = {alarm["name"]: alarm for alarm in read["alarms"]}
    assert written["demo-cpu"] == CPU | {"threshold": 80.0}


def test_alarms_made_by_hand_are_exported_and_adopted(aws, run_module):
    (legacy,) = wanted(CPU | {"name": "legacy-cpu"})
    aws("cloudwatch").put_metric_alarm(**legacy.request)
    exported = run_module("cloudwatch_alarm_set_info", name_prefix="legacy-")["alarms"]
    done = run_module("cloudwatch_alarm_set", name="legacy", alarms=exported, adopt=True)
    assert done["diff"]["after"] == {"legacy-cpu": {f"tag {OWNER_TAG}": "legacy"}}


def test_the_prefix_finds_alarms_of_the_set_that_the_index_does_not_know_yet(aws, run_module, monkeypatch):
    run_module("cloudwatch_alarm_set", name="young", alarms=[CPU | {"name": f"young-{number}"} for number in range(2)])
    aws("cloudwatch").put_metric_alarm(**wanted(CPU | {"name": "young-foreign"})[0].request)
    monkeypatch.setattr(cloudwatch_alarm_set, "indexed_tags", lambda tagging, name: {})
    done = run_module("cloudwatch_alarm_set", name="young", name_prefix="young-", state="absent")
    assert sorted(done["changes"]["deleted"]) == ["young-0", "young-1"]
    assert [alarm["AlarmName"] for alarm in aws("cloudwatch").describe_alarms(AlarmNamePrefix="young-")["MetricAlarms"]] == ["young-foreign"]


def test_alarms_beside_one_that_cannot_be_deleted_are_deleted(aws, run_module):
    alarms = [CPU | {"name": f"held-{number}"} for number in range(3)]
    run_module("cloudwatch_alarm_set", name="held", alarms=alarms)
    aws("cloudwatch").put_composite_alarm(AlarmName="holder", AlarmRule="ALARM(held-1)")
    with pytest.raises(ModuleFailed, match="AWS refused 1 alarms of the set held:\nheld-1: "):
        run_module("cloudwatch_alarm_set", name="held", alarms=alarms, state="absent")
    assert [alarm["AlarmName"] for alarm in aws("cloudwatch").describe_alarms(AlarmNamePrefix="held-")["MetricAlarms"]] == ["held-1"]


def test_an_alarm_that_the_index_does_not_know_yet_is_not_foreign(aws, run_module, monkeypatch):
    run_module("cloudwatch_alarm_set", name="late", alarms=[CPU | {"name": "late-cpu"}])
    monkeypatch.setattr(cloudwatch_alarm_set, "indexed_tags", lambda tagging, name: {})
    assert not run_module("cloudwatch_alarm_set", name="late", alarms=[CPU | {"name": "late-cpu"}])["changed"]


def test_an_alarm_that_left_the_set_a_moment_ago_is_not_purged(aws, run_module, monkeypatch):
    run_module("cloudwatch_alarm_set", name="left", alarms=[CPU | {"name": "left-cpu"}])
    arn = aws("cloudwatch").describe_alarms(AlarmNames=["left-cpu"])["MetricAlarms"][0]["AlarmArn"]
    aws("cloudwatch").untag_resource(ResourceARN=arn, TagKeys=[OWNER_TAG])
    monkeypatch.setattr(cloudwatch_alarm_set, "indexed_tags", lambda tagging, name: {"left-cpu": {OWNER_TAG: name}})
    assert not run_module("cloudwatch_alarm_set", name="left", alarms=[])["changed"]


@pytest.fixture
def cloudwatch():
    """A client whose answers the test gives, for what the emulator lacks. It checks each request, and their order."""
    client = boto3.client(
        "cloudwatch", region_name="eu-central-1", aws_access_key_id="stub-access-key", aws_secret_access_key="stub-secret-key"
    )
    with Stubber(client) as stubber:
        yield RetryingBotoClientWrapper(client, AWSRetry.jittered_backoff()), stubber
        stubber.assert_no_pending_responses()


def test_composite_alarms_are_written_after_and_deleted_before_those_they_look_at(cloudwatch):
    client, stubber = cloudwatch
    rules = {"a": "ALARM(b)", "b": "ALARM(demo-cpu)", "old-a": "ALARM(old-b)", "old-b": "ALARM(old)"}
    composites = {name: {"name": name, "alarm_rule": rule} for name, rule in rules.items()}
    current = as_described(composites["old-b"], composites["old-a"], CPU | {"name": "old"})
    plan = plan_from(current, composites["a"], composites["b"], CPU)

    tags = [{"Key": OWNER_TAG, "Value": "demo"}]
    stubber.add_response("put_metric_alarm", {}, {**wanted(CPU)[0].request, "Tags": tags})
    for name in ("b", "a"):
        stubber.add_response("put_composite_alarm", {}, {"AlarmName": name, "AlarmRule": rules[name], "Tags": tags})
    for names in (["old-a"], ["old-b"], ["old"]):
        stubber.add_response("delete_alarms", {}, {"AlarmNames": names})
    assert cloudwatch_alarm_set.carry_out(client, plan) == {}


def test_reads_every_page_and_both_kinds(cloudwatch):
    client, stubber = cloudwatch
    request = {"AlarmNames": ["demo-cpu", "demo-down"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100}
    cpu = {"AlarmName": "demo-cpu", "AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:demo-cpu"}
    down = {"AlarmName": "demo-down", "AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:demo-down", "AlarmRule": "ALARM(demo-cpu)"}
    stubber.add_response("describe_alarms", {"MetricAlarms": [cpu], "NextToken": "more"}, request)
    stubber.add_response("describe_alarms", {"CompositeAlarms": [down]}, request | {"NextToken": "more"})
    found = cloudwatch_alarm_set.describe_names(client, {"demo-down", "demo-cpu"})
    assert {name: alarm.is_composite for name, alarm in found.items()} == {"demo-cpu": False, "demo-down": True}


def test_the_others_stand_when_aws_refuses_one(aws, run_module, monkeypatch):
    put = cloudwatch_alarm_set.put

    def refuse_one(client, alarm, tags):
        if alarm.name == "part-1":
            raise ClientError({"Error": {"Code": "LimitExceeded", "Message": "too many alarms"}}, "PutMetricAlarm")
        put(client, alarm, tags)

    monkeypatch.setattr(cloudwatch_alarm_set, "put", refuse_one)
    with pytest.raises(ModuleFailed, match="AWS refused 1 alarms of the set part:\npart-1: .*too many alarms"):
        run_module("cloudwatch_alarm_set", name="part", alarms=[CPU | {"name": f"part-{number}"} for number in range(3)])
    found = aws("cloudwatch").describe_alarms(AlarmNamePrefix="part-")["MetricAlarms"]
    assert sorted(alarm["AlarmName"] for alarm in found) == ["part-0", "part-2"]
