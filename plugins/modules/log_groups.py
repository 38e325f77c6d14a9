#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: log_groups
version_added: 0.1.0
short_description: Manage groups of CloudWatch Logs as a set
description:
  - Creates log groups that are missing, mends the retention, the key and the tags of those that are there, and removes groups by their
    names.
  - The whole set costs one C(DescribeLogGroups) a folder of names (what C(/threetier/demo) is of C(/threetier/demo/web)), one
    C(ListTagsForResource) a group, as AWS tells the tags of no more, and the writes that are needed.
  - C(amazon.aws.cloudwatchlogs_log_group) takes one group. It B(deletes) the group, with all its events, where it does not know the
    number of days, and it does not know all that AWS has (1096, 2192 and other years). It changes the retention in check mode, too,
    ignores a changed key, shows no difference, has no retries, and reads and writes tags by calls that AWS has deprecated.
author:
  - threetier.aws contributors
options:
  log_groups:
    description: The log groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the group. Names that begin with C(aws/) are AWS's own.
        type: str
        required: true
      retention_in_days:
        description:
          - Days after which events are deleted. Unset, or V(null), they are kept for ever.
          - One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653.
        type: int
      kms_key_id:
        description:
          - ARN of the KMS key that new events are encrypted with. Its policy must let CloudWatch Logs use it.
          - Left as it is unless set; a new group then gets AWS's own encryption.
        type: str
      tags:
        description: Tags of this group, beside O(tags), which they go before.
        type: dict
  state:
    description:
      - Whether the groups should exist.
      - V(absent) removes them by their names, whatever their tags, with all their events. Amazon ECS makes the groups of Container
        Insights anew, and without tags, when a last event comes in after the removal; so tags cannot say whose they are.
    type: str
    choices: [present, absent]
    default: present
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
    description: Shows what changes of each group, by its name, before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
notes:
  - Where a retention policy of the whole account decides about a group, AWS tells its days and not the group's own; the module then
    leaves the retention alone.
"""

EXAMPLES = r"""
- name: Log groups of the tiers
  threetier.aws.log_groups:
    log_groups:
      - {name: /threetier/demo/web, retention_in_days: 30, tags: {"threetier:tier": web}}
      - {name: /threetier/demo/api, retention_in_days: 30, tags: {"threetier:tier": api}}
    tags:
      "threetier:stack": demo

- name: Remove them, with all that was logged
  threetier.aws.log_groups:
    log_groups:
      - name: /threetier/demo/web
      - name: /threetier/demo/api
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["/threetier/demo/web"], "changed": [], "replaced": [], "deleted": [], "unchanged": ["/threetier/demo/api"]}
log_groups:
  description: The groups in the order of O(log_groups), as they are after the run; in check mode, as they would be.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: /threetier/demo/web
    arn:
      description:
        - ARN, without the C(:*) that policies on the group's streams want at its end.
        - It follows from the name, so check mode knows it, too.
      type: str
      sample: arn:aws:logs:eu-central-1:123456789012:log-group:/threetier/demo/web
    retention_in_days:
      description: Days after which events are deleted; none for ever.
      type: int
      sample: 30
    kms_key_id:
      description: ARN of the key; none where AWS encrypts with its own.
      type: str
      sample: null
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo", "threetier:tier": "web"}
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from os.path import commonprefix
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.iam import get_aws_account_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    PATIENCE_SECONDS,
    StateError,
    client,
    outcome,
    patiently,
    wait_for,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
NAME = re.compile(r"(?!aws/)[.\-_/#A-Za-z0-9]{1,512}")
SETTINGS = ("retention_in_days", "kms_key_id")
# What AWS answers while it is still at an earlier change of the group.
BUSY = ("OperationAbortedException",)
# What it answers while a group made just now is not known everywhere yet.
NOT_YET = (*BUSY, "ResourceNotFoundException")


def prefixes(names: list[str]) -> list[str]:
    """What to ask DescribeLogGroups for, so that one request finds all names of a folder and none has to list the whole account."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0] or name, []).append(name)
    return [commonprefix(siblings) for siblings in folders.values()]


def describe(logs: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Those of the groups that exist, by their names."""
    wanted, found = set(names), {}
    for prefix in prefixes(names):
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        found.update({group["logGroupName"]: group for group in pages.build_full_result()["logGroups"]})
    return {name: group for name, group in found.items() if name in wanted}


def arn_of(group: Mapping[str, Any]) -> str:
    """The ARN as the calls for tags take it."""
    return group["arn"].removesuffix(":*")


def tags_of(logs: Any, group: Mapping[str, Any]) -> dict[str, str]:
    return patiently(lambda: logs.list_tags_for_resource(resourceArn=arn_of(group), aws_retry=True)["tags"], NOT_YET)


def problems_of(groups: list[dict[str, Any]]) -> Iterator[str]:
    """What AWS would refuse."""
    for group in groups:
        if not NAME.fullmatch(group["name"]):
            yield f"{group['name']!r}: a name has 1 to 512 letters, digits and . - _ / #, and does not begin with aws/"
        if group["retention_in_days"] not in (None, *RETENTION_DAYS):
            allowed = ", ".join(map(str, RETENTION_DAYS))
            yield f"{group['name']}: retention_in_days must be one of {allowed}, or null for ever, not {group['retention_in_days']}"
    for name, times in Counter(group["name"] for group in groups).items():
        if times > 1:
            yield f"{name}: {times} groups of the list have this name; list it once"


