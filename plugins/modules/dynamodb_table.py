#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dynamodb_table
version_added: 0.1.0
short_description: Manage a DynamoDB table with its encryption, recovery, protection and expiry
description:
  - Creates, updates and deletes a DynamoDB table together with the settings that make it fit for production.
  - M(community.aws.dynamodb_table) has no point-in-time recovery, no deletion protection and no choice of encryption, and sets
    the provisioned capacity back on every run, which fights application auto-scaling.
  - Secondary indexes and streams are left as they are; M(community.aws.dynamodb_table) manages indexes.
author:
  - threetier.aws contributors
options:
  name:
    description: Name of the table, unique in the account and region.
    type: str
    required: true
  state:
    description: Whether the table should exist.
    type: str
    choices: [present, absent]
    default: present
  hash_key:
    description:
      - The attribute that items are spread by; required with O(state=present).
      - Keys cannot be changed later; the module fails when the table exists with others.
    type: dict
    suboptions: &key
      name:
        description: Name of the attribute.
        type: str
        required: true
      type:
        description: Type of the attribute.
        type: str
        choices: [STRING, NUMBER, BINARY]
        default: STRING
  range_key:
    description: The attribute that items of one O(hash_key) are sorted by.
    type: dict
    suboptions: *key
  billing_mode:
    description: Whether requests are paid each, or capacity by the hour.
    type: str
    choices: [PAY_PER_REQUEST, PROVISIONED]
    default: PAY_PER_REQUEST
  read_capacity:
    description:
      - Read capacity units; required with O(billing_mode=PROVISIONED).
      - A table whose capacity lies within the bounds keeps it, so that the module never undoes what auto-scaling did.
    type: dict
    suboptions: &bounds
      minimum:
        description: Fewest units, and the units that a new table gets.
        type: int
        required: true
      maximum:
        description: Most units. The same as the minimum unless given.
        type: int
  write_capacity:
    description: Write capacity units; see O(read_capacity).
    type: dict
    suboptions: *bounds
  table_class:
    description: Storage class; a new table is V(STANDARD) unless given.
    type: str
    choices: [STANDARD, STANDARD_INFREQUENT_ACCESS]
  server_side_encryption:
    description: Which key encrypts the table. A new table is encrypted with a key that AWS owns, at no charge, unless given.
    type: dict
    suboptions:
      enabled:
        description: Whether a KMS key encrypts the table, at KMS's charges; V(false) means the key that AWS owns.
        type: bool
        required: true
      kms_master_key_id:
        description: Id, ARN or alias of the KMS key; C(alias/aws/dynamodb), which AWS manages in the account, unless given.
        type: str
  point_in_time_recovery:
    description: Whether the table can be restored to any second of the recovery period.
    type: bool
  recovery_period_in_days:
    description: Length of the recovery period, 1 to 35; AWS takes 35 unless given.
    type: int
  deletion_protection:
    description:
      - Whether AWS refuses to delete the table.
      - With O(state=absent) a protected table is deleted only when V(false) is given; the protection is lifted first.
    type: bool
  ttl_attribute:
    description:
      - Attribute that holds the second (Unix time) after which DynamoDB deletes an item; an empty string switches expiry off.
      - AWS takes one change an hour, and another attribute is two changes. The module switches the old one off and, where AWS
        refuses the second change, fails and says so; a run an hour later completes it.
    type: str
  wait:
    description:
      - Whether to wait until a new or changed table is V(ACTIVE), or a deleted one gone.
      - AWS takes O(point_in_time_recovery) and O(ttl_attribute) only on an active table. With V(false) the module starts the creation
        and leaves these to the next call.
      - A table that exists is waited for before it is compared, whatever is given here, in check mode, too. AWS tells its settings only
        then.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for the table at most, after each change.
    type: int
    default: 600
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
    description: Shows the settings that change, before and after; of a new table those that this call makes.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Table that can be restored and is not deleted by accident
  threetier.aws.dynamodb_table:
    name: demo-items
    hash_key:
      name: id
    point_in_time_recovery: true
    deletion_protection: true
    ttl_attribute: expires_at
    tags:
      "threetier:stack": demo

