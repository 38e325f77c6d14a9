# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What the ECS modules share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, wait_for
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange

SETTLE_SECONDS = 600  # that a change of a cluster may take
# What ECS answers while a role that has just been made is not yet known everywhere.
NEW_ROLE_REFUSALS = (
    "Unable to assume the service linked role",
    "Service Linked Role does not exist",
    "Role is not valid",
    "unable to assume the role",
    "verify that the ECS service role being passed has the proper permissions",
)


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as ECS takes them."""
    return ansible_dict_to_boto3_tag_list(tags or {}, "key", "value")


def tag_dict(resource: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a described resource."""
    return boto3_tag_list_to_ansible_dict(resource.get("tags") or [], "key", "value")


def change_tags(ecs: Any, arn: str, change: TagChange) -> None:
    if change.to_set:
        ecs.tag_resource(resourceArn=arn, tags=tag_list(change.to_set), aws_retry=True)
    if change.to_remove:
        ecs.untag_resource(resourceArn=arn, tagKeys=change.to_remove, aws_retry=True)


def public(resource: Mapping[str, Any], raw: tuple[str, ...] = ()) -> dict[str, Any]:
    """A described resource in the collection's snake_case, tags as a dictionary; the values of C(raw) stay as AWS names them."""
    return {**camel_dict_to_snake_dict(resource, ignore_list=["tags", *raw]), "tags": tag_dict(resource)}


def describe_cluster(ecs: Any, name: str) -> dict[str, Any] | None:
    """The cluster, or None where it does not exist; AWS keeps deleted ones as INACTIVE for a while."""
    answer = ecs.describe_clusters(clusters=[name], include=["TAGS", "SETTINGS", "ATTACHMENTS"], aws_retry=True)
    return next((cluster for cluster in answer["clusters"] if cluster["status"] != "INACTIVE"), None)


def is_busy(cluster: dict[str, Any] | None) -> bool:
    """Whether AWS is still making, changing or removing it; capacity providers of instances take a minute to attach."""
    if cluster is None:
        return False
    return cluster["status"] in ("PROVISIONING", "DEPROVISIONING") or cluster.get("attachmentsStatus") == "UPDATE_IN_PROGRESS"


def settled(ecs: Any, name: str) -> dict[str, Any] | None:
    """The cluster once AWS is through with its last change, None where it does not exist. Raises StateError where that takes too long."""
    what = f"the end of the last change of cluster {name}"
    return wait_for(lambda: describe_cluster(ecs, name), lambda cluster: not is_busy(cluster), SETTLE_SECONDS, what)


def check_attached(cluster: Mapping[str, Any] | None) -> None:
    """Raises StateError where AWS could not attach the capacity providers of a cluster."""
    if cluster and (cluster["status"] == "FAILED" or cluster.get("attachmentsStatus") == "UPDATE_FAILED"):
        raise StateError(f"AWS could not attach the capacity providers of cluster {cluster['clusterName']}: {cluster.get('attachments')}")


def describe_services(ecs: Any, cluster: str, names: list[str]) -> list[dict[str, Any]]:
    """The services that AWS knows, with those that are being deleted (DRAINING) or are (INACTIVE); none where the cluster is missing."""
    services: list[dict[str, Any]] = []
    for start in range(0, len(names), 10):  # as many as AWS takes
        try:
            answer = ecs.describe_services(cluster=cluster, services=names[start : start + 10], include=["TAGS"], aws_retry=True)
        except is_boto3_error_code("ClusterNotFoundException"):
            return []
        services += answer["services"]
    return services


def strategy_items(options: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """The option C(capacity_provider_strategy) in the API's words."""
    if options is None:
        return None
    return [{"capacityProvider": item["capacity_provider"], "weight": item["weight"], "base": item["base"]} for item in options]


def ordered_strategy(items: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """A capacity provider strategy in a form in which two that mean the same are equal."""
    filled = [
        {"capacityProvider": item["capacityProvider"], "weight": item.get("weight", 0), "base": item.get("base", 0)} for item in items or []
    ]
    return sorted(filled, key=lambda item: item["capacityProvider"])


def strategy_by_provider(items: list[dict[str, Any]]) -> dict[str, Any]:
    """An ordered strategy as a diff shows it."""
    return {item["capacityProvider"]: {"weight": item["weight"], "base": item["base"]} for item in items}


def strategy_argument_spec() -> dict[str, Any]:
    return {
        "type": "list",
        "elements": "dict",
        "options": {
            "capacity_provider": {"type": "str", "required": True},
            "weight": {"type": "int", "default": 1},
            "base": {"type": "int", "default": 0},
        },
    }
