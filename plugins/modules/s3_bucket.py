#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket
version_added: 0.1.0
short_description: Manage an S3 bucket with its settings
description:
  - Creates an S3 bucket, compares all settings that are given and mends those that differ, and removes it with what is in it.
  - C(amazon.aws.s3_bucket) and C(community.aws.s3_lifecycle) know no check mode, so that a preview skips them, and show no difference.
    An unchanged bucket costs them fourteen requests. C(s3_lifecycle) leaves rules alone that somebody added. Removal by C(s3_bucket) does
    not ask whose the bucket is, fails when a log arrives between the last object and the bucket, and goes for objects without a version
    by a plain delete, which puts a delete marker in their place where versioning was ever on.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the bucket, which no other account of the world may have.
    type: str
    required: true
  state:
    description:
      - Whether the bucket should exist.
      - V(absent) removes only a bucket that carries all of O(tags), where they are given.
    type: str
    choices: [present, absent]
    default: present
  encryption:
    description: How objects are encrypted that come without a wish of their own. Bucket keys and blocked encryption stay as they are.
    type: str
    choices: [AES256, "aws:kms"]
  kms_key_id:
    description: ARN or id of the key, only with O(encryption=aws:kms); without it AWS's own key for S3.
    type: str
  object_ownership:
    description: Whose the objects are; V(BucketOwnerEnforced) also switches ACLs off.
    type: str
    choices: [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter]
  public_access_block:
    description: What is refused to the public; all of it where an entry is left out.
    type: dict
    suboptions:
      block_public_acls:
        description: Refuse new public ACLs.
        type: bool
        default: true
      ignore_public_acls:
        description: Ignore public ACLs that are there.
        type: bool
        default: true
      block_public_policy:
        description: Refuse a new policy that is public.
        type: bool
        default: true
      restrict_public_buckets:
        description: Let a public policy give access to AWS services and the bucket's account only.
        type: bool
        default: true
  policy:
    description: Policy of the bucket, compared by what it says.
    type: dict
  expiration_days:
    description:
      - Days after which objects are deleted, by one rule V(expire) over all of them.
      - Other rules are removed, also those that somebody added.
    type: int
  force:
    description:
      - Whether O(state=absent) first deletes all objects, their versions and delete markers.
      - Without it a bucket that holds any is refused.
    type: bool
    default: false