def changes(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ, as they are wanted. No retention means for ever, no key means no opinion."""
    change = {}
    # where a policy of the account decides, AWS does not tell the group's own retention
    if "retentionPolicyName" not in current and wanted["retention_in_days"] != current.get("retentionInDays"):
        change["retention_in_days"] = wanted["retention_in_days"]
    if wanted["kms_key_id"] is not None and wanted["kms_key_id"] != current.get("kmsKeyId"):
        change["kms_key_id"] = wanted["kms_key_id"]
    return change


def settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"retention_in_days": group.get("retentionInDays"), "kms_key_id": group.get("kmsKeyId")}


def create(logs: Any, wanted: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Creates the group, for ever; whether it did. Somebody may have been faster: Container Insights makes its groups by itself."""
    request: dict[str, Any] = {"logGroupName": wanted["name"]}
    if wanted["kms_key_id"] is not None:
        request["kmsKeyId"] = wanted["kms_key_id"]
    if tags:
        request["tags"] = tags
    try:
        patiently(lambda: logs.create_log_group(**request, aws_retry=True), BUSY)
    except is_boto3_error_code("ResourceAlreadyExistsException"):
        return False
    return True


def change_settings(logs: Any, name: str, change: Mapping[str, Any]) -> None:
    calls: list[Callable[[], Any]] = []
    if "retention_in_days" in change:
        days = change["retention_in_days"]
        if days is None:
            calls.append(lambda: logs.delete_retention_policy(logGroupName=name, aws_retry=True))
        else:
            calls.append(lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=days, aws_retry=True))
    if "kms_key_id" in change:
        calls.append(lambda: logs.associate_kms_key(logGroupName=name, kmsKeyId=change["kms_key_id"], aws_retry=True))
    for call in calls:
        patiently(call, NOT_YET)


def set_tags(logs: Any, arn: str, tags: TagChange) -> None:
    if tags.to_set:
        logs.tag_resource(resourceArn=arn, tags=dict(tags.to_set), aws_retry=True)
    if tags.to_remove:
        logs.untag_resource(resourceArn=arn, tagKeys=tags.to_remove, aws_retry=True)


def wanted_tags(params: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """None where there is no opinion on the group's tags."""
    if params["tags"] is None and wanted["tags"] is None:
        return None
    return {**(params["tags"] or {}), **(wanted["tags"] or {})}


def ensure_present(module: AnsibleAWSModule, logs: Any) -> dict[str, Any]:
    params, check_mode = module.params, module.check_mode
    names = [wanted["name"] for wanted in params["log_groups"]]
    found = describe(logs, names)
    diff: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    all_tags: dict[str, dict[str, str]] = {}

    for wanted in params["log_groups"]:
        name, mine = wanted["name"], wanted_tags(params, wanted)
        if name not in found:
            all_tags[name] = tag_change({}, mine, True).result
            diff["after"][name] = {field: wanted[field] for field in SETTINGS if wanted[field] is not None} | {"tags": all_tags[name]}
            if check_mode:
                continue
            if create(logs, wanted, all_tags[name]):
                if wanted["retention_in_days"] is not None:
                    change_settings(logs, name, {"retention_in_days": wanted["retention_in_days"]})
                continue
            found |= look_up(logs, [name])  # and mend it like any other
        current = found[name]
        change, tags = changes(wanted, current), tag_change(tags_of(logs, current), mine, params["purge_tags"])
        all_tags[name] = tags.result
        if name not in diff["after"] and (change or tags):
            diff["before"][name] = {field: settings_of(current)[field] for field in change} | tags.before
            diff["after"][name] = change | tags.after
        if not check_mode:
            change_settings(logs, name, change)
            set_tags(logs, arn_of(current), tags)

    if new := [name for name in names if name not in found]:
        found |= predicted(module, new) if check_mode else look_up(logs, new)
    results = [public(wanted, found[wanted["name"]], all_tags[wanted["name"]]) for wanted in params["log_groups"]]
    return {"log_groups": results, **outcome(diff["before"], diff["after"], names)}


def look_up(logs: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Groups that there must be: AWS alone knows their ARNs, and may take a moment to list them."""
    what = f"that CloudWatch Logs lists the new groups {', '.join(names)}"
    return wait_for(lambda: describe(logs, names), lambda found: len(found) == len(names), PATIENCE_SECONDS, what)


def predicted(module: AnsibleAWSModule, names: list[str]) -> dict[str, dict[str, Any]]:
    """The same groups as far as a preview knows them: a policy that names one does not change when the group is made anew."""
    account, partition = get_aws_account_info(module)
    return {name: {"arn": f"arn:{partition}:logs:{module.region}:{account}:log-group:{name}"} for name in names}


def public(wanted: Mapping[str, Any], group: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The group with what is wanted of it."""
    return {
        "name": wanted["name"],
        "arn": arn_of(group),
        **settings_of(group),
        **changes(wanted, group),
        "tags": tags,
    }


def delete(logs: Any, name: str) -> None:
    try:
        patiently(lambda: logs.delete_log_group(logGroupName=name, aws_retry=True), BUSY)
    except is_boto3_error_code("ResourceNotFoundException"):
        pass  # somebody was faster


def ensure_absent(module: AnsibleAWSModule, logs: Any) -> dict[str, Any]:
    found = describe(logs, [wanted["name"] for wanted in module.params["log_groups"]])
    if not module.check_mode:
        for name in found:
            delete(logs, name)
    before = {name: {field: value for field, value in settings_of(group).items() if value is not None} for name, group in found.items()}
    return outcome(before, {})


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "log_groups": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "retention_in_days": {"type": "int"},
                    "kms_key_id": {"type": "str"},
                    "tags": {"type": "dict"},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        if problems := list(problems_of(module.params["log_groups"])):
            raise StateError("\n".join(problems))
        result = ensure(module, client(module, "logs"))
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg="Unable to manage the log groups")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
