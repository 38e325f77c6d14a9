#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_capacity_provider
version_added: 0.1.0
short_description: Manage an ECS capacity provider backed by an auto-scaling group
description:
  - Creates, updates and deletes a capacity provider that lets ECS scale an EC2 auto-scaling group.
  - Neither amazon.aws nor community.aws has a module for capacity providers
    (U(https://github.com/ansible-collections/community.aws/issues/1181)).
author:
  - threetier.aws contributors
options:
  name:
    description:
      - Name of the capacity provider, unique in the account and region.
      - AWS reserves names that begin with V(aws), V(ecs) or V(fargate).
    type: str
    required: true
  state:
    description: Whether the capacity provider should exist.
    type: str
    choices: [present, absent]
    default: present
  auto_scaling_group_arn:
    description:
      - ARN of the auto-scaling group; required with O(state=present).
      - AWS cannot change it later; the module fails when the provider exists with another group.
    type: str
  managed_scaling:
    description: How ECS sizes the group. AWS's own defaults apply to what is left out.
    type: dict
    suboptions:
      status:
        description: Whether ECS sizes the group.
        type: str
        choices: [ENABLED, DISABLED]
      target_capacity:
        description: Per cent of the group's capacity that tasks should use, 1 to 100.
        type: int
      minimum_scaling_step_size:
        description: Fewest instances that one scale-out adds, 1 to 10000.
        type: int
      maximum_scaling_step_size:
        description: Most instances that one scale-out adds, 1 to 10000.
        type: int
      instance_warmup_period:
        description: Seconds until a new instance counts, 0 to 10000.
        type: int
  managed_termination_protection:
    description: Whether instances that run tasks are protected from scale-in; the group must have scale-in protection on.
    type: str
    choices: [ENABLED, DISABLED]
  managed_draining:
    description: Whether ECS drains instances before the group terminates them.
    type: str
    choices: [ENABLED, DISABLED]
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
"""

EXAMPLES = r"""
- name: Let ECS size the group to what the tasks need
  threetier.aws.ecs_capacity_provider:
    name: demo-instances
    auto_scaling_group_arn: "{{ group.autoscaling_group_arn }}"
    managed_scaling:
      status: ENABLED
      target_capacity: 100
    managed_termination_protection: ENABLED
    managed_draining: ENABLED

- name: Remove the capacity provider, once no cluster uses it
  threetier.aws.ecs_capacity_provider:
    name: demo-instances
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-instances"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
capacity_provider:
  description: The capacity provider as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    capacity_provider_arn:
      description: ARN; in check mode, of a provider that does not exist yet, a text that says so.
      type: str
      sample: arn:aws:ecs:eu-central-1:123456789012:capacity-provider/demo-instances
    name:
      description: Name.
      type: str
      sample: demo-instances
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.ecs import (
    NEW_ROLE_REFUSALS,
    SETTLE_SECONDS,
    change_tags,
    public,
    tag_dict,
    tag_list,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    outcome_of,
    patiently,
    planned,
    selected,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change


def describe(ecs: Any, name: str) -> dict[str, Any] | None:
    """The capacity provider, or None where it does not exist; AWS keeps deleted ones as INACTIVE for a while."""
    answer = ecs.describe_capacity_providers(capacityProviders=[name], include=["TAGS"], aws_retry=True)
    return next((provider for provider in answer["capacityProviders"] if provider["status"] == "ACTIVE"), None)


def wanted_settings(params: dict[str, Any]) -> dict[str, Any]:
    """The part of the provider that UpdateCapacityProvider takes, in the API's words, without what nobody asked for."""
    return without_none(
        snake_dict_to_camel_dict(
            {
                "managed_scaling": params["managed_scaling"],
                "managed_termination_protection": params["managed_termination_protection"],
                "managed_draining": params["managed_draining"],
            }
        )
    )


def settled(ecs: Any, name: str, what: str) -> None:
    """Waits until AWS has done its C(update) or C(delete), which it only begins when it is asked, and fails with AWS's reason where it could not."""
    in_progress, failed = f"{what.upper()}_IN_PROGRESS", f"{what.upper()}_FAILED"

    def over(provider: dict[str, Any] | None) -> bool:
        if provider is None or what == "delete":
            return provider is None or provider.get("updateStatus") == failed
        return provider.get("updateStatus") != in_progress

    provider = wait_for(lambda: describe(ecs, name), over, SETTLE_SECONDS, f"the {what} of capacity provider {name}")
    if provider and provider.get("updateStatus") == failed:
        raise StateError(f"AWS could not {what} capacity provider {name}: {provider.get('updateStatusReason', 'it does not say why')}")


def ensure_present(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, group_arn, tags = params["name"], params["auto_scaling_group_arn"], params["tags"]
    settings = wanted_settings(params)
    current = describe(ecs, name)
    if current is None:
        group = {"autoScalingGroupArn": group_arn, **settings}
        new_tags = tag_change({}, tags, params["purge_tags"]).result
        request = {"name": name, "autoScalingGroupProvider": group, "tags": tag_list(new_tags)}
        provider = {**request, "capacityProviderArn": planned(name)}
        if not check_mode:
            answer = patiently(lambda: ecs.create_capacity_provider(**request, aws_retry=True), NEW_ROLE_REFUSALS)
            provider = answer["capacityProvider"]
        return {"capacity_provider": public(provider), **outcome_of(name, None, {**group, "tags": new_tags})}

    group = current["autoScalingGroupProvider"]
    if group["autoScalingGroupArn"] != group_arn:
        raise StateError(
            f"capacity provider {name} belongs to {group['autoScalingGroupArn']} and AWS cannot move it to {group_arn}; "
            "take it out of its cluster, delete it (state: absent) and run again"
        )
    change = differences(settings, group)
    update = {field: {**group.get(field, {}), **value} if isinstance(value, dict) else value for field, value in change.items()}
    retag = tag_change(tag_dict(current), tags, params["purge_tags"])
    if not check_mode:
        if change:
            request = {"name": name, "autoScalingGroupProvider": update}
            patiently(lambda: ecs.update_capacity_provider(**request, aws_retry=True), ("UpdateInProgressException",))
            settled(ecs, name, "update")
        change_tags(ecs, current["capacityProviderArn"], retag)
    capacity_provider = public({**current, "autoScalingGroupProvider": {**group, **update}, "tags": tag_list(retag.result)})
    return {"capacity_provider": capacity_provider, **outcome_of(name, selected(change, group) | retag.before, change | retag.after)}


def ensure_absent(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = params["name"]
    if (current := describe(ecs, name)) is None:
        return outcome_of(name, None, None)
    if not check_mode:
        ecs.delete_capacity_provider(capacityProvider=name, aws_retry=True)
        settled(ecs, name, "delete")
    return outcome_of(name, current["autoScalingGroupProvider"], None)


def build_argument_spec() -> dict[str, Any]:
    on_off = {"type": "str", "choices": ["ENABLED", "DISABLED"]}
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "auto_scaling_group_arn": {"type": "str"},
        "managed_scaling": {
            "type": "dict",
            "options": {
                "status": on_off,
                "target_capacity": {"type": "int"},
                "minimum_scaling_step_size": {"type": "int"},
                "maximum_scaling_step_size": {"type": "int"},
                "instance_warmup_period": {"type": "int"},
            },
        },
        "managed_termination_protection": on_off,
        "managed_draining": on_off,
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["auto_scaling_group_arn"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ecs"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the capacity provider {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
