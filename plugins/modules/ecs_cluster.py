#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_cluster
version_added: 0.1.0
short_description: Manage an ECS cluster with its capacity providers, settings and tags
description:
  - Creates, updates and deletes an ECS cluster.
  - M(community.aws.ecs_cluster) has neither Container Insights nor tags, takes a different order of the same providers for a change,
    and strips all capacity providers from the cluster when a task leaves them out. This module leaves alone what a task leaves out.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the cluster, unique in the account and region.
    type: str
    required: true
  state:
    description:
      - Whether the cluster should exist.
      - With V(absent), its capacity providers are detached first. Services, tasks and container instances must be gone already.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether O(state=present) waits until the capacity providers are attached, which takes AWS a minute. Without,
        M(threetier.aws.ecs_service) waits for it before it makes a service.
      - Whether O(state=absent) waits until the cluster is gone. Without, it only starts to detach the capacity providers, which takes AWS a
        minute, too, in which the container instances can go; run it again later.
    type: bool
    default: true
  container_insights:
    description:
      - Whether CloudWatch collects Container Insights, which it bills as custom metrics.
      - Left out, the setting is left alone; a new cluster then follows the account's default.
    type: str
    choices: [disabled, enabled, enhanced]
  capacity_providers:
    description:
      - All capacity providers of the cluster, in any order; V([]) detaches all.
      - Left out, they are left alone. Requires O(default_capacity_provider_strategy), because AWS replaces both together.
    type: list
    elements: str
  default_capacity_provider_strategy:
    description:
      - Where a service runs that brings no strategy of its own, in any order; V([]) for none.
      - Requires O(capacity_providers).
    type: list
    elements: dict
    suboptions:
      capacity_provider:
        description: Name of a capacity provider of the cluster.
        type: str
        required: true
      weight:
        description: Share of the tasks, relative to the other weights.
        type: int
        default: 1
      base:
        description: How many tasks run here before the weights count; only one provider may have a base.
        type: int
        default: 0
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
seealso:
  - module: threetier.aws.ecs_capacity_provider
  - module: threetier.aws.ecs_service
"""

EXAMPLES = r"""
- name: Have a cluster that runs tasks on Fargate and on instances
  threetier.aws.ecs_cluster:
    name: demo
    container_insights: enhanced
    capacity_providers: [FARGATE, FARGATE_SPOT, demo-instances]
    default_capacity_provider_strategy:
      - capacity_provider: FARGATE
    tags:
      threetier:stack: demo

- name: Remove the cluster, once its services and instances are gone
  threetier.aws.ecs_cluster:
    name: demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo"], "replaced": [], "deleted": [], "unchanged": []}
cluster:
  description: The cluster as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    cluster_arn:
      description: ARN; absent in check mode when the cluster does not exist yet.
      type: str
      returned: when known
      sample: arn:aws:ecs:eu-central-1:123456789012:cluster/demo
    cluster_name:
      description: Name.
      type: str
      sample: demo
    capacity_providers:
      description: Names of the capacity providers.
      type: list
      elements: str
      sample: [FARGATE, demo-instances]
    default_capacity_provider_strategy:
      description: Where a service runs that brings no strategy of its own.
      type: list
      elements: dict
    settings:
      description: Settings, such as C(containerInsights).
      type: list
      elements: dict
    tags:
      description: Tags.
      type: dict
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.ecs import (
    NEW_ROLE_REFUSALS,
    SETTLE_SECONDS,
    change_tags,
    check_attached,
    describe_cluster,
    is_busy,
    ordered_strategy,
    public,
    settled,
    strategy_argument_spec,
    strategy_by_provider,
    strategy_items,
    tag_dict,
    tag_list,
)
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    outcome_of,
    patiently,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change, text_tags

# Instances and tasks that have just been stopped stay registered for a while.
STOPPED_STILL_KNOWN = ("ClusterContainsContainerInstancesException", "ClusterContainsTasksException")
BUSY = ("UpdateInProgressException", "ResourceInUseException")
IN_THE_WAY = {
    "ClusterContainsServicesException": "it still has services; delete them first (threetier.aws.ecs_service with state: absent)",
    "ClusterContainsContainerInstancesException": "it still has container instances; scale their auto-scaling group to 0 first",
    "ClusterContainsTasksException": "it still runs tasks; stop them first",
    "ClusterContainsCapacityProviderException": "it still has capacity providers that AWS has not detached",
    "ResourceInUseException": "a service or task still uses one of the capacity providers that would be detached; delete or move it first",
}


def ready(ecs: Any, name: str) -> None:
    """Waits until the cluster is there, and fails where AWS could not attach its capacity providers."""
    what = f"the attachment of the capacity providers of cluster {name}"
    check_attached(wait_for(lambda: describe_cluster(ecs, name), lambda cluster: cluster is not None and not is_busy(cluster), SETTLE_SECONDS, what))


def wanted_fields(params: dict[str, Any]) -> dict[str, Any]:
    """The cluster in the API's words, without what nobody asked for."""
    insights = params["container_insights"]
    return without_none(
        {
            "settings": [{"name": "containerInsights", "value": insights}] if insights else None,
            "capacityProviders": params["capacity_providers"],
            "defaultCapacityProviderStrategy": strategy_items(params["default_capacity_provider_strategy"]),
        }
    )


