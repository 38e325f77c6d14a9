#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sns_topic
version_added: 0.1.0
short_description: Manage an SNS topic with its key, policy and subscriptions
description:
  - Creates, updates and deletes a standard topic. It is created with its key, policy and tags, so that there is no moment in which it
    takes messages without them; subscribers come last.
  - C(community.aws.sns_topic) has no option for the key. An unchanged topic costs it 11 requests, four of them pages of all topics of the
    account; it repeats no write that AWS throttles, shows no difference, and fails in check mode where the topic does not exist yet.
author:
  - threetier.aws contributors
options:
  name:
    description:
      - Name of the topic, up to 256 letters, digits, hyphens and underscores, or its ARN.
      - With the ARN, the account need not be asked for. It must be of the module's own account and region.
    type: str
    required: true
    aliases: [topic_arn]
  state:
    description: Whether the topic should exist. With V(absent) and O(tags), a topic that does not carry them is left alone.
    type: str
    choices: [present, absent]
    default: present
  display_name:
    description: Name of the sender in e-mails. Left as it is where not given.
    type: str
  policy:
    description: Who may publish and subscribe. Left as it is where not given.
    type: dict
  kms_master_key_id:
    description:
      - ARN, id or alias of the key; empty for a topic that is not encrypted. Left as it is where not given.
      - CloudWatch cannot publish to a topic under the AWS-managed key V(alias/aws/sns); give a customer key whose policy lets
        V(cloudwatch.amazonaws.com) decrypt and generate data keys.
    type: str
  subscriptions:
    description: Who gets the messages. One who has not confirmed yet counts as subscribed, and is not asked again.
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: How messages are sent.
        type: str
        required: true
        choices: [application, email, email-json, firehose, http, https, lambda, sms, sqs]
      endpoint:
        description:
          - Where they are sent, such as an address, a URL, an ARN or a telephone number in the form V(+4930123456).
          - SNS hides the password in a URL, so the module cannot notice that it changes.
        type: str
        required: true
  purge_subscriptions:
    description: Whether other subscriptions end. One that is not confirmed yet cannot be ended; it ends by itself within days.
    type: bool
    default: false
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
    description: Shows the fields that change, before and after, by the topic's name.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Topic that alarms publish to
  threetier.aws.sns_topic:
    name: arn:aws:sns:eu-central-1:123456789012:demo-alarms
    display_name: Alarms of demo
    kms_master_key_id: alias/demo-alarms
    subscriptions:
      - {protocol: email, endpoint: operations@example.com}
    tags:
      "threetier:stack": demo

- name: Remove the topic, with its subscriptions
  threetier.aws.sns_topic:
    name: demo-alarms
    tags:
      "threetier:stack": demo
    state: absent
"""

RETURN = r"""
changes:
  description: The names of the resources that were created, changed, replaced, deleted or left as they are; in check mode, that would be.
  returned: success
  type: dict
  sample: {"created": [], "changed": ["demo-alarms"], "replaced": [], "deleted": [], "unchanged": []}
topic:
  description: The topic after the run; in check mode, as it would be.
  returned: when O(state=present)
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: demo-alarms
    topic_arn:
      description: ARN, in check mode, too.
      type: str
      sample: arn:aws:sns:eu-central-1:123456789012:demo-alarms
    display_name:
      description: Name of the sender in e-mails.
      type: str
      sample: Alarms of demo
    policy:
      description: Who may publish and subscribe; null in check mode where AWS would choose it.
      type: dict
    kms_master_key_id:
      description: The key; empty where the topic is not encrypted.
      type: str
      sample: alias/demo-alarms
    subscriptions:
      description: All subscriptions, confirmed or not.
      type: list
      elements: dict
      sample: [{"protocol": "email", "endpoint": "operations@example.com"}]
    tags:
      description: Tags.
      type: dict
      sample: {"threetier:stack": "demo"}
