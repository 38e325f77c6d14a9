#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: application_autoscaling
version_added: 0.1.0
short_description: Manage the auto-scaling of an ECS service or a DynamoDB table as one desired state
description:
  - Registers a scalable target of Application Auto Scaling with its range, its tags and all its target tracking policies, and
    deregisters it. Policies and scheduled actions that somebody added are deleted, as they would scale it, too, and scaling that somebody
    suspended goes on.
  - M(community.aws.application_autoscaling_policy) writes in check mode, never deregisters the target, ignores changes of the range
    unless it is told to override them, and knows only one policy at a time.
author:
  - threetier.aws contributors
options:
  service_namespace:
    description: Service that owns the resource.
    type: str
    required: true
    choices: [ecs, dynamodb]
  resource_id:
    description: What is scaled, such as C(service/CLUSTER/SERVICE), C(table/TABLE) or C(table/TABLE/index/INDEX). It must exist.
    type: str
    required: true
  scalable_dimension:
    description:
      - Which of its numbers is scaled; required with O(state=present).
      - Without it, O(state=absent) goes for all of them.
    type: str
    choices:
      - ecs:service:DesiredCount
      - dynamodb:table:ReadCapacityUnits
      - dynamodb:table:WriteCapacityUnits
      - dynamodb:index:ReadCapacityUnits
      - dynamodb:index:WriteCapacityUnits
  state:
    description:
      - Whether the scalable target should be registered.
      - With V(absent), AWS deletes its policies and scheduled actions with it. The resource keeps the capacity that it has.
    type: str
    choices: [present, absent]
    default: present
  min_capacity:
    description: Least capacity; required with O(state=present).
    type: int
  max_capacity:
    description: Most capacity; required with O(state=present).
    type: int
  target_tracking_policies:
    description: Policies that keep a metric near a value.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the policy.
        type: str
        required: true
      target_value:
        description: Value that the metric should have.
        type: float
        required: true
      predefined_metric_type:
        description: Metric, such as V(ECSServiceAverageCPUUtilization), V(ALBRequestCountPerTarget) or V(DynamoDBReadCapacityUtilization).
        type: str
        required: true
      resource_label:
        description: Load balancer and target group of V(ALBRequestCountPerTarget), as C(app/NAME/ID/targetgroup/NAME/ID).
        type: str
      scale_in_cooldown:
        description: Seconds after a scale-in until the next one.
        type: int
      scale_out_cooldown:
        description: Seconds after a scale-out until the next one.
        type: int
      disable_scale_in:
        description: Whether the policy only ever adds capacity.
        type: bool
  purge:
    description:
      - Whether policies of the target are deleted, of whatever type, that O(target_tracking_policies) does not have, and all its
        scheduled actions.
    type: bool
    default: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing; the resource need not exist yet.
    support: full
  diff_mode:
    description: Shows the fields that change, before and after, policies and scheduled actions by their names.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
seealso:
  - module: threetier.aws.ecs_service
  - module: community.aws.application_autoscaling_policy
"""

EXAMPLES = r"""
- name: Keep the web tier between two and six tasks
  threetier.aws.application_autoscaling:
    service_namespace: ecs
    resource_id: service/demo/web
    scalable_dimension: ecs:service:DesiredCount
    min_capacity: 2
    max_capacity: 6
    target_tracking_policies:
      - name: demo-web-cpu
        predefined_metric_type: ECSServiceAverageCPUUtilization
        target_value: 60
      - name: demo-web-requests
        predefined_metric_type: ALBRequestCountPerTarget
        resource_label: "{{ balancer_web_resource_label }}"
        target_value: 500
        scale_in_cooldown: 300
    tags:
      threetier:stack: demo

- name: Stop scaling it
  threetier.aws.application_autoscaling:
    service_namespace: ecs
    resource_id: service/demo/web
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["service/demo/web"], "replaced": [], "deleted": [], "unchanged": []}
scalable_target:
  description: The scalable target as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    scalable_target_arn:
      description: ARN; absent in check mode when the target is not registered yet.
      type: str
      returned: when known
    min_capacity:
      description: Least capacity.
      type: int
      sample: 2
    max_capacity:
      description: Most capacity.
      type: int
      sample: 6
    tags:
      description: Tags.
      type: dict
      returned: when O(tags) is set
policies:
  description: All policies of the target; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    policy_name:
      description: Name of the policy.
      type: str
      sample: demo-web-cpu
    target_tracking_scaling_policy_configuration:
      description: Metric, value and cooldowns.
      type: dict
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    client,
    differences,
    outcome,
    outcome_of,
    patiently,
    selected,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change

