#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: auto_scaling_group
version_added: 0.1.0
short_description: Manage an auto-scaling group that an ECS capacity provider scales
description:
  - Creates, updates and deletes an auto-scaling group from a launch template, without ever setting how many instances it has now.
  - C(amazon.aws.autoscaling_group) sets the scale-in protection that a capacity provider needs only from release 11 on, always reports a
    change in check mode, and cannot delete a group whose instances are protected.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the group.
    type: str
    required: true
  state:
    description: Whether the group should exist. Removal terminates its instances, protected ones too.
    type: str
    choices: [present, absent]
    default: present
  launch_template:
    description: Name of the launch template; new instances take its newest version. Required with O(state=present).
    type: str
  min_size:
    description: Fewest instances. Required with O(state=present).
    type: int
  max_size:
    description: Most instances. Required with O(state=present).
    type: int
  subnets:
    description: Ids of the subnets that instances are spread over. Required with O(state=present).
    type: list
    elements: str
  new_instances_protected_from_scale_in:
    description: Whether new instances are protected from scale-in, as managed termination protection demands.
    type: bool
    default: false
  health_check_grace_period:
    description: Seconds after its start in which an unhealthy instance is not replaced.
    type: int
    default: 120
  wait:
    description: Whether O(state=absent) waits until the group and its instances are gone.
    type: bool
    default: true
  wait_timeout:
    description: Seconds that the removal may take.
    type: int
    default: 600
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
    description: Shows the fields that change, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
notes:
  - Tags are put on the instances too.
"""

EXAMPLES = r"""
- name: Group of container instances
  threetier.aws.auto_scaling_group:
    name: demo-instances
    launch_template: demo-instances
    min_size: 1
    max_size: 4
    subnets: "{{ network_private_subnet_ids }}"
    new_instances_protected_from_scale_in: true

- name: Remove the group and its instances
  threetier.aws.auto_scaling_group:
    name: demo-instances
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-instances"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
auto_scaling_group:
  description: The group as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    auto_scaling_group_arn:
      description: ARN; in check mode, of a group that does not exist yet, a text that says so.
      type: str
      sample: arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:uuid:autoScalingGroupName/demo-instances
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    outcome_of,
    patiently,
    planned,
    selected,
    wait_for,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change

# A new instance profile, named by the launch template, is "invalid" for some seconds; an account's first group makes the service-linked role.
NOT_YET = ("Invalid IAM Instance Profile", "ServiceLinkedRoleFailure")
# ECS, or the group itself, is at it.
BUSY = ("ResourceContention", "ResourceInUse", "ScalingActivityInProgress")


def describe(autoscaling: Any, name: str) -> dict[str, Any] | None:
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name], aws_retry=True)["AutoScalingGroups"]
    return groups[0] if groups else None


def wanted_settings(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "LaunchTemplate": {"LaunchTemplateName": params["launch_template"], "Version": "$Latest"},
        "MinSize": params["min_size"],
        "MaxSize": params["max_size"],
        # a set, as AWS gives it back in any order
        "VPCZoneIdentifier": ",".join(sorted(params["subnets"])),
        "NewInstancesProtectedFromScaleIn": params["new_instances_protected_from_scale_in"],
        "HealthCheckGracePeriod": params["health_check_grace_period"],
    }


def comparable(group: dict[str, Any]) -> dict[str, Any]:
    return {**group, "VPCZoneIdentifier": ",".join(sorted(group.get("VPCZoneIdentifier", "").split(",")))}