"""

import json
import re
from functools import partial
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
from ansible_collections.threetier.aws.plugins.module_utils.state import StateError, client, outcome_of, patiently
from ansible_collections.threetier.aws.plugins.module_utils.tags import TagChange, tag_change, text_tags

NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
# The order in which they are set: a topic is encrypted before more may publish to it.
ATTRIBUTES = {"kms_master_key_id": "KmsMasterKeyId", "policy": "Policy", "display_name": "DisplayName"}
PROTOCOLS = ["application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"]
# A user or role that a policy names may be so new that SNS does not know it yet.
NEW_PRINCIPAL = ("PrincipalNotFound",)
# What has no ARN: who has not confirmed, and who has ended it and is listed for a while.
PENDING = "PendingConfirmation"
DELETED = "Deleted"


def topic_arn(module: Any, sns: Any) -> str:
    """The ARN that the topic has or will have."""
    name, region = module.params["name"], sns.meta.region_name
    if name.startswith("arn:"):
        parts = name.split(":")
        if len(parts) != 6 or parts[2:4] != ["sns", region] or not NAME.fullmatch(parts[5]):
            raise StateError(f"{name} is no ARN of a standard SNS topic in the module's region {region}")
        return name
    if not NAME.fullmatch(name):
        raise StateError(f"topic name {name!r} must be 1 to 256 letters, digits, hyphens and underscores")
    caller = client(module, "sts").get_caller_identity(aws_retry=True)
    return f"arn:{caller['Arn'].split(':')[1]}:sns:{region}:{caller['Account']}:{name}"


def canonical(subscription: dict[str, Any]) -> tuple[str, str]:
    """Protocol and endpoint as SNS lists them: a URL without its password (https://github.com/hashicorp/terraform/issues/11108)."""
    protocol, endpoint = subscription["protocol"], subscription["endpoint"]
    if protocol in ("http", "https"):
        endpoint = re.sub(r"^(https?://[^:/@]+):[^/@]*@", r"\1:****@", endpoint)
    return protocol, endpoint


def listed(subscriptions: Any) -> list[dict[str, str]]:
    """Subscriptions as the module shows them."""
    return [{"protocol": protocol, "endpoint": endpoint} for protocol, endpoint in sorted(subscriptions)]


def read_tags(sns: Any, arn: str) -> dict[str, str] | None:
    """The topic's tags, or None where it does not exist."""
    try:
        return boto3_tag_list_to_ansible_dict(sns.list_tags_for_resource(ResourceArn=arn, aws_retry=True)["Tags"])
    except is_boto3_error_code(["NotFound", "ResourceNotFound"]):
        return None


def read(sns: Any, arn: str) -> dict[str, Any] | None:
    """The topic, with its subscriptions' ARNs by protocol and endpoint, or None where it does not exist."""
    try:
        attributes = sns.get_topic_attributes(TopicArn=arn, aws_retry=True)["Attributes"]
    except is_boto3_error_code("NotFound"):
        return None
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    subscriptions = pages.build_full_result()["Subscriptions"]
    return {
        "display_name": attributes.get("DisplayName", ""),
        "policy": json.loads(attributes["Policy"]),
        "kms_master_key_id": attributes.get("KmsMasterKeyId", ""),
        "subscriptions": {
            (each["Protocol"], each["Endpoint"]): each["SubscriptionArn"] for each in subscriptions if each["SubscriptionArn"] != DELETED
        },
        "tags": read_tags(sns, arn) or {},
    }


def attributes_to_set(params: dict[str, Any], topic: dict[str, Any]) -> dict[str, Any]:
    """The attributes that differ, as they should be."""

    def differs(name: str) -> bool:
        if params[name] is None:
            return False
        if name == "policy" and topic["policy"] is not None:
            return compare_policies(topic["policy"], params["policy"])
        return params[name] != topic[name]

    return {name: params[name] for name in ATTRIBUTES if differs(name)}


def shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as a diff shows them: a policy by its statements, so that the one that differs stands out."""
    return {**fields, "policy": statements(fields["policy"])} if fields.get("policy") else dict(fields)


def attribute_value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else value


def create(sns: Any, arn: str, params: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Creates the topic. A run that ended just after this call finds a complete topic."""
    request = {
        "Name": arn.rpartition(":")[2],
        "Attributes": {ATTRIBUTES[name]: attribute_value(value) for name, value in attributes.items()},
        "Tags": ansible_dict_to_boto3_tag_list(text_tags(params["tags"])),
    }
    patiently(partial(sns.create_topic, **request, aws_retry=True), NEW_PRINCIPAL)


def update(sns: Any, arn: str, attributes: dict[str, Any], tags: TagChange) -> None:
    for name, value in attributes.items():
        request = {"TopicArn": arn, "AttributeName": ATTRIBUTES[name], "AttributeValue": attribute_value(value)}
        patiently(partial(sns.set_topic_attributes, **request, aws_retry=True), NEW_PRINCIPAL)
    if tags.to_set:
        sns.tag_resource(ResourceArn=arn, Tags=ansible_dict_to_boto3_tag_list(tags.to_set), aws_retry=True)
    if tags.to_remove:
        sns.untag_resource(ResourceArn=arn, TagKeys=tags.to_remove, aws_retry=True)


def ensure_present(sns: Any, arn: str, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name = arn.rpartition(":")[2]
    found = read(sns, arn)
    topic = found or {"display_name": "", "policy": None, "kms_master_key_id": "", "subscriptions": {}, "tags": {}}
    attributes = attributes_to_set(params, topic)
    tags = tag_change(topic["tags"], params["tags"], params["purge_tags"])
    wanted = {canonical(each): each["endpoint"] for each in params["subscriptions"]}  # with the password, where there is one
    current = topic["subscriptions"]
    to_add = wanted.keys() - current.keys()
    to_end = {key for key in current.keys() - wanted.keys() if params["purge_subscriptions"] and current[key] != PENDING}
    subscriptions = (current.keys() - to_end) | to_add

    before = {attribute: topic[attribute] for attribute in attributes} | tags.before
    after = attributes | (tags.after if found else {"tags": tags.result})
    for key in sorted(to_add | to_end):
        field = f"subscription {' '.join(key)}"
        before[field], after[field] = (None, "subscribed") if key in to_add else ("subscribed", None)
    if not check_mode:
        if found is None:
            create(sns, arn, params, attributes)
        else:
            update(sns, arn, attributes, tags)
        for protocol, endpoint in sorted(to_add):
            request = {"TopicArn": arn, "Protocol": protocol, "Endpoint": wanted[protocol, endpoint]}
            patiently(partial(sns.subscribe, **request, aws_retry=True), () if found else ("NotFound",))
        for key in sorted(to_end):
            sns.unsubscribe(SubscriptionArn=current[key], aws_retry=True)
    result = topic | attributes | {"name": name, "topic_arn": arn, "subscriptions": listed(subscriptions), "tags": tags.result}
    return {"topic": result, **outcome_of(name, shown(before) if found else None, shown(after))}


def ensure_absent(sns: Any, arn: str, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, tags = arn.rpartition(":")[2], read_tags(sns, arn)
    ours = text_tags(params["tags"])
    if tags is None or not ours.items() <= tags.items():
        foreign = [] if tags is None else [f"the topic {name} does not carry the tags {ours} and stays"]
        return outcome_of(name, None, None) | {"foreign": foreign}
    if not check_mode:
        sns.delete_topic(TopicArn=arn, aws_retry=True)  # and its subscriptions
    return outcome_of(name, {"topic_arn": arn, "tags": tags}, None)


def build_argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "required": True, "aliases": ["topic_arn"]},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "display_name": {"type": "str"},
        "policy": {"type": "dict"},
        # the name of a key, not the key
        "kms_master_key_id": {"type": "str", "no_log": False},
        "subscriptions": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "protocol": {"type": "str", "required": True, "choices": PROTOCOLS},
                "endpoint": {"type": "str", "required": True},
            },
        },
        "purge_subscriptions": {"type": "bool", "default": False},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    ensure = ensure_present if module.params["state"] == "present" else ensure_absent
    try:
        sns = client(module, "sns")
        result = ensure(sns, topic_arn(module, sns), module.params, module.check_mode)
    except StateError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to manage the topic {module.params['name']}")
    for sentence in result.pop("foreign", []):
        module.warn(sentence)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
