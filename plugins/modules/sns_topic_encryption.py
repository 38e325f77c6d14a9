#!/usr/bin/python
# Copyright: threetier.aws contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sns_topic_encryption
version_added: 0.1.0
short_description: Choose the KMS key that encrypts an SNS topic
description:
  - Sets, changes or removes the key of a topic that exists.
  - C(community.aws.sns_topic) has no option for the key.
author:
  - threetier.aws contributors
options:
  topic_arn:
    description: ARN of the topic.
    type: str
    required: true
  kms_master_key_id:
    description:
      - ARN, id or alias of the key; empty for a topic that is not encrypted.
      - CloudWatch cannot publish to a topic under the AWS-managed key V(alias/aws/sns); give a customer key whose policy lets
        V(cloudwatch.amazonaws.com) decrypt and generate data keys.
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Predicts the result and writes nothing; a topic that does not exist yet counts as not encrypted.
    support: full
  diff_mode:
    description: Shows the key before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Encrypt the topic with the stack's own key
  threetier.aws.sns_topic_encryption:
    topic_arn: arn:aws:sns:eu-central-1:123456789012:demo-alarms
    kms_master_key_id: alias/demo-alarms
"""

RETURN = r"""
kms_master_key_id:
  description: The key after the run; in check mode, as it would be.
  returned: always
  type: str
  sample: alias/demo-alarms
"""

from typing import Any

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # AnsibleAWSModule says that boto3 is missing

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.threetier.aws.plugins.module_utils.state import client


def key_of(sns: Any, topic_arn: str, check_mode: bool) -> str:
    try:
        return sns.get_topic_attributes(TopicArn=topic_arn, aws_retry=True)["Attributes"].get("KmsMasterKeyId", "")
    except is_boto3_error_code("NotFound"):
        if check_mode:
            return ""
        raise


def ensure(sns: Any, topic_arn: str, key: str, check_mode: bool) -> dict[str, Any]:
    current = key_of(sns, topic_arn, check_mode)
    changed = current != key
    if changed and not check_mode:
        sns.set_topic_attributes(TopicArn=topic_arn, AttributeName="KmsMasterKeyId", AttributeValue=key, aws_retry=True)
    diff = {"before": {"kms_master_key_id": current}, "after": {"kms_master_key_id": key}}
    return {"changed": changed, "kms_master_key_id": key, "diff": diff}


def build_argument_spec() -> dict[str, Any]:
    return {
        "topic_arn": {"type": "str", "required": True},
        # the name of a key, not the key
        "kms_master_key_id": {"type": "str", "required": True, "no_log": False},
    }


def main() -> None:
    module = AnsibleAWSModule(argument_spec=build_argument_spec(), supports_check_mode=True)
    topic_arn = module.params["topic_arn"]
    try:
        result = ensure(client(module, "sns"), topic_arn, module.params["kms_master_key_id"], module.check_mode)
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Unable to choose the key of the topic {topic_arn}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