notes:
  - A setting that is not given is neither read nor changed. All others of a new bucket are written, even where they are AWS's defaults.
  - An unchanged bucket costs C(HeadBucket) and one request for each setting that is given.
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
    description: Shows the settings that change, before and after, by the bucket's name.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: A bucket whose objects are gone after a month
  threetier.aws.s3_bucket:
    name: demo-logs-123456789012-eu-central-1
    encryption: AES256
    object_ownership: BucketOwnerEnforced
    public_access_block: {}
    policy:
      Version: "2012-10-17"
      Statement:
        - Sid: OnlyTls
          Effect: Deny
          Principal: "*"
          Action: s3:*
          Resource:
            - arn:aws:s3:::demo-logs-123456789012-eu-central-1
            - arn:aws:s3:::demo-logs-123456789012-eu-central-1/*
          Condition: {Bool: {"aws:SecureTransport": "false"}}
    expiration_days: 30
    tags: {"threetier:stack": demo}

- name: Remove it with all that is in it
  threetier.aws.s3_bucket:
    name: demo-logs-123456789012-eu-central-1
    tags: {"threetier:stack": demo}
    force: true
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-logs"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.iam import statements
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome_of, patiently
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change, text_tags

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# A new bucket is not known everywhere at once, and another change of it may be under way. In brackets, as NoSuchBucketPolicy is an answer.
NOT_YET = ("(NoSuchBucket)", "(OperationAborted)", "Invalid principal in policy")


@dataclass(frozen=True)
class Setting:
    """A part of a bucket that has a request of its own to read it, with an error that says that there is none, and one to write it."""

    option: str
    get: str
    none: str
    value: Callable[[dict[str, Any]], Any]
    put: str
    request: Callable[[Any], dict[str, Any]]


# In the order in which they are written: what closes the bucket goes before what opens it.
SETTINGS = {
    "public_access_block": Setting(
        "public_access_block",
        "get_public_access_block",
        "NoSuchPublicAccessBlockConfiguration",
        lambda answer: answer["PublicAccessBlockConfiguration"],
        "put_public_access_block",
        lambda value: {"PublicAccessBlockConfiguration": value},
    ),
    "object_ownership": Setting(
        "object_ownership",
        "get_bucket_ownership_controls",
        "OwnershipControlsNotFoundError",
        lambda answer: answer["OwnershipControls"]["Rules"][0]["ObjectOwnership"],
        "put_bucket_ownership_controls",
        lambda value: {"OwnershipControls": {"Rules": [{"ObjectOwnership": value}]}},
    ),
    "encryption": Setting(
        "encryption",
        "get_bucket_encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
        lambda answer: answer["ServerSideEncryptionConfiguration"]["Rules"][0],
        "put_bucket_encryption",
        lambda value: {"ServerSideEncryptionConfiguration": {"Rules": [value]}},
    ),
    "policy": Setting(
        "policy",
        "get_bucket_policy",
        "NoSuchBucketPolicy",
        lambda answer: json.loads(answer["Policy"]),
        "put_bucket_policy",
        lambda value: {"Policy": json.dumps(value)},
    ),
    "lifecycle_rules": Setting(
        "expiration_days",
        "get_bucket_lifecycle_configuration",
        "NoSuchLifecycleConfiguration",
        lambda answer: [with_filter(rule) for rule in answer["Rules"]],
        "put_bucket_lifecycle_configuration",
        lambda value: {"LifecycleConfiguration": {"Rules": value}},
    ),
}


def with_filter(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule in one way of writing: "all objects" is also an empty filter, and a prefix without one."""
    others = {field: value for field, value in rule.items() if field != "Prefix"}
    return {**others, "Filter": rule.get("Filter") or {"Prefix": rule.get("Prefix", "")}}


def input_problems(params: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the input, in sentences."""
    if not BUCKET_NAME.fullmatch(params["name"]):
        yield f"name {params['name']!r} must be 3 to 63 lower-case letters, digits, dots and hyphens, the first and last no dot or hyphen"
    if params["kms_key_id"] and params["encryption"] != "aws:kms":
        yield "kms_key_id is for encryption: aws:kms only"
    if params["policy"] is not None and not params["policy"].get("Statement"):
        yield "policy needs a Statement; leave it out where there is nothing to say"
    if params["expiration_days"] is not None and params["expiration_days"] < 1:
        yield f"expiration_days must be 1 or more, not {params['expiration_days']}"


def exists(s3: Any, name: str) -> bool:
    """Whether the bucket is there and can be ours; a StateError where somebody else has the name."""
    try:
        answer = s3.head_bucket(Bucket=name, aws_retry=True)
    except is_boto3_error_code("404"):
        return False
    except is_boto3_error_code("403") as error:
        raise StateError(
            f"bucket {name} belongs to another account, and names are unique in the world: choose another one; if it is yours, "
            "you lack s3:ListBucket on it"
        ) from error
    region = answer.get("BucketRegion") or s3.meta.region_name
    if region != s3.meta.region_name:
        raise StateError(
            f"bucket {name} is in {region}, and AWS cannot move it to {s3.meta.region_name}; choose another name, or remove it there first"
        )
    return True


def read(s3: Any, name: str, setting: Setting) -> Any:
    """The setting as AWS has it, None where there is none."""
    try:
        return setting.value(getattr(s3, setting.get)(Bucket=name, aws_retry=True))
    except is_boto3_error_code(setting.none):
        return None


def read_tags(s3: Any, name: str) -> dict[str, str]:
    try:
        return boto3_tag_list_to_ansible_dict(s3.get_bucket_tagging(Bucket=name, aws_retry=True)["TagSet"])
    except is_boto3_error_code("NoSuchTagSet"):
        return {}


def wanted_setting(field: str, params: dict[str, Any], current: Any) -> Any:
    """The setting as it should be, in AWS's words; what says the same in others stays as it is."""
    if field == "encryption":
        by_default = {"SSEAlgorithm": params["encryption"]} | ({"KMSMasterKeyID": params["kms_key_id"]} if params["kms_key_id"] else {})
        # The rule also holds the use of bucket keys and what is blocked, such as SSE-C in new buckets.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionRule.html
        return {**(current or {}), "ApplyServerSideEncryptionByDefault": by_default}
    if field == "public_access_block":
        return snake_dict_to_camel_dict(params["public_access_block"], capitalize_first=True)
    if field == "policy":
        return params["policy"] if current is None or compare_policies(current, params["policy"]) else current
    if field == "lifecycle_rules":
        return [{"ID": "expire", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": params["expiration_days"]}}]
    return params[field]


def shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a diff shows them: a policy by its statements, and lifecycle rules by their ids, so that the one that differs stands out."""
    by_name = {
        "policy": statements,
        "lifecycle_rules": lambda rules: None if rules is None else {rule.get("ID", rule.get("Prefix")): rule for rule in rules},
    }
    return {field: by_name.get(field, lambda same: same)(value) for field, value in fields.items()}


def create(s3: Any, name: str) -> None:
    region = s3.meta.region_name
    # The oldest region is the one that must not be named.
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        patiently(lambda: s3.create_bucket(Bucket=name, **location, aws_retry=True), NOT_YET)
    except is_boto3_error_code("BucketAlreadyOwnedByYou"):
        pass  # so new that HeadBucket did not know it


def write(s3: Any, name: str, change: Mapping[str, Any], tags: TagChange) -> None:
    def call(operation: str, **request: Any) -> None:
        patiently(lambda: getattr(s3, operation)(Bucket=name, **request, aws_retry=True), NOT_YET)

    # First of all: tags say whose the bucket is, should the run end here. They are written as a whole.
    if tags and tags.result:
        call("put_bucket_tagging", Tagging={"TagSet": ansible_dict_to_boto3_tag_list(tags.result)})
    elif tags:
        call("delete_bucket_tagging")
    for field, value in change.items():
        call(SETTINGS[field].put, **SETTINGS[field].request(value))


def ensure_present(s3: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = params["name"]
    there = exists(s3, name)
    fields = [field for field, setting in SETTINGS.items() if params[setting.option] is not None]
    current = {field: patiently(lambda field=field: read(s3, name, SETTINGS[field]), NOT_YET) if there else None for field in fields}
    current_tags = patiently(lambda: read_tags(s3, name), NOT_YET) if there and params["tags"] is not None else {}

    wanted = {field: wanted_setting(field, params, current[field]) for field in fields}
    change = {field: value for field, value in wanted.items() if value != current[field]}
    tags = tag_change(current_tags, params["tags"], params["purge_tags"])
    if not check_mode:
        if not there:
            create(s3, name)
        write(s3, name, change, tags)
    before = shown({field: current[field] for field in change}) | tags.before
    after = shown(change) | tags.after
    return outcome_of(name, before if there else None, after if there else {"region": s3.meta.region_name, **after})


def empty(s3: Any, name: str) -> None:
    """Deletes all objects, with their versions and delete markers; a page of them is as many as one request can delete."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if not objects:
            continue
        answer = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True}, aws_retry=True)
        # What AWS failed to delete by its own fault is found again, as the bucket is not empty then.
        if refused := [error for error in answer.get("Errors", []) if error["Code"] != "InternalError"]:
            first = refused[0]
            raise StateError(
                f"bucket {name}: AWS does not delete {len(refused)} of its objects, such as {first['Key']!r}: "
                f"{first['Code']}, {first.get('Message', '')}"
            )


def delete(s3: Any, name: str, force: bool) -> None:
    def attempt() -> None:
        try:
            s3.delete_bucket(Bucket=name, aws_retry=True)
        except is_boto3_error_code("BucketNotEmpty"):
            if force:
                empty(s3, name)  # of what has arrived meanwhile: access logs come minutes late
            raise

    try:
        if force:
            empty(s3, name)
        patiently(attempt, ["(OperationAborted)", "(BucketNotEmpty)"] if force else ["(OperationAborted)"])
    except is_boto3_error_code("NoSuchBucket"):
        pass  # somebody was faster


def ensure_absent(s3: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, tags = params["name"], text_tags(params["tags"])
    if not exists(s3, name):
        return outcome_of(name, None, None)
    current = read_tags(s3, name) if tags else {}
    if not tags.items() <= current.items():
        return {**outcome_of(name, {}, {}), "foreign": f"the bucket {name} does not carry the tags {tags} and stays"}
    if not params["force"]:
        found = s3.list_object_versions(Bucket=name, MaxKeys=1, aws_retry=True)
        if found.get("Versions") or found.get("DeleteMarkers"):
            raise StateError(f"bucket {name} is not empty; force: true deletes all that is in it, old versions too")
    if not check_mode:
        delete(s3, name, params["force"])
    return outcome_of(name, {"region": s3.meta.region_name, **{f"tag {key}": value for key, value in current.items()}}, None)


def build_argument_spec() -> dict[str, Any]:
    blocks = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "encryption": {"type": "str", "choices": ["AES256", "aws:kms"]},
        "kms_key_id": {"type": "str"},
        "object_ownership": {"type": "str", "choices": ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]},
        "public_access_block": {"type": "dict", "options": {block: {"type": "bool", "default": True} for block in blocks}},
        "policy": {"type": "dict"},
        "expiration_days": {"type": "int"},
        "force": {"type": "bool", "default": False},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    params = module.params
    try:
        if problems := list(input_problems(params)):
            raise StateError("\n".join(problems))
        ensure = ensure_present if params["state"] == "present" else ensure_absent
        result = ensure(client(module, "s3"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the bucket {params['name']}")
    if foreign := result.pop("foreign", None):
        module.warn(foreign)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