- name: Provisioned table whose capacity auto-scaling moves between 5 and 50
  threetier.aws.dynamodb_table:
    name: demo-items
    hash_key:
      name: id
    billing_mode: PROVISIONED
    read_capacity: {minimum: 5, maximum: 50}
    write_capacity: {minimum: 5, maximum: 50}

- name: Start the creation now, and join it with the same options later
  threetier.aws.dynamodb_table:
    name: demo-items
    hash_key:
      name: id
    wait: false

- name: Delete the table although it is protected
  threetier.aws.dynamodb_table:
    name: demo-items
    state: absent
    deletion_protection: false
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["demo-items"], "changed": [], "replaced": [], "deleted": [], "unchanged": []}
table:
  description:
    - The table as AWS describes it after the run. In check mode, as it was before the run, or for a table to be created its name,
      its ARN and its tags.
  returned: when O(state=present)
  type: dict
  contains:
    table_name:
      description: Name.
      type: str
      sample: demo-items
    table_arn:
      description: ARN; predicted in check mode when the table does not exist yet.
      type: str
      sample: arn:aws:dynamodb:eu-central-1:123456789012:table/demo-items
    table_status:
      description: Status.
      type: str
      returned: when the table exists
      sample: ACTIVE
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

from collections.abc import Iterator
from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code, is_boto3_error_message
from ansible_collections.amazon.aws.plugins.module_utils.iam import get_aws_account_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list, boto3_tag_list_to_ansible_dict
from ansible_collections.threetier.aws.plugins.module_utils.state import (
    StateError,
    client,
    differences,
    is_planned,
    outcome_of,
    patiently,
    selected,
    wait_for,
    without_none,
)
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change

AWS_MANAGED_KEY = "alias/aws/dynamodb"
ONLY_WHEN_ACTIVE = ("point_in_time_recovery", "recovery_period_in_days", "ttl_attribute")
KEY_TYPES = {"STRING": "S", "NUMBER": "N", "BINARY": "B"}

# A table that has just become ACTIVE, or that somebody else changes, refuses a change for some seconds.
REFUSALS = ("ResourceInUseException", "ContinuousBackupsUnavailableException", "TableNotFoundException", "LimitExceededException")


def find(dynamodb: Any, name: str) -> dict[str, Any] | None:
    """The table, or None where it does not exist."""
    try:
        return dynamodb.describe_table(TableName=name, aws_retry=True)["Table"]
    except is_boto3_error_code("ResourceNotFoundException"):
        return None


def is_active(table: dict[str, Any] | None) -> bool:
    """Whether the table takes a change: it exists, and neither it nor its encryption is being changed."""
    if table is None:
        return False
    if table["TableStatus"] not in ("CREATING", "UPDATING", "DELETING", "ACTIVE"):
        raise StateError(f"table {table['TableName']} is {table['TableStatus']}: let AWS use its KMS key again")
    return table["TableStatus"] == "ACTIVE" and table.get("SSEDescription", {}).get("Status") not in ("ENABLING", "DISABLING", "UPDATING")


def wait_until_active(dynamodb: Any, params: dict[str, Any]) -> dict[str, Any]:
    """The table, once it takes changes. DescribeTable may miss a table for a moment after its creation."""
    name = params["name"]
    return wait_for(lambda: find(dynamodb, name), is_active, params["wait_timeout"], f"the table {name} becoming active")


def wait_until_gone(dynamodb: Any, params: dict[str, Any]) -> None:
    name = params["name"]
    wait_for(lambda: find(dynamodb, name), lambda table: table is None, params["wait_timeout"], f"the deletion of the table {name}")


def key_schema(params: dict[str, Any]) -> dict[str, Any]:
    """The table's keys, in the API's words."""
    keys = [(key, kind) for kind in ("HASH", "RANGE") if (key := params[f"{kind.lower()}_key"])]
    return {
        "KeySchema": [{"AttributeName": key["name"], "KeyType": kind} for key, kind in keys],
        "AttributeDefinitions": [{"AttributeName": key["name"], "AttributeType": KEY_TYPES[key["type"]]} for key, kind in keys],
    }


