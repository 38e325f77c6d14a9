"""S3: names, what a new bucket is, and what its policy may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.support import conforms, refused

GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
ACCOUNT = "123456789012"
Aws = Callable[..., Any]


def bucket(aws: Aws, name: str) -> Any:
    """A new bucket: S3's client."""
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return aws("s3")


def policy(name: str, **statement: Any) -> str:
    allowed = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"} | statement
    return json.dumps({"Version": "2012-10-17", "Statement": [{key: value for key, value in allowed.items() if value}]})


@conforms(f"{GUIDE}/bucketnamingrules.html")
def test_bucket_name_invalid(aws: Aws) -> None:
    for name in ("Upper", "under_score", "192.168.1.1", "two..points", "-hyphen", "xn--punycode", "name-s3alias"):
        refused("InvalidBucketName", bucket, aws=aws, name=name)
    bucket(aws, "a-good.name-1")


@conforms(f"{GUIDE}/create-bucket-faq.html")
def test_new_bucket_is_closed(aws: Aws) -> None:
    s3 = bucket(aws, "closed")
    block = s3.get_public_access_block(Bucket="closed")["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    assert s3.get_bucket_ownership_controls(Bucket="closed")["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = s3.get_bucket_encryption(Bucket="closed")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@conforms(f"{GUIDE}/about-object-ownership.html")
def test_no_acls_where_the_owner_is_enforced(aws: Aws) -> None:
    s3 = bucket(aws, "owned")
    refused("AccessControlListNotSupported", s3.put_bucket_acl, Bucket="owned", ACL="private")
    s3.put_bucket_ownership_controls(Bucket="owned", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    s3.put_bucket_acl(Bucket="owned", ACL="private")


@conforms(f"{GUIDE}/access-control-block-public-access.html")
def test_public_policy_blocked(aws: Aws) -> None:
    s3 = bucket(aws, "public")
    refused("AccessDenied", s3.put_bucket_policy, Bucket="public", Policy=policy("public", Principal="*"))
    s3.put_bucket_policy(Bucket="public", Policy=policy("public", Principal="*", Effect="Deny"))
    s3.delete_public_access_block(Bucket="public")
    s3.put_bucket_policy(Bucket="public", Policy=policy("public", Principal="*"))


@conforms(f"{GUIDE}/bucket-policies.html")
def test_bucket_policy_malformed(aws: Aws) -> None:
    s3 = bucket(aws, "policies")
    for text in (
        "{",
        policy("policies", Principal=None),
        policy("policies", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"}),
        policy("another"),
        policy("policies", Action="ec2:RunInstances"),
        policy("policies", Resource="arn:aws:s3:::policies"),
        policy("policies", Action="s3:ListBucket"),
    ):
        refused("MalformedPolicy", s3.put_bucket_policy, Bucket="policies", Policy=text)
    s3.put_bucket_policy(Bucket="policies", Policy=policy("policies"))
    both = {"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::policies", "arn:aws:s3:::policies/*"]}
    s3.put_bucket_policy(Bucket="policies", Policy=policy("policies", **both))


@conforms(f"{GUIDE}/intro-lifecycle-rules.html")
def test_lifecycle_without_action(aws: Aws) -> None:
    s3 = bucket(aws, "lifecycle")

    def put(**action: Any) -> None:
        rule = {"ID": "rule", "Status": "Enabled", "Filter": {"Prefix": ""}} | action
        s3.put_bucket_lifecycle_configuration(Bucket="lifecycle", LifecycleConfiguration={"Rules": [rule]})

    refused("InvalidRequest", put)
    refused("InvalidArgument", put, Expiration={"Days": 0})
    put(Expiration={"Days": 1})
