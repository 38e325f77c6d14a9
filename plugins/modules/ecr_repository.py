#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_repository
version_added: 0.1.0
short_description: Manage an ECR repository with its tags
description:
  - Creates, updates and deletes a private ECR repository, its lifecycle policy and its tags.
  - C(community.aws.ecs_ecr) cannot tag a repository, so what it makes belongs to nobody.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the repository.
    type: str
    required: true
  state:
    description: Whether the repository should exist.
    type: str
    choices: [present, absent]
    default: present
  force:
    description: Whether O(state=absent) deletes a repository that still holds images.
    type: bool
    default: false
  image_tag_mutability:
    description: Whether a tag can be pushed a second time.
    type: str
    choices: [MUTABLE, IMMUTABLE]
    default: IMMUTABLE
  scan_on_push:
    description: Whether images are scanned for known vulnerabilities when they are pushed.
    type: bool
    default: true
  lifecycle_policy:
    description: Which images expire, in the form that ECR takes. Left alone when not given; an empty one removes the policy.
    type: dict
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
    description: Shows the fields that change, before and after, lifecycle rules by their priority.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Repository of the web tier's image
  threetier.aws.ecr_repository:
    name: demo/web
    lifecycle_policy:
      rules:
        - rulePriority: 1
          selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 20}
          action: {type: expire}

- name: Remove it with all its images
  threetier.aws.ecr_repository:
    name: demo/web
    state: absent
    force: true
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo/web"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
repository:
  description: The repository as AWS describes it after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    repository_uri:
      description: Where images are pushed; in check mode, of a repository that does not exist yet, a text that says so.
      type: str
      sample: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/demo/web
"""

import json
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    outcome_of,
    planned,
    selected,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import tag_change


def describe(ecr: Any, name: str) -> dict[str, Any] | None:
    try:
        return ecr.describe_repositories(repositoryNames=[name], aws_retry=True)["repositories"][0]
    except is_boto3_error_code("RepositoryNotFoundException"):
        return None


def describe_lifecycle(ecr: Any, name: str) -> dict[str, Any]:
    """The lifecycle policy as ECR takes it; empty where there is none."""
    try:
        return json.loads(ecr.get_lifecycle_policy(repositoryName=name, aws_retry=True)["lifecyclePolicyText"])
    except is_boto3_error_code("LifecyclePolicyNotFoundException"):
        return {}


def lifecycle_rules(policy: dict[str, Any] | None) -> dict[str, Any]:
    """The rules of a lifecycle policy by their priority, which is all that their order is."""
    return {f"lifecycle rule {rule.get('rulePriority')}": rule for rule in (policy or {}).get("rules", [])}


def wanted_settings(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "imageTagMutability": params["image_tag_mutability"],
        "imageScanningConfiguration": {"scanOnPush": params["scan_on_push"]},
    }


def put_settings(ecr: Any, name: str, change: dict[str, Any]) -> None:
    if "imageTagMutability" in change:
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=change["imageTagMutability"], aws_retry=True)
    if "imageScanningConfiguration" in change:
        scanning = {"imageScanningConfiguration": change["imageScanningConfiguration"]}
        ecr.put_image_scanning_configuration(repositoryName=name, **scanning, aws_retry=True)


def put_lifecycle(ecr: Any, name: str, policy: dict[str, Any]) -> None:
    if policy:
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(policy), aws_retry=True)
    else:
        ecr.delete_lifecycle_policy(repositoryName=name, aws_retry=True)


def ensure_present(ecr: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, settings, lifecycle, tags = params["name"], wanted_settings(params), params["lifecycle_policy"], params["tags"]
    if lifecycle and not 0 < len(lifecycle_rules(lifecycle)) == len(lifecycle.get("rules", [])):
        raise StateError("lifecycle_policy must hold a list, rules, of at least one rule, each with a rulePriority of its own")
    current = describe(ecr, name)
    if current is None:
        new_tags = tag_change({}, tags, params["purge_tags"]).result
        repository = {"repositoryName": name, "repositoryUri": planned(name)}
        if not check_mode:
            request = {"repositoryName": name, **settings, "tags": ansible_dict_to_boto3_tag_list(new_tags)}
            repository = ecr.create_repository(**request, aws_retry=True)["repository"]
            if lifecycle:
                put_lifecycle(ecr, name, lifecycle)
        after = {**settings, **lifecycle_rules(lifecycle), "tags": new_tags}
        return {"repository": public({**repository, **settings}, new_tags), **outcome_of(name, None, after)}

    change = differences(settings, current)
    rules = {} if lifecycle is None else lifecycle_rules(describe_lifecycle(ecr, name))
    wanted_rules = lifecycle_rules(lifecycle)
    other_rules = [rule for rule in sorted(rules | wanted_rules) if rules.get(rule) != wanted_rules.get(rule)]
    arn = current["repositoryArn"]
    current_tags = boto3_tag_list_to_ansible_dict(ecr.list_tags_for_resource(resourceArn=arn, aws_retry=True)["tags"])
    tag = tag_change(current_tags, tags, params["purge_tags"])
    if not check_mode:
        put_settings(ecr, name, change)
        if other_rules:
            put_lifecycle(ecr, name, lifecycle)
        if tag.to_set:
            ecr.tag_resource(resourceArn=arn, tags=ansible_dict_to_boto3_tag_list(dict(tag.to_set)), aws_retry=True)
        if tag.to_remove:
            ecr.untag_resource(resourceArn=arn, tagKeys=tag.to_remove, aws_retry=True)
    before = selected(change, current) | {rule: rules.get(rule) for rule in other_rules} | tag.before
    after = change | {rule: wanted_rules.get(rule) for rule in other_rules} | tag.after
    return {"repository": public({**current, **change}, tag.result), **outcome_of(name, before, after)}


def ensure_absent(ecr: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = params["name"]
    if (current := describe(ecr, name)) is None:
        return outcome_of(name, None, None)
    if not params["force"] and ecr.list_images(repositoryName=name, maxResults=1, aws_retry=True)["imageIds"]:
        raise StateError(f"repository {name} still holds images; give force: true to delete them too")
    if not check_mode:
        ecr.delete_repository(repositoryName=name, force=params["force"], aws_retry=True)
    return outcome_of(name, selected(wanted_settings(params), current), None)


def public(repository: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """The repository in the collection's snake_case, tags as a dictionary."""
    return {**camel_dict_to_snake_dict(repository), "tags": tags}


def build_argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "force": {"type": "bool", "default": False},
        "image_tag_mutability": {"type": "str", "choices": ["MUTABLE", "IMMUTABLE"], "default": "IMMUTABLE"},
        "scan_on_push": {"type": "bool", "default": True},
        "lifecycle_policy": {"type": "dict"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ecr"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the repository {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