# The fields by which AWS knows a scalable target, and their options.
IDENTITY = {"ServiceNamespace": "service_namespace", "ResourceId": "resource_id", "ScalableDimension": "scalable_dimension"}
CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
# CloudWatch, which Application Auto Scaling asks in the account's name: it throttles, or does not know the new service-linked role yet.
BEHIND_IT = ("FailedResourceAccessException",)
# A new service-linked role, ECS service or scalable target is not known to Application Auto Scaling for some seconds.
TOO_EARLY = (*BEHIND_IT, "Unable to assume IAM role", "ECS service doesn't exist", "ObjectNotFoundException")


def identity(params: dict[str, Any]) -> dict[str, str]:
    return without_none({field: params[option] for field, option in IDENTITY.items()})


def name_of(target: dict[str, Any]) -> str:
    """The target in words: a service has one dimension, a table two."""
    what = target["ScalableDimension"].rpartition(":")[2].removesuffix("CapacityUnits")
    return target["ResourceId"] if what == "DesiredCount" else f"{target['ResourceId']} {what}"


def describe_targets(scaling: Any, target: dict[str, str]) -> list[dict[str, Any]]:
    """The scalable targets of the resource, of all dimensions where none is given; there are a handful at most."""
    others = {field: value for field, value in target.items() if field != "ResourceId"}
    return list(scaling.describe_scalable_targets(ResourceIds=[target["ResourceId"]], **others, aws_retry=True)["ScalableTargets"])


def describe_target(scaling: Any, target: dict[str, str]) -> dict[str, Any] | None:
    return next(iter(describe_targets(scaling, target)), None)


def describe_policies(scaling: Any, target: dict[str, str]) -> dict[str, dict[str, Any]]:
    """All policies of the target by name."""
    pages = scaling.get_paginator("describe_scaling_policies").paginate(**target)
    return patiently(lambda: {policy["PolicyName"]: policy for page in pages for policy in page["ScalingPolicies"]}, BEHIND_IT)


def describe_scheduled_actions(scaling: Any, target: dict[str, str]) -> dict[str, dict[str, Any]]:
    """All scheduled actions of the target by name."""
    pages = scaling.get_paginator("describe_scheduled_actions").paginate(**target)
    return {action["ScheduledActionName"]: action for page in pages for action in page["ScheduledActions"]}


def wanted_configuration(policy: dict[str, Any]) -> dict[str, Any]:
    """A target tracking policy in the API's words, without what nobody asked for."""
    return without_none(
        {
            "TargetValue": policy["target_value"],
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": policy["predefined_metric_type"],
                "ResourceLabel": policy["resource_label"],
            },
            "ScaleInCooldown": policy["scale_in_cooldown"],
            "ScaleOutCooldown": policy["scale_out_cooldown"],
            "DisableScaleIn": policy["disable_scale_in"],
        }
    )


def current_configuration(policy: dict[str, Any]) -> dict[str, Any]:
    return {"DisableScaleIn": False, **policy.get(CONFIGURATION, {})}


def merged(wanted: dict[str, Any], policy: dict[str, Any]) -> dict[str, Any]:
    """What to put; AWS replaces the whole configuration, so what nobody gave keeps its current value."""
    current = {key: value for key, value in policy.get(CONFIGURATION, {}).items() if key != "CustomizedMetricSpecification"}
    return {**current, **wanted}


def change_tags(scaling: Any, arn: str, change: TagChange) -> None:
    if change.to_set:
        scaling.tag_resource(ResourceARN=arn, Tags=dict(change.to_set), aws_retry=True)
    if change.to_remove:
        scaling.untag_resource(ResourceARN=arn, TagKeys=change.to_remove, aws_retry=True)


