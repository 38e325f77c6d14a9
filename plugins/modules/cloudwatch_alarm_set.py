#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_alarm_set
version_added: 0.1.0
short_description: Manage a set of CloudWatch alarms as one wanted state
description:
  - Creates, changes and deletes the alarms of a set, so that AWS holds those that are listed and no others of the set.
  - All mistakes in the list are reported at once, before anything is written. Only alarms that differ are written, and what AWS throttles
    is repeated. Where AWS refuses an alarm, the others are still made, and the module fails with the names of those that were not; the next
    run finishes the job.
  - M(amazon.aws.cloudwatch_metric_alarm) reports alarms on several metrics, and reordered dimensions, as changed on every run; it has no
    tags, C(actions_enabled), composite alarms, anomaly bands or retries, and takes two calls an alarm.
author:
  - threetier.aws contributors
options:
  name:
    description:
      - Name of the set, unique in the account and region.
      - The set's alarms carry it in the tag C(threetier:alarm-set), and the module deletes no alarm that does not.
    type: str
    required: true
  name_prefix:
    description:
      - Beginning of the names of all alarms of the set, such as V(demo-). Listed alarms whose names begin otherwise are an error.
      - With it, alarms of the set are found by their names, too. Without it they are found by their tags alone, and AWS takes some seconds
        to index these, so that an alarm that was made a moment ago, and is not listed any more, is found by the next run only.
    type: str
  state:
    description: Whether the set's alarms should exist. V(absent) deletes all alarms of the set.
    type: str
    choices: [present, absent]
    default: present
  alarms:
    description:
      - The alarms; required with O(state=present). With O(state=absent) only their names count, and they are surely found when they are listed.
      - Every alarm has a C(name), and may have a C(description), C(actions_enabled), C(action_configuration), and the lists C(alarm_actions),
        C(ok_actions) and C(insufficient_data_actions) of up to five ARNs.
      - An alarm on one metric has a C(metric_name), C(namespace), C(dimensions) (a dictionary), C(period), C(unit), and a C(statistic) or
        an C(extended_statistic) such as V(p99), with which C(evaluate_low_sample_count_percentile) goes.
      - An alarm on several metrics has C(metrics), a list of dictionaries with C(id), C(expression) or C(metric_stat) (a dictionary of
        C(metric), C(period), C(stat) and C(unit)), C(label), C(period), C(return_data) and C(account_id).
      - Both have C(comparison_operator), C(evaluation_periods), C(datapoints_to_alarm), C(evaluation_window), and a C(threshold) or, for
        an anomaly band, the C(threshold_metric_id) of one of the C(metrics).
      - An alarm on a PromQL query has C(evaluation_criteria) and C(evaluation_interval).
      - All three have C(treat_missing_data) and C(warm_up_configuration).
      - A composite alarm has an C(alarm_rule), which may look at alarms of the same set, and an C(actions_suppressor) with its
        C(actions_suppressor_wait_period) and C(actions_suppressor_extension_period).
      - The fields are those that the installed botocore knows of
        U(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html) and
        U(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html), in snake_case.
      - M(threetier.aws.cloudwatch_alarm_set_info) returns alarms that exist in this form.
    type: list
    elements: dict
  defaults:
    description:
      - Fields of every alarm that does not have them itself. Fields that an alarm's kind does not have are not applied to it, nor is
        C(statistic) to an alarm with C(extended_statistic), or C(threshold) to one with C(threshold_metric_id).
      - An alarm that sets a field to null goes without the default.
    type: dict
    default: {}
  purge:
    description: Whether alarms of the set that are not listed are deleted.
    type: bool
    default: true
  adopt:
    description:
      - Whether alarms of a listed name that exist, and do not belong to the set, are taken over.
      - With V(false), such an alarm is an error, and nothing is written.
    type: bool
    default: false
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing.
    support: full
  diff_mode:
    description: Shows, alarm by alarm, the fields that change, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing, in whatever order AWS holds dimensions, metrics and actions.
    support: full
