#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dynamodb_items
version_added: 0.1.0
short_description: Make sure that a DynamoDB table holds some items, or does not
description:
  - Writes the items that a table lacks, such as its first ones, or deletes items by key.
  - An item that is already there is left alone, whatever else it holds, unless O(overwrite=true).
  - With C(check_mode) set to true on the task, it is a test whether the table holds the items; see RV(missing).
  - Neither amazon.aws nor community.aws has a module for a table's items.
author:
  - threetier.aws contributors
options:
  table:
    description: Name of the table.
    type: str
    required: true
  items:
    description:
      - The items, as plain dictionaries; each holds at least the table's key attributes.
      - Numbers, strings, booleans, nulls, lists and dictionaries become the DynamoDB types of the same meaning. Sets and binary values
        have no plain counterpart.
    type: list
    elements: dict
    required: true
  state:
    description: Whether the table should hold the items. With V(absent), only the key attributes count.
    type: str
    choices: [present, absent]
    default: present
  overwrite:
    description: Whether an item that is there, but differs, is replaced by the given one.
    type: bool
    default: false
  keys:
    description:
      - The table's key attributes, hash key first, each with its type, V(STRING), V(NUMBER) or V(BINARY).
      - Without them the module asks the table for them, and a preview cannot name the items of a table that does not exist yet as the run
        that writes them will.
    type: dict
notes:
  - The difference shows what is in the items. Set C(diff) to false and C(no_log) to true on a task whose items are secret.
  - In check mode, a table that does not exist yet lacks all items. Otherwise it is an error with O(state=present).
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Reads the table and writes nothing.
    support: full
  diff_mode:
    description: Shows the items that are written, replaced or deleted, by their keys.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Write the first items, and leave those alone that are there
  threetier.aws.dynamodb_items:
    table: demo-items
    keys: {id: STRING}
    items:
      - {id: "1", text: First item}
      - {id: "2", text: Second item}

- name: Are they there?
  threetier.aws.dynamodb_items:
    table: demo-items
    items:
      - {id: "1"}
  check_mode: true
  register: seeded
  failed_when: seeded.missing | length > 0

- name: Delete one by its key
  threetier.aws.dynamodb_items:
    table: demo-items
    items:
      - {id: "2"}
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": ["id=2"], "changed": [], "replaced": [], "deleted": [], "unchanged": ["id=1"]}
missing:
  description: Keys of the given items that the table did not hold when the module looked, whatever it did then.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "1"}]
"""

import decimal
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

try:
    from boto3.dynamodb.types import DYNAMODB_CONTEXT, TypeDeserializer, TypeSerializer
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome

BATCH_SIZE = 100  # BatchGetItem takes no more
BATCH_TRIES = 10
KEY_TYPES = {"STRING": "S", "NUMBER": "N", "BINARY": "B"}
IN_WORDS = {"S": "a string", "N": "a number", "B": "binary, which this module cannot express"}


def canonical(value: Any) -> Any:
    """C(value) with every number in one form, so that 1, 1.0 and the Decimal that DynamoDB answers are the same."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        return DYNAMODB_CONTEXT.create_decimal(str(value)).normalize(DYNAMODB_CONTEXT)
    return value


def serialized(item: dict[str, Any]) -> dict[str, Any]:
    """The plain item in DynamoDB's types."""
    return TypeSerializer().serialize(canonical(item))["M"]


def deserialized(item: dict[str, Any]) -> dict[str, Any]:
    """The plain item behind DynamoDB's types."""
    return TypeDeserializer().deserialize({"M": item})