def described_keys(table: dict[str, Any]) -> list[str]:
    """The keys in words that can be compared and read, hash key first: C(id (HASH, S))."""
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    keys = sorted(table["KeySchema"], key=lambda key: key["KeyType"])
    return [f"{key['AttributeName']} ({key['KeyType']}, {types[key['AttributeName']]})" for key in keys]


def current_settings(dynamodb: Any, table: dict[str, Any]) -> dict[str, Any]:
    """What the table is set to, in the module's words. AWS leaves out what a table never had changed."""
    name = table["TableName"]
    backups = patiently(lambda: dynamodb.describe_continuous_backups(TableName=name, aws_retry=True), REFUSALS)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    ttl = dynamodb.describe_time_to_live(TableName=name, aws_retry=True)["TimeToLiveDescription"]
    encryption = table.get("SSEDescription", {})
    throughput = table.get("ProvisionedThroughput", {})
    return {
        "billing_mode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "read_capacity": throughput.get("ReadCapacityUnits", 0),
        "write_capacity": throughput.get("WriteCapacityUnits", 0),
        "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "server_side_encryption": {
            "enabled": encryption.get("Status") == "ENABLED",
            "kms_master_key_arn": encryption.get("KMSMasterKeyArn"),
        },
        "deletion_protection": table.get("DeletionProtectionEnabled", False),
        "point_in_time_recovery": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        "recovery_period_in_days": recovery.get("RecoveryPeriodInDays"),
        "ttl_attribute": ttl["AttributeName"] if ttl["TimeToLiveStatus"] in ("ENABLING", "ENABLED") else "",
    }


def wanted_settings(module: AnsibleAWSModule, current: dict[str, Any]) -> dict[str, Any]:
    """What the table should be set to, in the words of C(current_settings), without what nobody asked for."""
    params = module.params
    wanted = {field: params[field] for field in ("billing_mode", "table_class", "deletion_protection", *ONLY_WHEN_ACTIVE)}
    if not params["point_in_time_recovery"]:
        del wanted["recovery_period_in_days"]
    if params["billing_mode"] == "PROVISIONED":
        for field in ("read_capacity", "write_capacity"):
            minimum, maximum = params[field]["minimum"], params[field]["maximum"] or params[field]["minimum"]
            if maximum < minimum:
                raise StateError(f"{field}: the maximum ({maximum}) is less than the minimum ({minimum})")
            wanted[field] = min(max(current.get(field, 0), minimum), maximum)
    if encryption := params["server_side_encryption"]:
        wanted["server_side_encryption"] = {"enabled": encryption["enabled"]}
        if encryption["enabled"]:
            wanted["server_side_encryption"]["kms_master_key_arn"] = key_arn(module, encryption["kms_master_key_id"] or AWS_MANAGED_KEY)
    return without_none(wanted)


def key_arn(module: AnsibleAWSModule, key: str) -> str:
    """The ARN behind a key's id or alias: DescribeTable answers with nothing else."""
    if ":key/" in key or is_planned(key):
        return key
    try:
        return client(module, "kms").describe_key(KeyId=key, aws_retry=True)["KeyMetadata"]["Arn"]
    except is_boto3_error_code("NotFoundException"):
        if key == AWS_MANAGED_KEY:
            return key  # AWS makes it when the account's first table asks for it
        raise