notes:
  - AWS takes about three C(PutMetricAlarm) a second in an account and region. The module sends as fast as it is let, so that a thousand new
    alarms take some six minutes; a thousand that are as wanted take 20 calls.
  - It needs C(cloudwatch:DescribeAlarms), C(cloudwatch:PutMetricAlarm), C(cloudwatch:PutCompositeAlarm), C(cloudwatch:DeleteAlarms),
    C(cloudwatch:ListTagsForResource), C(cloudwatch:TagResource), C(cloudwatch:UntagResource) and C(tag:GetResources).
seealso:
  - module: threetier.aws.cloudwatch_alarm_set_info
  - module: threetier.aws.cloudwatch_dashboard
  - module: amazon.aws.cloudwatch_metric_alarm
"""

EXAMPLES = r"""
- name: The alarms of the web tier
  threetier.aws.cloudwatch_alarm_set:
    name: demo-web
    name_prefix: demo-web-
    defaults:
      namespace: AWS/ECS
      dimensions: {ClusterName: demo, ServiceName: demo-web}
      statistic: Average
      period: 300
      evaluation_periods: 1
      comparison_operator: GreaterThanThreshold
      alarm_actions: ["{{ topic_arn }}"]
    alarms:
      - name: demo-web-cpu-high
        description: Requests will soon wait. First, see whether auto-scaling is at its maximum.
        metric_name: CPUUtilization
        threshold: 80
      - name: demo-web-memory-high
        description: Tasks will be killed. First, look for a leak since the last deployment.
        metric_name: MemoryUtilization
        threshold: 80
    tags:
      "threetier:stack": demo

- name: A percentile, missing data left alone, three of five minutes
  threetier.aws.cloudwatch_alarm_set:
    name: demo-latency
    alarms:
      - name: demo-latency-p99
        namespace: AWS/ApplicationELB
        metric_name: TargetResponseTime
        dimensions: {LoadBalancer: "{{ balancer_dimension }}"}
        extended_statistic: p99
        period: 60
        evaluation_periods: 5
        datapoints_to_alarm: 3
        threshold: 1.5
        comparison_operator: GreaterThanThreshold
        treat_missing_data: ignore
        evaluate_low_sample_count_percentile: ignore

- name: Metric math, the share of failed requests
  threetier.aws.cloudwatch_alarm_set:
    name: demo-error-rate
    alarms:
      - name: demo-error-rate
        metrics:
          - {id: rate, expression: 100 * errors / requests, label: Failed requests (%)}
          - id: errors
            return_data: false
            metric_stat: {metric: "{{ metric | combine({'metric_name': 'HTTPCode_Target_5XX_Count'}) }}", period: 60, stat: Sum}
          - id: requests
            return_data: false
            metric_stat: {metric: "{{ metric | combine({'metric_name': 'RequestCount'}) }}", period: 60, stat: Sum}
        evaluation_periods: 5
        threshold: 1
        comparison_operator: GreaterThanThreshold
  vars:
    metric: {namespace: AWS/ApplicationELB, dimensions: {LoadBalancer: "{{ balancer_dimension }}"}}

- name: An anomaly band, twice the usual variation
  threetier.aws.cloudwatch_alarm_set:
    name: demo-traffic
    alarms:
      - name: demo-traffic-unusual
        metrics:
          - id: requests
            metric_stat:
              metric: {namespace: AWS/ApplicationELB, metric_name: RequestCount, dimensions: {LoadBalancer: "{{ balancer_dimension }}"}}
              period: 300
              stat: Sum
          - {id: band, expression: "ANOMALY_DETECTION_BAND(requests, 2)"}
        threshold_metric_id: band
        evaluation_periods: 3
        comparison_operator: LessThanLowerOrGreaterThanUpperThreshold