def comparable(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields in a form in which two that mean the same are equal, None where there is none."""
    providers, strategy = fields.get("capacityProviders"), fields.get("defaultCapacityProviderStrategy")
    return {
        "containerInsights": next((item["value"] for item in fields.get("settings") or [] if item["name"] == "containerInsights"), None),
        "capacityProviders": None if providers is None else sorted(providers),
        "defaultCapacityProviderStrategy": None if strategy is None else ordered_strategy(strategy),
    }


def shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Comparable fields as a diff shows them: a default strategy by its providers."""
    strategy = fields.get("defaultCapacityProviderStrategy")
    if strategy is None:
        return fields
    return {**fields, "defaultCapacityProviderStrategy": strategy_by_provider(strategy)}


def put_capacity_providers(ecs: Any, name: str, providers: list[str], strategy: list[dict[str, Any]]) -> None:
    request = {"cluster": name, "capacityProviders": providers, "defaultCapacityProviderStrategy": strategy}
    patiently(lambda: ecs.put_cluster_capacity_providers(**request, aws_retry=True), (*NEW_ROLE_REFUSALS, *BUSY))


def ensure_present(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, tags = params["name"], text_tags(params["tags"])
    fields = wanted_fields(params)
    wanted = without_none(comparable(fields))
    current = describe_cluster(ecs, name) if check_mode else settled(ecs, name)
    if current is None:
        request = {"clusterName": name, **fields, "tags": tag_list(tags)}
        cluster: dict[str, Any] = {**request, "status": "ACTIVE"}
        if not check_mode:
            patiently(lambda: ecs.create_cluster(**request, aws_retry=True), (*NEW_ROLE_REFUSALS, *BUSY))
            if params["wait"]:
                ready(ecs, name)
            cluster = describe_cluster(ecs, name) or cluster
        return {"cluster": public(cluster), **outcome_of(name, None, {**shown(wanted), "tags": tags})}

    change = differences(wanted, comparable(current))
    retag = tag_change(tag_dict(current), params["tags"], params["purge_tags"])
    if not check_mode:
        if "capacityProviders" in change or "defaultCapacityProviderStrategy" in change:
            put_capacity_providers(ecs, name, fields["capacityProviders"], fields["defaultCapacityProviderStrategy"])
            if params["wait"]:
                ready(ecs, name)
        if "containerInsights" in change:
            patiently(lambda: ecs.update_cluster(cluster=name, settings=fields["settings"], aws_retry=True), BUSY)
        change_tags(ecs, current["clusterArn"], retag)
    before = {field: comparable(current)[field] for field in change}
    return {
        "cluster": public({**current, **fields, "tags": tag_list(retag.result)}),
        **outcome_of(name, shown(before) | retag.before, shown(change) | retag.after),
    }


def delete(ecs: Any, name: str) -> None:
    """Deletes the cluster. Where only instances are in its way, those without an agent go for the next try.

    AWS deregisters no instance whose agent had lost it before it was terminated.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterContainerInstance.html
    """
    try:
        ecs.delete_cluster(cluster=name, aws_retry=True)
    except is_boto3_error_code("ClusterContainsContainerInstancesException"):
        arns = ecs.list_container_instances(cluster=name, aws_retry=True)["containerInstanceArns"]
        instances = ecs.describe_container_instances(cluster=name, containerInstances=arns, aws_retry=True)["containerInstances"] if arns else []
        for arn in (instance["containerInstanceArn"] for instance in instances if not instance["agentConnected"]):
            ecs.deregister_container_instance(cluster=name, containerInstance=arn, force=True, aws_retry=True)
        raise


def ensure_absent(ecs: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, wait = params["name"], params["wait"]
    current = settled(ecs, name) if wait and not check_mode else describe_cluster(ecs, name)
    if current is None:
        return outcome_of(name, None, None)
    attached = bool(current.get("capacityProviders")) and not is_busy(current)
    if not check_mode:
        try:
            if attached:
                put_capacity_providers(ecs, name, [], [])
            if wait:
                if attached:
                    settled(ecs, name)
                patiently(lambda: delete(ecs, name), (*BUSY, *STOPPED_STILL_KNOWN))
        except ClientError as error:
            reason = IN_THE_WAY.get(error.response["Error"]["Code"])
            if reason is None:
                raise
            raise StateError(f"cluster {name} cannot be deleted: {reason}") from error
        if wait:
            settled(ecs, name)
    if wait:
        return outcome_of(name, {**shown(comparable(current)), "tags": tag_dict(current)}, None)
    providers = {"capacityProviders": sorted(current["capacityProviders"])} if attached else {}
    return outcome_of(name, providers, dict.fromkeys(providers, []))


def build_argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "wait": {"type": "bool", "default": True},
        "container_insights": {"type": "str", "choices": ["disabled", "enabled", "enhanced"]},
        "capacity_providers": {"type": "list", "elements": "str"},
        "default_capacity_provider_strategy": strategy_argument_spec(),
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_together=[("capacity_providers", "default_capacity_provider_strategy")],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ecs"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the ECS cluster {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
