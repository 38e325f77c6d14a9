"""STS: sessions of roles. Whether a trust policy admits the caller is judged in C(emulator/authorization.py), where it is enforced."""

from __future__ import annotations

from moto.iam.models import Role
from moto.sts.models import sts_backends

from emulator.authorization import document, find_role, iam
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.wire import ACCOUNT

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600


def role_to_assume(call: Call) -> Role:
    """The role that a call asks for. AWS does not tell a role that is not there from one that the caller may not take."""
    arn = call.params["RoleArn"]
    role = find_role(arn)
    if role is None or getattr(role, "fresh", 0):
        caller = f"arn:aws:iam::{ACCOUNT}:root"
        raise AwsError("AccessDenied", f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}")
    return role


@rule("sts", "AssumeRole")
def session_of_a_role_that_is_there(call: Call, proceed: Proceed) -> Answer:
    """Only a role that exists, and that IAM knows everywhere, can be assumed: AccessDenied. Moto makes a session of any ARN.

    A session keeps its own policies and tags, which moto forgets. Moto could take a part of it: policies and tags.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    role_to_assume(call)
    policies = [document(iam().get_policy(each["arn"])) for each in call.params.get("PolicyArns", [])]
    answer = proceed()
    session = sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(answer["Credentials"]["AccessKeyId"])
    session.policies = policies  # type: ignore[union-attr]
    session.tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", [])}  # type: ignore[union-attr]
    return answer


@rule("sts", "AssumeRole")
def session_too_long(call: Call, proceed: Proceed) -> Answer:
    """A session lasts as long as the role's MaxSessionDuration, or an hour if a session asks: ValidationError. Moto takes any length.

    Moto could take it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use.html
    """
    wanted = int(call.params.get("DurationSeconds", DEFAULT_SECONDS))
    longest = int(role_to_assume(call).max_session_duration or DEFAULT_SECONDS)
    if "HTTP_X_AMZ_SECURITY_TOKEN" in call.environ and wanted > CHAINED_SECONDS:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if wanted > longest:
        raise AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return proceed()