- name: A PromQL query
  threetier.aws.cloudwatch_alarm_set:
    name: demo-queue
    alarms:
      - name: demo-queue-long
        evaluation_criteria: {prom_ql_criteria: {query: max(queue_length) > 100, pending_period: 300}}
        evaluation_interval: 60

- name: One call for a person whatever of it rings, and none while a deployment runs
  threetier.aws.cloudwatch_alarm_set:
    name: demo-page
    alarms:
      - name: demo-site-down
        alarm_rule: ALARM("demo-web-5xx-count-high") OR ALARM("demo-web-healthy-hosts-none")
        alarm_actions: ["{{ pager_topic_arn }}"]
        actions_suppressor: demo-deployment-runs
        actions_suppressor_wait_period: 60
        actions_suppressor_extension_period: 120

- name: Read the alarms that somebody made by hand, and take them over
  threetier.aws.cloudwatch_alarm_set_info:
    name_prefix: legacy-
  register: legacy

- name: From now on they are a set
  threetier.aws.cloudwatch_alarm_set:
    name: legacy
    alarms: "{{ legacy.alarms }}"
    adopt: true

- name: Delete all alarms of a set
  threetier.aws.cloudwatch_alarm_set:
    name: demo-web
    name_prefix: demo-web-
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-web-cpu-utilization-high"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
failures:
  description: What AWS answered, by the name of each alarm that it refused to write. The others are as wanted.
  returned: when AWS refused an alarm
  type: dict
  sample: {"demo-web-overloaded": "An error occurred (ValidationError) when calling the PutCompositeAlarm operation: ..."}
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.alarm_set import (
    Alarm,
    AlarmSetError,
    Plan,
    in_order_of_rules,
    make_plan,
    set_tag_change,
    wanted_alarms,
)
from ansible_collections.threetier.aws.plugins.module_utils.cloudwatch import (
    WORKERS,
    describe,
    describe_names,
    in_batches,
    indexed_tags,
    list_tags,
    reader,
    set_tags,
    tagging_reader,
    writer,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import outcome
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange


def read(cloudwatch: Any, tagging: Any, params: dict[str, Any], names: set[str]) -> tuple[dict[str, Alarm], dict[str, dict[str, str]]]:
    """The alarms of the names, of the prefix and of the set, and their tags.

    The index is believed where it says what we want. Where it does not, it may be late, and the alarm itself is asked.
    """
    index = indexed_tags(tagging, params["name"])
    current = describe(cloudwatch, AlarmNamePrefix=params["name_prefix"]) if params["name_prefix"] else {}
    rest = {name for name in names | index.keys() if not params["name_prefix"] or not name.startswith(params["name_prefix"])}
    current |= describe_names(cloudwatch, rest)

    def tags_of(alarm: Alarm) -> dict[str, str]:
        tags = index.get(alarm.name)
        if tags is not None and alarm.name in names and not set_tag_change(tags, params["name"], params["tags"], params["purge_tags"]):
            return tags
        return list_tags(cloudwatch, alarm.arn)

    with ThreadPoolExecutor(WORKERS) as pool:
        return current, dict(zip(current, pool.map(tags_of, current.values())))


class Failures(dict[str, str]):
    """What AWS answered to the writes that it refused, by alarm; the others go on."""

    def collect(self, names: Iterable[str], call: Callable[[], None]) -> None:
        try:
            call()
        except (BotoCoreError, ClientError) as error:
            self.update(dict.fromkeys(names, str(error)))


def put(cloudwatch: Any, alarm: Alarm, tags: TagChange | None) -> None:
    """Writes the alarm. AWS takes tags only with a new one."""
    request = {**alarm.request, "Tags": ansible_dict_to_boto3_tag_list(tags.result)} if tags is not None else alarm.request
    (cloudwatch.put_composite_alarm if alarm.is_composite else cloudwatch.put_metric_alarm)(**request, aws_retry=True)


def delete(cloudwatch: Any, names: list[str]) -> None:
    cloudwatch.delete_alarms(AlarmNames=names, aws_retry=True)


def delete_batch(cloudwatch: Any, names: list[str], failures: Failures) -> None:
    """Deletes the alarms, one by one if AWS refuses them together: it deletes none of them when a composite alarm looks at one."""
    try:
        delete(cloudwatch, names)
    except (BotoCoreError, ClientError):
        for name in names:
            failures.collect([name], lambda name=name: delete(cloudwatch, [name]))


def carry_out(cloudwatch: Any, plan: Plan) -> Failures:
    """Makes the plan true: composite alarms are written after those they look at, and deleted before them."""
    failures = Failures()
    written = [*plan.added, *(wanted for _current, wanted in plan.changed)]

    def write(alarm: Alarm) -> None:
        failures.collect([alarm.name], lambda: put(cloudwatch, alarm, plan.tags.get(alarm.name)))

    def delete_all(alarms: list[Alarm]) -> None:
        for alarm in reversed(in_order_of_rules(alarm for alarm in alarms if alarm.is_composite)):
            failures.collect([alarm.name], lambda: delete(cloudwatch, [alarm.name]))  # AWS deletes one composite alarm a call
        for batch in in_batches(alarm.name for alarm in alarms if not alarm.is_composite):
            delete_batch(cloudwatch, batch, failures)

    def retag(alarm_and_tags: tuple[Alarm, TagChange]) -> None:
        alarm, tags = alarm_and_tags
        failures.collect([alarm.name], lambda: set_tags(cloudwatch, alarm.arn, tags))

    delete_all(plan.replaced)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(write, [alarm for alarm in written if not alarm.is_composite]))
    for alarm in in_order_of_rules(alarm for alarm in written if alarm.is_composite):
        write(alarm)
    delete_all(plan.deleted)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(retag, plan.retagged))
    return failures


