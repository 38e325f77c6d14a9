# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What has to happen to a resource's tags, and how a diff shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
    compare_aws_tags,
)


@dataclass(frozen=True)
class TagChange:
    """The way from the current tags to the wanted ones; false where there is nothing to do."""

    current: Mapping[str, str]
    to_set: Mapping[str, str]
    to_remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.to_set or self.to_remove)

    @property
    def before(self) -> dict[str, str | None]:
        return {f"tag {key}": self.current.get(key) for key in [*self.to_set, *self.to_remove]}

    @property
    def after(self) -> dict[str, str | None]:
        return {f"tag {key}": self.to_set.get(key) for key in [*self.to_set, *self.to_remove]}

    @property
    def result(self) -> dict[str, str]:
        """All tags as they are once the change is made."""
        return {key: value for key, value in {**self.current, **self.to_set}.items() if key not in self.to_remove}


def tag_change(current: Mapping[str, str], wanted: Mapping[str, str] | None, purge: bool) -> TagChange:
    """C(wanted) None means "no opinion"; tags that AWS reserves (C(aws:)) are never removed."""
    if wanted is None:
        return TagChange(current, {}, [])
    to_set, to_remove = compare_aws_tags(current, text_tags(wanted), purge)
    return TagChange(current, to_set, to_remove)


def named_tag_change(current: Mapping[str, str], name: str, params: Mapping[str, Any]) -> TagChange:
    """The same for a resource whose name is its tag C(Name): no opinion on the module's C(tags) is still one on the name."""
    tags = params["tags"]
    return tag_change(current, {**(tags or {}), "Name": name}, params["purge_tags"] and tags is not None)


def text_tags(tags: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags of an option as AWS keeps them: 15 becomes C("15")."""
    return {key: str(value) for key, value in (tags or {}).items()}


def tags_of(resource: Mapping[str, Any] | None) -> dict[str, str]:
    """The tags that AWS describes a resource with; none where there is no resource."""
    return boto3_tag_list_to_ansible_dict((resource or {}).get("Tags", []))


def carries(resource: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether AWS describes the resource with all of the tags. A filter is not enough to tell: it takes * and ? for wildcards."""
    return tags.items() <= tags_of(resource).items()


def tag_specifications(tags: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """The tags of what a request of EC2's makes, of each of its C(kinds), such as C(subnet)."""
    return [{"ResourceType": kind, "Tags": ansible_dict_to_boto3_tag_list(tags)} for kind in kinds]


def set_tags(ec2: Any, resource_id: str, change: TagChange) -> None:
    """Change the tags of anything of EC2's, which tags all of its kinds by the same two calls."""
    if change.to_set:
        ec2.create_tags(Resources=[resource_id], Tags=ansible_dict_to_boto3_tag_list(change.to_set), aws_retry=True)
    if change.to_remove:
        ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in change.to_remove], aws_retry=True)
