"""IAM."""

from __future__ import annotations

from moto.iam.models import iam_backends

from emulator.rules import Answer, Call, Proceed, rule
from emulator.wire import ACCOUNT


@rule("iam", "ListServiceSpecificCredentials")
def no_user_has_such_credentials(call: Call, proceed: Proceed) -> Answer:
    """A user's credentials for CodeCommit and the like, which must go before the user does. Moto knows none and lacks the call.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
    """
    iam_backends[ACCOUNT]["aws"].get_user(call.params["UserName"])
    return {"ServiceSpecificCredentials": []}
