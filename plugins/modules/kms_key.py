#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kms_key
version_added: 0.1.0
short_description: Manage a symmetric KMS key and its alias
description:
  - Creates, updates and deletes a symmetric key for encryption, known by one alias, with its policy, rotation and tags.
  - A key without an alias that carries all of O(tags) counts as this one, because a run that ends between the creation of a key and that of
    its alias leaves such a key behind. C(amazon.aws.kms_key) makes a second one then.
  - An unchanged key costs C(amazon.aws.kms_key) 17 requests, and three of them read all aliases of the account. It shows no difference,
    tells nothing in check mode about a key to be created, repeats no write that AWS throttles, fails where KMS does not know a new key at
    once, and leaves the alias with a key that waits for its deletion.
author:
  - threetier.aws contributors
options:
  alias:
    description: Name of the key, with or without C(alias/) before it.
    type: str
    required: true
  state:
    description:
      - Whether the key should exist.
      - V(absent) schedules its deletion and deletes the alias at once. A key that does not carry O(tags) is left alone.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What the key is for. Left as it is where not given.
    type: str
  policy:
    description:
      - Key policy. Left as it is where not given; a new key then belongs to the whole account.
      - AWS refuses a policy that would not let the caller change it again.
    type: dict
  enable_key_rotation:
    description: Whether AWS makes new key material every year. Left as it is where not given.
    type: bool
  pending_window:
    description: Days, 7 to 30, that a key waits for its deletion, which can be cancelled until then.
    type: int
    default: 30
notes:
  - A key that still has the alias while it waits for its deletion is kept; its deletion is cancelled, and it is enabled again, as
    C(amazon.aws.kms_key) does. One that has lost its alias, as O(state=absent) leaves it, is not; a new key is made.
  - Keys without alias are found with the Resource Groups Tagging API, which needs the permission C(tag:GetResources) and learns of a new
    key after some seconds.
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
    description: Shows the fields that change, before and after, by the alias.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Key of a topic that alarms publish to
  threetier.aws.kms_key:
    alias: demo-alarms
    description: Alarms of demo
    enable_key_rotation: true
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {AWS: "arn:aws:iam::123456789012:root"}
          Action: kms:*
          Resource: "*"
        - Effect: Allow
          Principal: {Service: cloudwatch.amazonaws.com}
          Action: ["kms:Decrypt", "kms:GenerateDataKey*"]
          Resource: "*"
    tags:
      "threetier:stack": demo

- name: Schedule its deletion
  threetier.aws.kms_key:
    alias: demo-alarms
    pending_window: 7
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-alarms"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
key:
  description: The key after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    alias:
      description: Alias.
      type: str
      sample: alias/demo-alarms
    key_id:
      description: Id; in check mode, words that say so where the key does not exist yet.
      type: str
      sample: 1234abcd-12ab-34cd-56ef-1234567890ab
    key_arn:
      description: ARN, as RV(key.key_id).
      type: str
      sample: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    description:
      description: What the key is for.
      type: str
      sample: Alarms of demo
    policy:
      description: Key policy; null in check mode where AWS would choose it.
      type: dict
    enable_key_rotation:
      description: Whether AWS makes new key material every year.
      type: bool
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

import json
import re
from collections.abc import Callable
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.iam import statements
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome_of, patiently, planned
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change, text_tags

ALIAS = re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}")
KIND = {"KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS"}
STATES = ("Enabled", "Disabled", "PendingDeletion")
# KMS tells itself of a new or changed key within seconds, not at once.
# https://docs.aws.amazon.com/kms/latest/developerguide/accessing-kms.html#programming-eventual-consistency
NOT_YET = ("NotFoundException", "KMSInvalidStateException", "DisabledException")
# A user or role that a policy names may be so new that KMS does not know it yet.
NEW_PRINCIPAL = ("invalid principals",)
TAG_NAMES = {"tag_name_key_name": "TagKey", "tag_value_key_name": "TagValue"}


def describe(kms: Any, key: str) -> dict[str, Any] | None:
    """What KMS says of a key, named by its id, ARN or alias, or None where it does not exist."""
    try:
        return kms.describe_key(KeyId=key, aws_retry=True)["KeyMetadata"]
    except is_boto3_error_code("NotFoundException"):
        return None


