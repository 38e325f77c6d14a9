#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_flow_log
version_added: 0.1.0
short_description: Manage the flow log of a VPC, a subnet or a network interface
description:
  - Creates, replaces and deletes a flow log, which records the connections that a VPC, a subnet or a network interface accepts and rejects.
  - A flow log of the resource counts as this one when it goes to the same destination, or carries all of O(tags). Others are left alone.
  - Neither amazon.aws nor community.aws has a module for flow logs
    (U(https://github.com/ansible-collections/community.aws/issues/1747)).
author:
  - threetier.aws contributors
options:
  resource_id:
    description: Id of the VPC (C(vpc-…)), the subnet (C(subnet-…)) or the network interface (C(eni-…)).
    type: str
    required: true
  state:
    description: Whether the flow log should exist.
    type: str
    choices: [present, absent]
    default: present
  log_group_name:
    description: CloudWatch Logs group that the log goes to; this or O(log_destination).
    type: str
  deliver_logs_permission_arn:
    description: ARN of the role with which the flow log writes to O(log_group_name); required with it and O(state=present).
    type: str
  log_destination:
    description: ARN of the S3 bucket that the log goes to, with a folder at its end where wanted; this or O(log_group_name).
    type: str
  traffic_type:
    description: Which connections are recorded.
    type: str
    choices: [ACCEPT, REJECT, ALL]
    default: ALL
  max_aggregation_interval:
    description: Seconds that one record covers at most.
    type: int
    choices: [60, 600]
    default: 600
notes:
  - AWS cannot change a flow log. Where one differs in more than tags, the module creates a new one and deletes the old one. Where AWS does
    not allow both at once, the old one goes first and the seconds between are not recorded.
  - Two flow logs of one resource that go to different destinations need different tags, or they replace each other.
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
    description: Shows the fields that change, before and after, by the flow log's tag C(Name), or by O(resource_id) where it has none.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Record rejected connections of the VPC in CloudWatch Logs
  threetier.aws.vpc_flow_log:
    resource_id: "{{ network_vpc_id }}"
    traffic_type: REJECT
    log_group_name: /demo/vpc
    deliver_logs_permission_arn: "{{ role.iam_role.arn }}"
    tags:
      "threetier:stack": demo

- name: Record all connections of the VPC in a bucket
  threetier.aws.vpc_flow_log:
    resource_id: "{{ network_vpc_id }}"
    log_destination: arn:aws:s3:::demo-logs/vpc/
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": [], "replaced": ["demo"], "deleted": [], "unchanged": []}
flow_log:
  description:
    - The flow log after the run. In check mode, as it was before, or for one to be created as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    flow_log_id:
      description: Id; absent in check mode when the flow log does not exist yet.
      type: str
      returned: when known
      sample: fl-0123456789abcdef0
    resource_id:
      description: What it watches.
      type: str
      sample: vpc-0123456789abcdef0
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

from collections.abc import Mapping
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict, snake_dict_to_camel_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    is_planned,
    outcome,
    outcome_of,
    patiently,
    planned,
    selected,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import set_tags, tag_change, tag_specifications, tags_of, text_tags

RESOURCE_TYPES = {"vpc": "VPC", "subnet": "Subnet", "eni": "NetworkInterface"}
SETTINGS = ("traffic_type", "log_group_name", "deliver_logs_permission_arn", "log_destination", "max_aggregation_interval")
# What AWS answers while a role, or a bucket's policy, made just now is not known everywhere yet.
NOT_YET = ("Access Denied for LogDestination", "Unable to assume given IAM role")


def resource_type(resource_id: str) -> str:
    prefix = resource_id.split("-")[0]
    if prefix not in RESOURCE_TYPES:
        raise StateError(f"resource_id {resource_id!r} is none of a VPC (vpc-…), a subnet (subnet-…) and a network interface (eni-…)")
    return RESOURCE_TYPES[prefix]


def find(ec2: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The flow logs that count as this one: after a crash amid a replacement, there are two."""
    if is_planned(params["resource_id"]):
        return []
    pages = ec2.get_paginator("describe_flow_logs").paginate(Filters=[{"Name": "resource-id", "Values": [params["resource_id"]]}])
    destination = "log_group_name" if params["log_group_name"] else "log_destination"

    def is_this_one(log: dict[str, Any]) -> bool:
        tags, wanted_tags = tags_of(log), text_tags(params["tags"])
        carries_tags = bool(wanted_tags) and wanted_tags.items() <= tags.items()
        return carries_tags or (params[destination] is not None and log.get(camel(destination)) == params[destination])

    return [log for log in pages.build_full_result()["FlowLogs"] if is_this_one(log)]


def camel(field: str) -> str:
    return next(iter(snake_dict_to_camel_dict({field: None}, capitalize_first=True)))


def wanted_settings(params: dict[str, Any]) -> dict[str, Any]:
    """What the flow log should be, in the API's words."""
    return without_none({camel(field): params[field] for field in SETTINGS})


def create(ec2: Any, params: dict[str, Any], tags: Mapping[str, str], passing_refusals: tuple[str, ...]) -> dict[str, Any]:
    """Creates the flow log. CreateFlowLogs answers with the reason where it does not, instead of failing."""
    wanted = wanted_settings(params)
    request = {"ResourceIds": [params["resource_id"]], "ResourceType": resource_type(params["resource_id"]), **wanted}
    if params["log_destination"]:
        request["LogDestinationType"] = "s3"
    if tags:
        request["TagSpecifications"] = tag_specifications(tags, "vpc-flow-log")

    def attempt() -> str:
        answer = ec2.create_flow_logs(**request, aws_retry=True)
        for failure in answer.get("Unsuccessful", []):
            raise ClientError({"Error": failure["Error"]}, "CreateFlowLogs")
        return answer["FlowLogIds"][0]

    flow_log_id = patiently(attempt, passing_refusals)
    return {"FlowLogId": flow_log_id, "ResourceId": params["resource_id"], **wanted, "Tags": ansible_dict_to_boto3_tag_list(tags)}


def delete(ec2: Any, logs: list[dict[str, Any]]) -> None:
    answer = ec2.delete_flow_logs(FlowLogIds=[log["FlowLogId"] for log in logs], aws_retry=True)
    for failure in answer.get("Unsuccessful", []):
        raise ClientError({"Error": failure["Error"]}, "DeleteFlowLogs")


def replace(ec2: Any, params: dict[str, Any], old: list[dict[str, Any]], tags: Mapping[str, str]) -> dict[str, Any]:
    """Creates the new flow log before it deletes the old one, so that nothing goes unrecorded, where AWS allows both."""
    try:
        log = create(ec2, params, tags, NOT_YET)
    except is_boto3_error_code(["FlowLogAlreadyExists", "FlowLogLimitExceeded"]):
        delete(ec2, old)
        return create(ec2, params, tags, (*NOT_YET, "FlowLogAlreadyExists"))  # the deletion may take a moment
    delete(ec2, old)
    return log


def changes_of(wanted: dict[str, Any], log: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ. A role that is to be made anew gets the ARN that it had."""
    role = log.get("DeliverLogsPermissionArn", "")
    if wanted.get("DeliverLogsPermissionArn") == planned(role.rpartition("/")[2]):
        wanted = {**wanted, "DeliverLogsPermissionArn": role}
    return differences(wanted, log)


def settings_of(log: dict[str, Any]) -> dict[str, Any]:
    """A whole flow log as a diff shows it."""
    return {field: log[field] for field in ("ResourceId", *map(camel, SETTINGS)) if field in log} | {"tags": tags_of(log)}


def ensure_present(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if not is_planned(params["resource_id"]):
        resource_type(params["resource_id"])
    wanted, found, wanted_tags = wanted_settings(params), find(ec2, params), text_tags(params["tags"])
    name = wanted_tags.get("Name", params["resource_id"])
    if not found:
        log = {"ResourceId": params["resource_id"], **wanted, "Tags": ansible_dict_to_boto3_tag_list(wanted_tags)}
        if not check_mode:
            log = create(ec2, params, wanted_tags, NOT_YET)
        return {"flow_log": public(log), **outcome_of(name, None, settings_of(log))}

    current = next((log for log in found if not changes_of(wanted, log)), found[0])
    change = changes_of(wanted, current)
    tags = tag_change(tags_of(current), params["tags"], params["purge_tags"])
    superfluous = [log for log in found if log is not current]
    before = {log["FlowLogId"]: settings_of(log) for log in superfluous}
    after = {}
    if change or tags:
        before[name], after[name] = selected(change, current) | tags.before, change | tags.after
    if not check_mode:
        if change:
            current = replace(ec2, params, found, tags.result)
        elif superfluous:
            delete(ec2, superfluous)
        if tags and not change:
            set_tags(ec2, current["FlowLogId"], tags)
            current = {**current, "Tags": ansible_dict_to_boto3_tag_list(tags.result)}
    return {"flow_log": public(current), **outcome(before, after, [name], [name] if change else [])}


def ensure_absent(ec2: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    found = find(ec2, params)
    if found and not check_mode:
        delete(ec2, found)
    before: dict[str, Any] = {}
    for log in found:
        name = tags_of(log).get("Name", params["resource_id"])
        before[log["FlowLogId"] if name in before else name] = settings_of(log)
    return outcome(before, {})


def public(log: dict[str, Any]) -> dict[str, Any]:
    """The flow log in the collection's snake_case, tags as a dictionary."""
    return {**camel_dict_to_snake_dict(log, ignore_list=["Tags"]), "tags": tags_of(log)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "resource_id": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "log_group_name": {"type": "str"},
            "deliver_logs_permission_arn": {"type": "str"},
            "log_destination": {"type": "str"},
            "traffic_type": {"type": "str", "choices": ["ACCEPT", "REJECT", "ALL"], "default": "ALL"},
            "max_aggregation_interval": {"type": "int", "choices": [60, 600], "default": 600},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("log_group_name", "log_destination"), ("log_destination", "deliver_logs_permission_arn")],
        required_if=[
            ("state", "present", ["log_group_name", "log_destination"], True),
            ("state", "absent", ["log_group_name", "log_destination", "tags"], True),
        ],
        supports_check_mode=True,
    )
    params = module.params
    if params["state"] == "present" and params["log_group_name"] and not params["deliver_logs_permission_arn"]:
        module.fail_json(msg="log_group_name needs deliver_logs_permission_arn, the role that the flow log writes with")
    ensure = ensure_present if params["state"] == "present" else ensure_absent
    try:
        result = ensure(client(module, "ec2"), params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the flow log of {params['resource_id']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