def readable(item: dict[str, Any] | None) -> Any:
    """The item, or None, with numbers in JSON's types and what JSON lacks in words."""

    def in_json(value: Any) -> Any:
        if isinstance(value, decimal.Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return sorted(map(in_json, value), key=str) if isinstance(value, set) else str(value)

    return json.loads(json.dumps(item, default=in_json))


def shown(item: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The fields of an item, which is in DynamoDB's types, as a person reads them."""
    plain = readable(deserialized(item))
    return {field: plain.get(field) for field in fields}


def given_key_types(keys: Mapping[str, Any]) -> dict[str, str]:
    """The option C(keys) in DynamoDB's types."""
    if wrong := [f"keys: {name} must be one of {', '.join(KEY_TYPES)}, not {kind!r}" for name, kind in keys.items() if kind not in KEY_TYPES]:
        raise StateError("; ".join(wrong))
    return {name: KEY_TYPES[kind] for name, kind in keys.items()}


def key_types(dynamodb: Any, table: str) -> dict[str, str]:
    """Names and types of the table's key attributes, hash key first."""
    description = dynamodb.describe_table(TableName=table, aws_retry=True)["Table"]
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in description["AttributeDefinitions"]}
    names = [key["AttributeName"] for key in sorted(description["KeySchema"], key=lambda key: key["KeyType"])]
    return {name: types[name] for name in names}


def checked(items: list[dict[str, Any]], keys: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The items in DynamoDB's types by the words for their keys; all that is wrong with them is said at once.

    Of a table that does not exist yet nobody may know the C(keys).
    """
    by_key: dict[str, dict[str, Any]] = {}
    wrong = []
    for number, plain in enumerate(items):
        try:
            item = serialized(plain)
        except (TypeError, ArithmeticError) as error:
            wrong.append(f"items[{number}]: DynamoDB cannot hold a value of it: {error or 'a number of more than 38 digits'}")
            continue
        found = [
            f"items[{number}]: the key attribute {name} must be {IN_WORDS[kind]}" + ("" if name in item else ", and is missing")
            for name, kind in keys.items()
            if kind not in item.get(name, {})
        ]
        if not found:
            called = words(item, keys) or f"items[{number}]"
            if called in by_key:
                found = [f"items[{number}]: another item has the same key, {called}"]
            by_key[called] = item
        wrong += found
    if wrong:
        raise StateError("; ".join(wrong))
    return by_key


def words(item: dict[str, Any], keys: Iterable[str]) -> str:
    """What the item, in DynamoDB's types, is called: its keys."""
    return ", ".join(f"{name}={next(iter(item[name].values()))}" for name in keys)


def read(dynamodb: Any, table: str, keys: Mapping[str, str], items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of C(items) that the table holds, as it holds them, by the words for their keys."""
    wanted = [{name: item[name] for name in keys} for item in items]
    stored: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), BATCH_SIZE):
        pending = {table: {"Keys": wanted[start : start + BATCH_SIZE], "ConsistentRead": True}}
        for attempt in range(BATCH_TRIES):
            answer = dynamodb.batch_get_item(RequestItems=pending, aws_retry=True)
            for item in answer["Responses"].get(table, []):
                item = serialized(deserialized(item))
                stored[words(item, keys)] = item
            pending = answer.get("UnprocessedKeys")
            if not pending:
                break
            time.sleep(min(0.1 * 2**attempt, 10))  # AWS hands back keys when it throttles, or when the answer would pass 16 MB
        else:
            raise StateError(f"AWS left keys of {table} unread {BATCH_TRIES} times: its read capacity is used up; run again later")
    return stored


def put(dynamodb: Any, table: str, item: dict[str, Any], hash_key: str, replace: bool) -> None:
    if replace:
        dynamodb.put_item(TableName=table, Item=item, aws_retry=True)
        return
    try:
        dynamodb.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": hash_key},
            aws_retry=True,
        )
    except is_boto3_error_code("ConditionalCheckFailedException"):
        pass  # somebody wrote the item since we looked: it stays theirs


def ensure(dynamodb: Any, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    table, absent = params["table"], params["state"] == "absent"
    keys = given_key_types(params["keys"] or {})
    try:
        keys = keys or key_types(dynamodb, table)
        given = checked(params["items"], keys)
        stored = read(dynamodb, table, keys, list(given.values()))
    except is_boto3_error_code("ResourceNotFoundException"):
        if not (absent or check_mode):
            raise StateError(f"there is no table {table}; create it first, with threetier.aws.dynamodb_table") from None
        given, stored = checked(params["items"], keys), {}
    missing = [key for key in given if key not in stored]
    if absent:
        changing = list(stored)
    else:
        changing = [key for key, item in given.items() if key not in stored or (params["overwrite"] and stored[key] != item)]
    if not check_mode:
        for key in changing:
            if absent:
                dynamodb.delete_item(TableName=table, Key={name: stored[key][name] for name in keys}, aws_retry=True)
            else:
                put(dynamodb, table, given[key], next(iter(keys)), replace=key in stored)
    before, after = {}, {}
    for key in changing:
        old, new = stored.get(key, {}), {} if absent else given[key]
        differing = [field for field in {**old, **new} if old.get(field) != new.get(field)]
        if old:
            before[key] = shown(old, differing)
        if new:
            after[key] = shown(new, differing)
    return {
        "missing": [shown(given[key], keys or given[key]) for key in missing],
        **outcome(before, after, [] if absent else given),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "table": {"type": "str", "required": True},
            "items": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "keys": {"type": "dict", "no_log": False},
            "overwrite": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = ensure(client(module, "dynamodb"), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage items of the table {module.params['table']}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
