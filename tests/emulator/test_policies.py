"""What keeps CloudWatch from publishing to an encrypted topic: the policies of the topic and of its key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from emulator.alarm_actions import refusal

ACCOUNT, REGION = "123456789012", "eu-central-1"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:cpu-high"
OWNER = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
CLOUDWATCH = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Resource": "*"}
USE = CLOUDWATCH | {"Action": ["kms:Decrypt", "kms:GenerateDataKey*"]}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize(
    ("key_statements", "source", "reason"),
    [
        ([OWNER, USE], "alarm:*", None),
        ([OWNER], "alarm:*", "encryption key"),
        ([OWNER, USE | {"Action": "kms:Decrypt"}], "alarm:*", "encryption key"),
        ([OWNER, USE], "alarm:other", "SNS:Publish"),
    ],
)
def test_cloudwatch_needs_the_topic_and_its_key(key_statements: list[dict[str, Any]], source: str, reason: str | None) -> None:
    key = kms_backends[ACCOUNT][REGION].create_key(policy(*key_statements), "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
    from_alarms = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:{source}"}}
    topic = sns_backends[ACCOUNT][REGION].create_topic("alarms")
    topic.policy = policy(CLOUDWATCH | {"Action": "SNS:Publish", "Condition": from_alarms})
    topic.kms_master_key_id = key.arn
    found = refusal(topic.arn, ALARM)
    assert found is reason is None or reason in str(found)


def test_cloudwatch_cannot_use_the_key_of_sns() -> None:
    topic = sns_backends[ACCOUNT][REGION].create_topic("managed")
    topic.kms_master_key_id = "alias/aws/sns"
    assert "encryption key" in str(refusal(topic.arn, ALARM))
    topic.kms_master_key_id = ""
    assert refusal(topic.arn, ALARM) is None