def read_tags(kms: Any, key_id: str) -> dict[str, str]:
    """A key's tags: at most 50, which is a page."""
    return boto3_tag_list_to_ansible_dict(kms.list_resource_tags(KeyId=key_id, aws_retry=True)["Tags"], **TAG_NAMES)


def without_alias(kms: Any, tagging: Callable[[], Any], alias: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Keys that carry the tags, have no alias but this one and do not wait for their deletion, the oldest first."""
    if not tags:
        return []
    filters = {"ResourceTypeFilters": ["kms:key"], "TagFilters": [{"Key": key, "Values": [value]} for key, value in tags.items()]}
    pages = tagging().get_paginator("get_resources").paginate(**filters)
    described = [describe(kms, each["ResourceARN"]) for each in pages.build_full_result()["ResourceTagMappingList"]]

    def counts(key: dict[str, Any] | None) -> bool:
        if key is None or key["KeyState"] not in ("Enabled", "Disabled") or not KIND.items() <= key.items():
            return False
        return all(each["AliasName"] == alias for each in kms.list_aliases(KeyId=key["KeyId"], aws_retry=True)["Aliases"])

    return sorted(filter(counts, described), key=lambda key: key["CreationDate"])  # type: ignore[index]


def check_kind(alias: str, key: dict[str, Any]) -> None:
    if not KIND.items() <= key.items():
        found = ", ".join(f"{field} {key[field]}" for field in KIND)
        raise StateError(f"{alias} belongs to a key of another kind ({found}), and AWS cannot change that; take another alias")
    if key["KeyState"] not in STATES:
        raise StateError(f"the key of {alias} is {key['KeyState']}; run again when it is one of {', '.join(STATES)}")


def read(kms: Any, key: dict[str, Any], alias: str | None) -> dict[str, Any]:
    """All that the module manages of a key."""
    key_id = key["KeyId"]
    return {
        "key_id": key_id,
        "key_arn": key["Arn"],
        "key_state": key["KeyState"],
        "alias": alias,
        "description": key["Description"],
        "policy": json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default", aws_retry=True)["Policy"]),
        "enable_key_rotation": kms.get_key_rotation_status(KeyId=key_id, aws_retry=True)["KeyRotationEnabled"],
        "tags": read_tags(kms, key_id),
    }


def create(kms: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Makes a key with all that it can be made with, and returns it as C(read) does: without alias and rotation."""
    tags = text_tags(params["tags"])
    request = {
        "Description": params["description"] or "",
        "KeySpec": KIND["KeySpec"],
        "KeyUsage": KIND["KeyUsage"],
        "Tags": ansible_dict_to_boto3_tag_list(tags, **TAG_NAMES),
    }
    if params["policy"] is not None:
        request["Policy"] = json.dumps(params["policy"])
    key = patiently(lambda: kms.create_key(**request, aws_retry=True), NEW_PRINCIPAL)["KeyMetadata"]
    return new_key(params) | {"key_id": key["KeyId"], "key_arn": key["Arn"]}


def new_key(params: dict[str, Any]) -> dict[str, Any]:
    """A key as C(create) leaves it."""
    name = planned(params["alias"].removeprefix("alias/"))
    return {
        "key_id": name,
        "key_arn": name,
        "key_state": "Enabled",
        "alias": None,
        "description": params["description"] or "",
        "policy": params["policy"],
        "enable_key_rotation": False,
        "tags": text_tags(params["tags"]),
    }


def settings_to_change(params: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    """The fields that differ, tags apart, as they should be, in the order in which they are written."""
    wanted = {"key_state": "Enabled", **{field: params[field] for field in ("alias", "policy", "description", "enable_key_rotation")}}

    def differs(field: str) -> bool:
        if wanted[field] is None:
            return False
        if field == "policy":
            return compare_policies(key["policy"], wanted["policy"])
        return wanted[field] != key[field]

    return {field: value for field, value in wanted.items() if differs(field)}


def shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as a diff shows them: a policy by its statements, so that the one that differs stands out."""
    return {**fields, "policy": statements(fields["policy"])} if fields.get("policy") else dict(fields)


def update(kms: Any, key: dict[str, Any], change: dict[str, Any], tags: TagChange) -> None:
    def call(operation: Callable[..., Any], **request: Any) -> None:
        patiently(lambda: operation(**request, aws_retry=True), (*NOT_YET, *NEW_PRINCIPAL))

    key_id = key["key_id"]
    if "key_state" in change:
        if key["key_state"] == "PendingDeletion":
            call(kms.cancel_key_deletion, KeyId=key_id)  # which leaves it disabled
        call(kms.enable_key, KeyId=key_id)
    if "alias" in change:
        call(kms.create_alias, AliasName=change["alias"], TargetKeyId=key_id)
    if "policy" in change:
        call(kms.put_key_policy, KeyId=key_id, PolicyName="default", Policy=json.dumps(change["policy"]))
    if "description" in change:
        call(kms.update_key_description, KeyId=key_id, Description=change["description"])
    if "enable_key_rotation" in change:
        call(kms.enable_key_rotation if change["enable_key_rotation"] else kms.disable_key_rotation, KeyId=key_id)
    if tags.to_set:
        call(kms.tag_resource, KeyId=key_id, Tags=ansible_dict_to_boto3_tag_list(tags.to_set, **TAG_NAMES))
    if tags.to_remove:
        call(kms.untag_resource, KeyId=key_id, TagKeys=tags.to_remove)


def ensure_present(kms: Any, tagging: Callable[[], Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    alias, name = params["alias"], params["alias"].removeprefix("alias/")
    described, left_over = describe(kms, alias), []
    if described:
        check_kind(alias, described)
        key = read(kms, described, alias)
    elif left_over := without_alias(kms, tagging, alias, text_tags(params["tags"])):
        key = read(kms, left_over[0], None)
    else:
        key = new_key(params)
    exists = bool(described or left_over)
    change, tags = settings_to_change(params, key), tag_change(key["tags"], params["tags"], params["purge_tags"])
    if (change or tags) and not check_mode:
        if not exists:
            key = create(kms, params)
        update(kms, key, change, tags)

    before = {field: key[field] for field in change} | tags.before
    after = change | tags.after
    if not exists:
        after |= {field: key[field] for field in ("description", "policy", "tags")}
    result = {field: value for field, value in (key | change | {"tags": tags.result}).items() if field != "key_state"}
    return {"key": result, **outcome_of(name, shown(before) if exists else None, shown(after))}


def ensure_absent(kms: Any, tagging: Callable[[], Any], params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    alias, tags = params["alias"], text_tags(params["tags"])
    described = describe(kms, alias)
    if described and not tags.items() <= read_tags(kms, described["KeyId"]).items():
        return outcome_of(alias, None, None) | {"foreign": [f"the key of {alias} does not carry the tags {tags} and stays"]}
    keys = {key["KeyId"]: key["KeyState"] for key in without_alias(kms, tagging, alias, tags)}
    if described:
        keys[described["KeyId"]] = described["KeyState"]
    to_schedule = sorted(key_id for key_id, key_state in keys.items() if key_state != "PendingDeletion")
    if not check_mode:
        # The alias goes last: it leads a later run to the key.
        for key_id in to_schedule:
            kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=params["pending_window"], aws_retry=True)
        if described:
            kms.delete_alias(AliasName=alias, aws_retry=True)
    before = {"alias": alias if described else None, "key_ids": to_schedule} if described or to_schedule else None
    return outcome_of(alias.removeprefix("alias/"), before, None)


def build_argument_spec() -> dict[str, Any]:
    return {
        "alias": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "description": {"type": "str"},
        "policy": {"type": "dict"},
        "enable_key_rotation": {"type": "bool"},
        "pending_window": {"type": "int", "default": 30},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    params = module.params
    params["alias"] = "alias/" + params["alias"].removeprefix("alias/")
    wrong = []
    if not ALIAS.fullmatch(params["alias"]):
        wrong.append(f"{params['alias']} must be alias/ and 1 to 250 letters, digits and any of /_-, and AWS keeps alias/aws/ for itself")
    if not 7 <= params["pending_window"] <= 30:
        wrong.append(f"pending_window must be 7 to 30 days, not {params['pending_window']}")
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "kms"), lambda: client(module, "resourcegroupstaggingapi"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the key of {params['alias']}")
    for sentence in result.pop("foreign", []):
        module.warn(sentence)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
