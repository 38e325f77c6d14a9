"""CloudWatch Logs."""

from __future__ import annotations

from emulator.authorization import find_key, service_may
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


@rule("logs", "PutRetentionPolicy")
def retention_of_odd_days(call: Call, proceed: Proceed) -> Answer:
    """Only some numbers of days can be kept: InvalidParameterException. Moto takes any.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    """
    days = call.params["retentionInDays"]
    if days not in RETENTION_DAYS:
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum "
            f"value set: {list(RETENTION_DAYS)}",
        )
    return proceed()


@rule("logs", "CreateLogGroup")
def log_group_of_aws(call: Call, proceed: Proceed) -> Answer:
    """Names that begin with C(aws/) are AWS's own: InvalidParameterException. Moto takes them.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
    """
    if call.params["logGroupName"].startswith("aws/"):
        raise AwsError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    return proceed()


@rule("logs", "CreateLogGroup", "AssociateKmsKey")
def log_group_key_not_usable(call: Call, proceed: Proceed) -> Answer:
    """The key of a log group must be there and let CloudWatch Logs use it: InvalidParameterException. Moto takes any ARN.

    Moto could take a part of it: that the key is there.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    if wanted := call.params.get("kmsKeyId"):
        group = f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{call.params.get('logGroupName', '*')}"
        key = find_key(call.region, wanted)
        service, encryption = f"logs.{call.region}.amazonaws.com", {"kms:encryptioncontext:aws:logs:arn": group}
        actions = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
        if key is None or not all(service_may(key.policy, action, key.arn, service, group, **encryption) for action in actions):
            message = f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
            raise AwsError("InvalidParameterException", message)
    return proceed()
