"""S3: names, what a new bucket is, and what its policy may say."""

from __future__ import annotations

import json
import re
from typing import Any

from moto.s3.models import FakeBucket, PublicAccessBlock, s3_backends
from moto.s3.utils import bucket_policy_is_public

from emulator.policies import listed, matches
from emulator.rules import Answer, AwsError, Call, Proceed, rule
from emulator.rules.iam import check_principals
from emulator.wire import ACCOUNT

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-)(?!\d+\.\d+\.\d+\.\d+$)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)(?!.*\.\.)"
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
)
# Actions on objects, not on a bucket; the names of all others lack the word.
OBJECT_ACTION = re.compile(r"s3:(?!.*(Configuration|ObjectLock)$).*Object|s3:(AbortMultipartUpload|ListMultipartUploadParts)$")


def bucket_name(call: Call) -> str:
    """Name of the bucket in the path."""
    return str(call.environ["PATH_INFO"]).strip("/").partition("/")[0]


def bucket_of(call: Call) -> FakeBucket | None:
    """The bucket of a call, None where there is none."""
    return s3_backends[ACCOUNT]["aws"].buckets.get(bucket_name(call))


@rule("s3", "CreateBucket")
def bucket_name_invalid(call: Call, proceed: Proceed) -> Answer:
    """A bucket is named as a host can be: InvalidBucketName. Moto looks at the length alone.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not BUCKET_NAME.fullmatch(bucket_name(call)):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.")
    return proceed()


@rule("s3", "CreateBucket")
def new_bucket_is_closed(call: Call, proceed: Proceed) -> Answer:
    """A new bucket blocks public access, has no ACLs and encrypts what it is given. Moto's is open and bare.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    known = bucket_of(call)
    answer = proceed()
    bucket = bucket_of(call)
    if bucket and not known:
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = bucket.ownership_rule or "BucketOwnerEnforced"  # type: ignore[assignment]
        bucket.encryption = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}
    return answer


@rule("s3", "PutBucketAcl", "PutObjectAcl")
def no_acls_where_the_owner_is_enforced(call: Call, proceed: Proceed) -> Answer:
    """A bucket whose owner owns all its objects has no ACLs: AccessControlListNotSupported. Moto sets them.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
    """
    bucket = bucket_of(call)
    if bucket and str(bucket.ownership_rule) == "BucketOwnerEnforced":
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    return proceed()


@rule("s3", "PutBucketPolicy")
def public_policy_blocked(call: Call, proceed: Proceed) -> Answer:
    """A policy for everybody is refused where public policies are blocked, as in a new bucket: AccessDenied. Moto takes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    bucket = bucket_of(call)
    if bucket and bucket.public_access_block and bucket.public_access_block.block_public_policy and bucket_policy_is_public(call.body):
        raise AwsError(
            "AccessDenied",
            f"User is not authorized to perform: s3:PutBucketPolicy on resource: arn:aws:s3:::{bucket.name} because public policies are "
            "blocked by the BlockPublicPolicy block public access setting.",
            403,
        )
    return proceed()


@rule("s3", "PutBucketPolicy")
def bucket_policy_malformed(call: Call, proceed: Proceed) -> Answer:
    """A bucket policy speaks of who is there, of this bucket, and of what can be done with it: MalformedPolicy. Moto takes any text.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
    """
    text = call.body.decode(errors="replace")
    try:
        found = listed(json.loads(text)["Statement"])
    except (ValueError, KeyError, TypeError):
        raise AwsError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from None
    for statement in found:
        if problem := statement_problem(statement, bucket_name(call)):
            raise AwsError("MalformedPolicy", problem)
    check_principals(text, "MalformedPolicy", "Invalid principal in policy")
    return proceed()


def statement_problem(statement: dict[str, Any], bucket: str) -> str | None:
    """The first thing that is wrong with a statement of a bucket's policy."""
    if not {"Principal", "NotPrincipal"} & statement.keys():
        return "Missing required field Principal"
    resources, own = listed(statement.get("Resource", statement.get("NotResource", []))), f"arn:aws:s3:::{bucket}"
    if not resources or not all(matches(each.partition("/")[0].replace("${", ""), own) for each in resources):
        return "Policy has invalid resource"
    actions = [action for action in listed(statement.get("Action", [])) if isinstance(action, str)]
    if not all(action == "*" or action.lower().startswith("s3:") for action in actions):
        return "Policy has invalid action"
    of_objects, of_bucket = any("/" in each or each.endswith("*") for each in resources), any("/" not in each for each in resources)
    for action in actions:
        if "*" not in action and not (of_objects if OBJECT_ACTION.match(action) else of_bucket):
            return "Action does not apply to any resource(s) in statement"
    return None


@rule("s3", "PutBucketLifecycleConfiguration")
def lifecycle_without_action(call: Call, proceed: Proceed) -> Answer:
    """A rule of a lifecycle does something, after at least one day: InvalidRequest, InvalidArgument. Moto takes it.

    Moto could take it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    text = call.body.decode(errors="replace")
    for each in re.findall(r"<Rule>.*?</Rule>", text, re.DOTALL):
        if not re.search(r"<(Expiration|Transition|NoncurrentVersion\w+|AbortIncompleteMultipartUpload)>", each):
            raise AwsError("InvalidRequest", "At least one action needs to be specified in a rule.")
        if re.search(r"<Expiration>(?:(?!</Expiration>).)*<Days>\s*(0|-\d+)\s*</Days>", each, re.DOTALL):
            raise AwsError("InvalidArgument", "'Days' for Expiration action must be a positive integer")
    return proceed()
