"""KMS: the states of a key, and what its policy must say."""

from __future__ import annotations

import json

from emulator.authorization import ROOT_ARN, caller_of, find_key
from emulator.policies import ALLOWED, Principal, Request, decide, statements
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.iam import check_principals
from emulator.wire import ACCOUNT

CRYPTOGRAPHY = ("Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "CreateGrant")
ROTATION = ("EnableKeyRotation", "DisableKeyRotation")
SETTINGS = ("CreateAlias", "EnableKey", "DisableKey", "TagResource", "UntagResource", "UpdateKeyDescription", "ScheduleKeyDeletion")


@rule("kms", "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey", "DisableKey")
def a_key_goes_by_its_arn_too(call: Call, proceed: Proceed) -> Answer:
    """The key may be named by its id or its ARN. Moto fails on the ARN here, although it takes it elsewhere.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    """
    parameters = json.loads(call.body)
    parameters["KeyId"] = parameters["KeyId"].rpartition("/")[2]
    call.body = json.dumps(parameters).encode()
    return proceed()


@rule("kms", *CRYPTOGRAPHY, *ROTATION, *SETTINGS)
def key_pending_deletion(call: Call, proceed: Proceed) -> Answer:
    """A key that waits for its deletion can only be read, given a policy and kept: KMSInvalidStateException. In moto it does all.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """
    key = find_key(call.region, call.params.get("KeyId") or call.params.get("TargetKeyId") or "")
    if key and key.key_state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return proceed()


@rule("kms", "CancelKeyDeletion")
def key_not_pending_deletion(call: Call, proceed: Proceed) -> Answer:
    """Only a deletion that is scheduled can be cancelled: KMSInvalidStateException. Moto cancels any.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """
    key = find_key(call.region, call.params["KeyId"])
    if key and key.key_state != "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    return proceed()


@rule("kms", *CRYPTOGRAPHY, *ROTATION)
def key_disabled(call: Call, proceed: Proceed) -> Answer:
    """A disabled key neither encrypts nor rotates: DisabledException. In moto it does both.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """
    key = find_key(call.region, call.params.get("KeyId", ""))
    if key and key.key_state == "Disabled":
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    return proceed()


@rule("kms", "ScheduleKeyDeletion")
def deletion_too_soon(call: Call, proceed: Proceed) -> Answer:
    """A key waits 7 to 30 days for its deletion: ValidationException. Moto takes any number.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    """
    days = call.params.get("PendingWindowInDays", 30)
    if not 7 <= days <= 30:
        raise AwsError("ValidationException", f"PendingWindowInDays must be between 7 and 30 days, but was {days}.")
    return proceed()


@rule("kms", "CreateAlias", "UpdateAlias", "DeleteAlias")
def alias_of_aws(call: Call, proceed: Proceed) -> Answer:
    """Aliases that begin with C(alias/aws/) are AWS's own: NotAuthorizedException. Moto knows some by name.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
    """
    if call.params["AliasName"].startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "")
    return proceed()


@rule("kms", "CreateKey", "PutKeyPolicy")
def key_policy_malformed(call: Call, proceed: Proceed) -> Answer:
    """A key policy is a policy, and whom it names is there: MalformedPolicyDocumentException. Moto takes any text.

    Moto could take it.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
    """
    if text := call.params.get("Policy"):
        found = statements(text)
        if not found or not all(isinstance(each, dict) and {"Effect", "Principal", "Action", "Resource"} <= each.keys() for each in found):
            raise AwsError("MalformedPolicyDocumentException", "")
        check_principals(text, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
    return proceed()


@rule("kms", "CreateKey", "PutKeyPolicy")
def key_policy_locks_out(call: Call, proceed: Proceed) -> Answer:
    """Whoever gives a key a policy must be able to change it later: MalformedPolicyDocumentException. Moto takes any.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
    """
    text = call.params.get("Policy")
    if text and not call.params.get("BypassPolicyLockoutSafetyCheck"):
        caller = caller_of(call) if call.state.enforce_iam else None
        key = find_key(call.region, call.params.get("KeyId", ""))
        resource = key.arn if key else f"arn:aws:kms:{call.region}:{ACCOUNT}:key/new"
        principal = caller.principal if caller else Principal(ROOT_ARN)
        if decide([text], Request("kms:PutKeyPolicy", resource), principal) != ALLOWED:
            raise AwsError(
                "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future."
            )
    return proceed()