def tag_items(name: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    place = {"ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
    return [{**tag, **place} for tag in ansible_dict_to_boto3_tag_list(tags)]


def create(autoscaling: Any, name: str, settings: dict[str, Any], tags: dict[str, str]) -> None:
    request = {"AutoScalingGroupName": name, "Tags": tag_items(name, tags), **settings}
    patiently(lambda: autoscaling.create_auto_scaling_group(**request, aws_retry=True), NOT_YET)


def change_tags(autoscaling: Any, name: str, change: TagChange) -> None:
    if change.to_set:
        autoscaling.create_or_update_tags(Tags=tag_items(name, dict(change.to_set)), aws_retry=True)
    if change.to_remove:
        autoscaling.delete_tags(Tags=tag_items(name, {key: change.current[key] for key in change.to_remove}), aws_retry=True)


def ensure_present(autoscaling: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, settings, tags = params["name"], wanted_settings(params), params["tags"]
    current = describe(autoscaling, name)
    if current is None:
        tag = tag_change({}, tags, params["purge_tags"])
        if not check_mode:
            create(autoscaling, name, settings, tag.result)
            current = describe(autoscaling, name)
        current = current or {**settings, "AutoScalingGroupARN": planned(name), "Tags": ansible_dict_to_boto3_tag_list(tag.result)}
        return {"auto_scaling_group": public(current), **outcome_of(name, None, {**settings, "tags": tag.result})}
    if current.get("Status"):
        raise StateError(f"auto-scaling group {name} is being deleted ({current['Status']}); run again when it is gone")

    before = comparable(current)
    change = differences(settings, before)
    # somebody's, or AWS's own after a day of failures: without them the group does not do what it is for
    suspended = sorted(process["ProcessName"] for process in current.get("SuspendedProcesses", []))
    tag = tag_change(boto3_tag_list_to_ansible_dict(current.get("Tags", [])), tags, params["purge_tags"])
    if not check_mode:
        if change:
            update = {field: settings[field] for field in change}
            autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **update, aws_retry=True)
        if suspended:
            autoscaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=suspended, aws_retry=True)
        change_tags(autoscaling, name, tag)
        if change or tag:
            current = describe(autoscaling, name) or current
    else:
        current |= {**change, "Tags": ansible_dict_to_boto3_tag_list(tag.result)}
    old, new = selected(change, before) | tag.before, change | tag.after
    if suspended:
        old, new = old | {"SuspendedProcesses": suspended}, new | {"SuspendedProcesses": []}
    return {"auto_scaling_group": public(current), **outcome_of(name, old, new)}


def ensure_absent(autoscaling: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = params["name"]
    if (current := describe(autoscaling, name)) is None:
        return outcome_of(name, None, None)
    if not check_mode:
        if not current.get("Status"):
            # ForceDelete terminates protected instances too, but the group must not start others meanwhile
            empty = {"MinSize": 0, "DesiredCapacity": 0, "NewInstancesProtectedFromScaleIn": False}
            patiently(lambda: autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **empty, aws_retry=True), BUSY)
            patiently(lambda: autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True, aws_retry=True), BUSY)
        if params["wait"]:
            removal = f"the removal of auto-scaling group {name}"
            wait_for(lambda: describe(autoscaling, name), lambda group: group is None, params["wait_timeout"], removal)
    return outcome_of(name, {field: current[field] for field in ("MinSize", "MaxSize", "VPCZoneIdentifier")}, None)


def public(group: dict[str, Any]) -> dict[str, Any]:
    """The group in the collection's snake_case, tags as a dictionary."""
    facts = camel_dict_to_snake_dict({field: value for field, value in group.items() if field not in ("AutoScalingGroupARN", "Tags")})
    tags = boto3_tag_list_to_ansible_dict(group.get("Tags", []))
    return {**facts, "auto_scaling_group_arn": group["AutoScalingGroupARN"], "tags": tags}


def build_argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "launch_template": {"type": "str"},
        "min_size": {"type": "int"},
        "max_size": {"type": "int"},
        "subnets": {"type": "list", "elements": "str"},
        "new_instances_protected_from_scale_in": {"type": "bool", "default": False},
        "health_check_grace_period": {"type": "int", "default": 120},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 600},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["launch_template", "min_size", "max_size", "subnets"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "autoscaling"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the auto-scaling group {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
