"""CloudWatch Logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

API = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference"
Aws = Callable[..., Any]


@conforms(f"{API}/API_PutRetentionPolicy.html")
def test_retention_of_odd_days(aws: Aws) -> None:
    logs = aws("logs")
    logs.create_log_group(logGroupName="retention")
    refused("InvalidParameterException", logs.put_retention_policy, logGroupName="retention", retentionInDays=17)
    logs.put_retention_policy(logGroupName="retention", retentionInDays=14)


@conforms(f"{API}/API_CreateLogGroup.html")
def test_log_group_of_aws(aws: Aws) -> None:
    refused("InvalidParameterException", aws("logs").create_log_group, logGroupName="aws/mine")
    aws("logs").create_log_group(logGroupName="/aws/mine")


@conforms("https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html")
def test_log_group_key_not_usable(aws: Aws) -> None:
    owner = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "logs.eu-central-1.amazonaws.com"},
        "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-central-1:123456789012:log-group:encrypted"}},
    }

    def key(*statements: dict[str, Any]) -> str:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return str(aws("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])

    create, closed, open_ = aws("logs").create_log_group, key(owner), key(owner, service)
    refused("InvalidParameterException", create, logGroupName="encrypted", kmsKeyId=open_[:-4] + "0000")
    refused("InvalidParameterException", create, logGroupName="encrypted", kmsKeyId=closed)
    refused("InvalidParameterException", create, logGroupName="of-another-name", kmsKeyId=open_)
    create(logGroupName="encrypted", kmsKeyId=open_)
