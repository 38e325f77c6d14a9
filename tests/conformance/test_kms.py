"""KMS: the states of a key, and what its policy must say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

ACCOUNT = "123456789012"
STATES = "https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"
Aws = Callable[..., Any]


def key(aws: Aws, **options: Any) -> str:
    return str(aws("kms").create_key(**options)["KeyMetadata"]["KeyId"])


def policy(**statement: Any) -> str:
    owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [owner | statement]})


@conforms(STATES)
def test_key_pending_deletion(aws: Aws) -> None:
    kms = aws("kms")
    going = key(aws)
    kms.schedule_key_deletion(KeyId=going, PendingWindowInDays=7)
    for call, params in (
        (kms.enable_key, {}),
        (kms.disable_key, {}),
        (kms.enable_key_rotation, {}),
        (kms.encrypt, {"Plaintext": b"text"}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        (kms.schedule_key_deletion, {"PendingWindowInDays": 7}),
    ):
        assert "pending deletion" in refused("KMSInvalidStateException", call, KeyId=going, **params)
    refused("KMSInvalidStateException", kms.create_alias, AliasName="alias/going", TargetKeyId=going)
    assert kms.describe_key(KeyId=going)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=going)
    kms.enable_key(KeyId=going)
    kms.encrypt(KeyId=going, Plaintext=b"text")


@conforms(STATES)
def test_key_not_pending_deletion(aws: Aws) -> None:
    staying = key(aws)
    refused("KMSInvalidStateException", aws("kms").cancel_key_deletion, KeyId=staying)
    aws("kms").schedule_key_deletion(KeyId=staying, PendingWindowInDays=7)
    aws("kms").cancel_key_deletion(KeyId=staying)


@conforms(STATES)
def test_key_disabled(aws: Aws) -> None:
    kms = aws("kms")
    off = key(aws)
    kms.disable_key(KeyId=off)
    refused("DisabledException", kms.generate_data_key, KeyId=off, KeySpec="AES_256")
    refused("DisabledException", kms.enable_key_rotation, KeyId=off)
    kms.create_alias(AliasName="alias/off", TargetKeyId=off)
    kms.enable_key(KeyId=off)
    kms.generate_data_key(KeyId="alias/off", KeySpec="AES_256")


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html")
def test_deletion_too_soon(aws: Aws) -> None:
    soon = key(aws)
    refused("ValidationException", aws("kms").schedule_key_deletion, KeyId=soon, PendingWindowInDays=6)
    aws("kms").schedule_key_deletion(KeyId=soon, PendingWindowInDays=7)


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html")
def test_alias_of_aws(aws: Aws) -> None:
    target = key(aws)
    refused("NotAuthorizedException", aws("kms").create_alias, AliasName="alias/aws/mine", TargetKeyId=target)
    aws("kms").create_alias(AliasName="alias/mine", TargetKeyId=target)


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html")
def test_key_policy_malformed(aws: Aws) -> None:
    kms = aws("kms")
    refused("MalformedPolicyDocumentException", kms.create_key, Policy="{")
    nobody = policy(Principal={"AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:role/nobody"]})
    assert "principals" in refused(
        "MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key(aws), PolicyName="default", Policy=nobody
    )
    kms.put_key_policy(KeyId=key(aws), PolicyName="default", Policy=policy())


@conforms("https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html")
def test_key_policy_locks_out(aws: Aws) -> None:
    alone = policy(Principal={"Service": "cloudwatch.amazonaws.com"})
    message = refused("MalformedPolicyDocumentException", aws("kms").create_key, Policy=alone)
    assert message == "The new key policy will not allow you to update the key policy in the future."
    refused("MalformedPolicyDocumentException", aws("kms").create_key, Policy=policy(Action=["kms:Decrypt", "kms:Get*"]))
    key(aws, Policy=policy(Action=["kms:Put*", "kms:Get*"]))
    key(aws, Policy=alone, BypassPolicyLockoutSafetyCheck=True)


@conforms("https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html")
def test_a_key_goes_by_its_arn_too(aws: Aws) -> None:
    arn = aws("kms").create_key()["KeyMetadata"]["Arn"]
    aws("kms").disable_key(KeyId=arn)
    assert aws("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled"
    refused("NotFoundException", aws("kms").disable_key, KeyId=arn[:-4] + "0000")