def table_requests(params: dict[str, Any], wanted: dict[str, Any], change: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of C(change) that CreateTable takes together and UpdateTable one by one."""
    if change.keys() & {"billing_mode", "read_capacity", "write_capacity"}:
        request: dict[str, Any] = {"BillingMode": wanted["billing_mode"]}
        if wanted["billing_mode"] == "PROVISIONED":
            request["ProvisionedThroughput"] = {
                "ReadCapacityUnits": wanted["read_capacity"],
                "WriteCapacityUnits": wanted["write_capacity"],
            }
        yield request
    if "table_class" in change:
        yield {"TableClass": wanted["table_class"]}
    if "server_side_encryption" in change:
        encryption = wanted["server_side_encryption"]
        specification: dict[str, Any] = {"Enabled": encryption["enabled"]}
        if encryption["enabled"]:
            specification["SSEType"] = "KMS"
            if params["server_side_encryption"]["kms_master_key_id"] not in (None, AWS_MANAGED_KEY):  # AWS refuses its own key by name
                specification["KMSMasterKeyId"] = encryption["kms_master_key_arn"]
        yield {"SSESpecification": specification}
    if "deletion_protection" in change:
        yield {"DeletionProtectionEnabled": wanted["deletion_protection"]}


def set_recovery_and_ttl(dynamodb: Any, name: str, change: dict[str, Any], wanted: dict[str, Any], ttl_before: str) -> None:
    """Sets what has calls of its own, which AWS takes only on an active table."""
    if change.keys() & {"point_in_time_recovery", "recovery_period_in_days"}:
        recovery = {
            "PointInTimeRecoveryEnabled": wanted["point_in_time_recovery"],
            "RecoveryPeriodInDays": wanted.get("recovery_period_in_days"),
        }
        request = {"TableName": name, "PointInTimeRecoverySpecification": without_none(recovery)}
        patiently(lambda: dynamodb.update_continuous_backups(**request, aws_retry=True), REFUSALS)
    if "ttl_attribute" in change:
        if ttl_before:
            set_ttl(dynamodb, name, ttl_before, False)
        if wanted["ttl_attribute"]:
            set_ttl(dynamodb, name, wanted["ttl_attribute"], True)


def set_ttl(dynamodb: Any, name: str, attribute: str, enabled: bool) -> None:
    request = {"TableName": name, "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}
    try:
        patiently(lambda: dynamodb.update_time_to_live(**request, aws_retry=True), REFUSALS)
    except is_boto3_error_message("TimeToLive is already"):
        pass  # somebody else was faster
    except is_boto3_error_message("multiple times within a fixed interval") as error:
        raise StateError(
            f"AWS takes one change of a table's expiry an hour, and that of {name} was changed within the last one; "
            f"expiry by {attribute} is not yet {'on' if enabled else 'off'}: run again in an hour"
        ) from error


def ensure_present(module: AnsibleAWSModule) -> dict[str, Any]:
    params, dynamodb = module.params, client(module, "dynamodb")
    table = find(dynamodb, params["name"])
    if table is not None and table["TableStatus"] == "DELETING":
        wait_until_gone(dynamodb, params)
        table = None
    if table is None:
        return create(module, dynamodb)
    return update(module, dynamodb, table if is_active(table) else wait_until_active(dynamodb, params))


def create(module: AnsibleAWSModule, dynamodb: Any) -> dict[str, Any]:
    params = module.params
    tags = tag_change({}, params["tags"], params["purge_tags"]).result
    settings = wanted_settings(module, {})
    if not params["wait"]:
        settings = {field: value for field, value in settings.items() if field not in ONLY_WHEN_ACTIVE}
    request = {"TableName": params["name"], **key_schema(params)}
    for part in table_requests(params, settings, settings):
        request |= part
    after = {"keys": described_keys(request), **settings, "tags": tags}
    if tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(tags)

    if module.check_mode:
        account, partition = get_aws_account_info(module)
        table = {"TableName": params["name"], "TableArn": f"arn:{partition}:dynamodb:{module.region}:{account}:table/{params['name']}"}
    else:
        table = dynamodb.create_table(**request, aws_retry=True)["TableDescription"]
        if params["wait"]:
            table = wait_until_active(dynamodb, params)
            change = differences(settings, {"point_in_time_recovery": False, "ttl_attribute": ""})
            set_recovery_and_ttl(dynamodb, params["name"], change, settings, ttl_before="")
    return {"table": public(table, tags), **outcome_of(params["name"], None, after)}


def update(module: AnsibleAWSModule, dynamodb: Any, table: dict[str, Any]) -> dict[str, Any]:
    params, name = module.params, module.params["name"]
    wanted_keys, keys = described_keys(key_schema(params)), described_keys(table)
    if wanted_keys != keys:
        raise StateError(
            f"table {name} has the keys {', '.join(keys)} and AWS cannot change them to {', '.join(wanted_keys)}; "
            "create a table of another name, copy the items, and delete this one (state: absent). Deleting it loses its items"
        )
    current = current_settings(dynamodb, table)
    wanted = wanted_settings(module, current)
    change = differences(wanted, current)
    tags = tag_change(list_tags(dynamodb, table["TableArn"]), params["tags"], params["purge_tags"])

    if not module.check_mode:
        for request in table_requests(params, wanted, change):
            wait_until_active(dynamodb, params)
            patiently(lambda request=request: dynamodb.update_table(TableName=name, **request, aws_retry=True), REFUSALS)
        if params["wait"]:
            table = wait_until_active(dynamodb, params)
        set_recovery_and_ttl(dynamodb, name, change, wanted, current["ttl_attribute"])
        set_tags(dynamodb, table["TableArn"], tags)
    return {
        # ListTagsOfResource may show the old tags for a while, so the new ones are not read back.
        "table": public(table, dict(tags.current) if module.check_mode else tags.result),
        **outcome_of(name, selected(change, current) | tags.before, change | tags.after),
    }


def set_tags(dynamodb: Any, arn: str, tags: TagChange) -> None:
    if tags.to_set:
        request = {"ResourceArn": arn, "Tags": ansible_dict_to_boto3_tag_list(tags.to_set)}
        patiently(lambda: dynamodb.tag_resource(**request, aws_retry=True), REFUSALS)
    if tags.to_remove:
        patiently(lambda: dynamodb.untag_resource(ResourceArn=arn, TagKeys=tags.to_remove, aws_retry=True), REFUSALS)


def list_tags(dynamodb: Any, arn: str) -> dict[str, str]:
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    return boto3_tag_list_to_ansible_dict(pages.build_full_result()["Tags"])


def ensure_absent(module: AnsibleAWSModule) -> dict[str, Any]:
    params, dynamodb = module.params, client(module, "dynamodb")
    name = params["name"]
    table = find(dynamodb, name)
    if table is None:
        return outcome_of(name, None, None)
    deleting = table["TableStatus"] == "DELETING"
    if not deleting and table.get("DeletionProtectionEnabled") and params["deletion_protection"] is not False:
        raise StateError(f"table {name} is protected from deletion; to delete it with its items, give deletion_protection: false as well")
    if not module.check_mode:
        if not deleting:
            # AWS refuses both while the table is being created or changed.
            patience = params["wait_timeout"]
            if table.get("DeletionProtectionEnabled"):
                patiently(
                    lambda: dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False, aws_retry=True), REFUSALS, patience
                )
            patiently(lambda: dynamodb.delete_table(TableName=name, aws_retry=True), REFUSALS, patience)
        if params["wait"]:
            wait_until_gone(dynamodb, params)
    return outcome_of(name, None if deleting else {"keys": described_keys(table)}, None)


def public(table: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """The table in the collection's snake_case, tags as a dictionary."""
    return {**camel_dict_to_snake_dict(table), "tags": tags}


def build_argument_spec() -> dict[str, Any]:
    key = {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "choices": ["STRING", "NUMBER", "BINARY"], "default": "STRING"},
        },
    }
    bounds = {"type": "dict", "options": {"minimum": {"type": "int", "required": True}, "maximum": {"type": "int"}}}
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "hash_key": {**key, "no_log": False},
        "range_key": {**key, "no_log": False},
        "billing_mode": {"type": "str", "choices": ["PAY_PER_REQUEST", "PROVISIONED"], "default": "PAY_PER_REQUEST"},
        "read_capacity": bounds,
        "write_capacity": bounds,
        "table_class": {"type": "str", "choices": ["STANDARD", "STANDARD_INFREQUENT_ACCESS"]},
        "server_side_encryption": {
            "type": "dict",
            "options": {"enabled": {"type": "bool", "required": True}, "kms_master_key_id": {"type": "str", "no_log": False}},
        },
        "point_in_time_recovery": {"type": "bool"},
        "recovery_period_in_days": {"type": "int"},
        "deletion_protection": {"type": "bool"},
        "ttl_attribute": {"type": "str"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 600},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=build_argument_spec(),
        required_if=[("state", "present", ["hash_key"]), ("billing_mode", "PROVISIONED", ["read_capacity", "write_capacity"])],
        supports_check_mode=True,
    )
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        result = ensure(module)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the table {module.params['name']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