def ensure(module: AnsibleAWSModule) -> dict[str, Any]:
    params, cloudwatch = module.params, reader(module)
    absent, listed = params["state"] == "absent", params["alarms"] or []
    wanted = [] if absent else wanted_alarms(listed, params["defaults"], cloudwatch.meta.service_model, params["name_prefix"] or "")
    names = {str(alarm["name"]) for alarm in listed if alarm.get("name")}
    current, tags_of = read(cloudwatch, tagging_reader(module), params, names)
    plan = make_plan(
        params["name"],
        wanted,
        current,
        tags_of,
        params["tags"],
        params["purge_tags"],
        purge=absent or params["purge"],
        adopt=params["adopt"],
    )
    failures = Failures()
    if plan and not module.check_mode:
        failures = carry_out(writer(module), plan)
    diff = {when: {name: fields for name, fields in alarms.items() if name not in failures} for when, alarms in plan.diff.items()}
    done = [alarm.name for alarm in wanted if alarm.name not in failures]
    result = outcome(diff["before"], diff["after"], done, [alarm.name for alarm in plan.replaced])
    return {**result, "failures": failures} if failures else result


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "alarms": {"type": "list", "elements": "dict"},
            "defaults": {"type": "dict", "default": {}},
            "name_prefix": {"type": "str"},
            "purge": {"type": "bool", "default": True},
            "adopt": {"type": "bool", "default": False},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ["alarms"])],
        supports_check_mode=True,
    )
    try:
        result = ensure(module)
    except AlarmSetError as error:
        module.fail_json(msg=f"The alarm set {module.params['name']} cannot be made, and nothing was written:\n{error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the alarm set {module.params['name']}")
    if failures := result.get("failures"):
        lines = [f"{name}: {answer}" for name, answer in sorted(failures.items())]
        module.fail_json(msg=f"AWS refused {len(failures)} alarms of the set {module.params['name']}:\n" + "\n".join(lines), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