def ensure_present(scaling: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    target, tags = identity(params), params["tags"]
    capacity = {"MinCapacity": params["min_capacity"], "MaxCapacity": params["max_capacity"]}
    wanted = {policy["name"]: wanted_configuration(policy) for policy in params["target_tracking_policies"]}

    current = describe_target(scaling, target)
    policies = describe_policies(scaling, target) if current else {}
    resize = differences(capacity, current or {})
    suspended = {field: True for field, value in (current or {}).get("SuspendedState", {}).items() if value}
    awake = {"SuspendedState": dict.fromkeys(suspended, False)} if suspended else {}
    to_put = {
        name: configuration
        for name, configuration in wanted.items()
        if name not in policies or differences(configuration, current_configuration(policies[name]))
    }
    to_delete = sorted(policies.keys() - wanted.keys()) if params["purge"] else []
    actions = describe_scheduled_actions(scaling, target) if current and params["purge"] else {}
    # Tags are read only where somebody wants some.
    current_tags = list_tags(scaling, current) if current and tags is not None else {}
    retag = tag_change(current_tags, tags, params["purge_tags"])

    if not check_mode:
        if resize or awake:
            new_tags = {"Tags": retag.to_set} if retag and not current else {}  # AWS takes them at the creation only
            patiently(lambda: scaling.register_scalable_target(**target, **capacity, **awake, **new_tags, aws_retry=True), TOO_EARLY)
        # First, because AWS allows only one policy for a metric, and a new name, or one that takes it over, would be the second.
        for name in to_delete + with_another_metric(to_put, policies):
            patiently(lambda name=name: scaling.delete_scaling_policy(**target, PolicyName=name, aws_retry=True), BEHIND_IT)
        for name in actions:
            scaling.delete_scheduled_action(**target, ScheduledActionName=name, aws_retry=True)
        for name, configuration in to_put.items():
            put = {"PolicyName": name, "PolicyType": "TargetTrackingScaling", CONFIGURATION: merged(configuration, policies.get(name, {}))}
            patiently(lambda put=put: scaling.put_scaling_policy(**target, **put, aws_retry=True), TOO_EARLY)
        if current:
            change_tags(scaling, current["ScalableTargetARN"], retag)

    before, after = policy_changes(policies, to_put, to_delete)
    if current:
        scheduled = {f"scheduled action {name}": shown_action(action) for name, action in actions.items()}
        asleep = {"SuspendedState": suspended} if suspended else {}
        before = selected(resize, current) | asleep | before | scheduled | retag.before
        after = resize | awake | after | dict.fromkeys(scheduled) | retag.after
    else:
        before, after = None, {**capacity, **after, "tags": retag.result}
    result = outcome_of(name_of(target), before, after)
    if check_mode:
        current = {**target, **(current or {}), **capacity}
        policies = {name: policy for name, policy in policies.items() if name not in to_delete} | {
            name: {**policies.get(name, {}), "PolicyName": name, CONFIGURATION: merged(configuration, policies.get(name, {}))}
            for name, configuration in to_put.items()
        }
    elif result["changed"]:
        current, policies = describe_target(scaling, target), describe_policies(scaling, target)
    return {
        "scalable_target": {**camel_dict_to_snake_dict(current), **({} if tags is None else {"tags": retag.result})},
        "policies": [camel_dict_to_snake_dict(policies[name]) for name in sorted(policies)],
        **result,
    }


def with_another_metric(to_put: dict[str, Any], policies: dict[str, Any]) -> list[str]:
    """Policies that are there for another metric than the wanted one."""
    metric = "PredefinedMetricSpecification"
    current = {name: current_configuration(policies[name]).get(metric, {}) for name in to_put if name in policies}
    return [name for name in current if differences(to_put[name][metric], current[name])]


def shown_action(action: dict[str, Any]) -> dict[str, Any]:
    """When it scales, and to what."""
    return {field: action[field] for field in ("Schedule", "ScalableTargetAction") if field in action}


def policy_changes(policies: dict[str, Any], to_put: dict[str, Any], to_delete: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides of the diff of the policies: of changed ones the fields that change, of others all that we know."""
    before: dict[str, Any] = {f"policy {name}": policies[name].get(CONFIGURATION, policies[name]["PolicyType"]) for name in to_delete}
    after: dict[str, Any] = {f"policy {name}": None for name in to_delete}
    for name, configuration in to_put.items():
        current = current_configuration(policies[name]) if name in policies else {}
        change = differences(configuration, current)
        if "CustomizedMetricSpecification" in current:
            change["CustomizedMetricSpecification"] = None  # of somebody's own, which the predefined metric takes the place of
        before[f"policy {name}"] = selected(change, current) if current else None
        after[f"policy {name}"] = change
    return before, after


def list_tags(scaling: Any, target: dict[str, Any]) -> dict[str, str]:
    return scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"], aws_retry=True)["Tags"]


def ensure_absent(scaling: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    before = {}
    for target in describe_targets(scaling, identity(params)):
        before[name_of(target)] = {field: target[field] for field in ("MinCapacity", "MaxCapacity")}
        if not check_mode:
            scaling.deregister_scalable_target(**{field: target[field] for field in IDENTITY}, aws_retry=True)
    return outcome(before, {})


def build_argument_spec() -> dict[str, Any]:
    return {
        "service_namespace": {"type": "str", "required": True, "choices": ["ecs", "dynamodb"]},
        "resource_id": {"type": "str", "required": True},
        "scalable_dimension": {
            "type": "str",
            "choices": [
                "ecs:service:DesiredCount",
                "dynamodb:table:ReadCapacityUnits",
                "dynamodb:table:WriteCapacityUnits",
                "dynamodb:index:ReadCapacityUnits",
                "dynamodb:index:WriteCapacityUnits",
            ],
        },
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "min_capacity": {"type": "int"},
        "max_capacity": {"type": "int"},
        "target_tracking_policies": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "target_value": {"type": "float", "required": True},
                "predefined_metric_type": {"type": "str", "required": True},
                "resource_label": {"type": "str"},
                "scale_in_cooldown": {"type": "int"},
                "scale_out_cooldown": {"type": "int"},
                "disable_scale_in": {"type": "bool"},
            },
        },
        "purge": {"type": "bool", "default": True},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["scalable_dimension", "min_capacity", "max_capacity"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "application-autoscaling"), module.params, module.check_mode)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the auto-scaling of {module.params['resource_id']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
