"""KMS."""

from __future__ import annotations

import json

from emulator.rules import Answer, Call, Proceed, rule


@rule("kms", "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey", "DisableKey")
def a_key_goes_by_its_arn_too(call: Call, proceed: Proceed) -> Answer:
    """The key may be named by its id or its ARN. Moto fails on the ARN here, although it takes it elsewhere.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    """
    parameters = json.loads(call.body)
    parameters["KeyId"] = parameters["KeyId"].rpartition("/")[2]
    call.body = json.dumps(parameters).encode()
    return proceed()
