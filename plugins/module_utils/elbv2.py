# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# This helper is private to the collection threetier.aws.
"""What the sets of target groups and of load balancers share: names, ownership, attributes and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html
TAGGED_A_CALL = 20
# The most that a look-up of the whole region answers at once. To ask by name is no cheaper: AWS refuses all names for an unknown one.
PAGE = 400
NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,32}(?<!-)", re.ASCII)
# How long a parent that was made just now may be unknown to load balancing.
JUST_MADE_SECONDS = 30


def name_problems(names: list[str], kind: str) -> Iterator[str]:
    """What is wrong with the names of a set, a sentence each."""
    for name in dict.fromkeys(names):
        if not NAME.fullmatch(name):
            yield f"{kind} {name!r}: a name has 1 to 32 letters, digits and inner hyphens"
        if names.count(name) > 1:
            yield f"{kind} {name!r} is given {names.count(name)} times: give it once"


def is_ours(current: Mapping[str, str], tags: Mapping[str, Any] | None) -> bool:
    """Whether C(current), a resource's tags, hold all common C(tags) of the set."""
    return texts(tags).items() <= current.items()


def not_ours(what: str, current: Mapping[str, str], tags: Mapping[str, Any] | None) -> str:
    """The sentence that refuses a resource of somebody else."""
    missing = ", ".join(f"{key}={value}" for key, value in texts(tags).items() if current.get(key) != value)
    return f"{what} is somebody else's, it lacks the tag(s) {missing}: choose another name, or tag it by hand to hand it over"


def all_tags(common: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The tags of one resource of the set; None where nobody has an opinion."""
    return None if common is None and own is None else texts(common) | texts(own)


def texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Values as AWS writes them: true and 15 become C("true") and C("15"). None is "no opinion" and left out."""
    given = {key: value for key, value in (values or {}).items() if value is not None}
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}


def attribute_list(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in attributes.items()]


def attribute_dict(answer: Mapping[str, Any]) -> dict[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}


def tags_of(elb: Any, arns: list[str]) -> dict[str, dict[str, str]]:
    """The tags of each resource by its ARN, 20 resources a request, whatever their kinds."""
    tags = {}
    for start in range(0, len(arns), TAGGED_A_CALL):
        answer = elb.describe_tags(ResourceArns=arns[start : start + TAGGED_A_CALL], aws_retry=True)
        tags |= {each["ResourceArn"]: boto3_tag_list_to_ansible_dict(each["Tags"]) for each in answer["TagDescriptions"]}
    return tags


def set_tags(elb: Any, arn: str, change: TagChange) -> None:
    """AWS takes one resource a call, although the request holds a list: https://github.com/aws/aws-sdk-go-v2/issues/2715."""
    if change.to_set:
        elb.add_tags(ResourceArns=[arn], Tags=ansible_dict_to_boto3_tag_list(change.to_set), aws_retry=True)
    if change.to_remove:
        elb.remove_tags(ResourceArns=[arn], TagKeys=change.to_remove, aws_retry=True)
