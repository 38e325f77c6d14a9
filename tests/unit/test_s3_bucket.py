"""The module s3_bucket."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from support import ModuleFailed, refusal

TAGS = {"threetier:stack": "demo"}
BLOCKED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
ENCRYPTED = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
EXPIRES = {"ID": "expire", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 30}}
READS = [
    "HeadBucket",
    "GetPublicAccessBlock",
    "GetBucketOwnershipControls",
    "GetBucketEncryption",
    "GetBucketPolicy",
    "GetBucketLifecycleConfiguration",
    "GetBucketTagging",
]


@pytest.fixture
def name(request):
    """The name of a bucket of the test's own."""
    return request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:60].rstrip("-")


def policy_of(name):
    deny = {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    logs = {"Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}, "Action": "s3:PutObject"}
    return {"Version": "2012-10-17", "Statement": [deny, {**logs, "Resource": f"arn:aws:s3:::{name}/*"}]}


def statements_of(name):
    """The policy as a difference shows it."""
    deny, logs = policy_of(name)["Statement"]
    return {"OnlyTls": deny, "statement 2": logs}


def bucket(name, **changed):
    return {
        "name": name,
        "encryption": "AES256",
        "object_ownership": "BucketOwnerEnforced",
        "public_access_block": {},
        "policy": policy_of(name),
        "expiration_days": 30,
        "tags": TAGS,
    } | changed


def tags_of(s3, name):
    return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}


def is_there(s3, name):
    return name in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_creates_a_bucket_with_all_its_settings(aws, name, check_run_check_run):
    done = check_run_check_run("s3_bucket", **bucket(name))
    s3 = aws("s3")
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == BLOCKED
    assert s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == policy_of(name)
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == [EXPIRES]
    assert tags_of(s3, name) == TAGS and done["changes"]["created"] == [name]
    assert done["diff"]["before"] == {}
    assert done["diff"]["after"][name] == {
        "region": "eu-central-1",
        "public_access_block": BLOCKED,
        "object_ownership": "BucketOwnerEnforced",
        "encryption": ENCRYPTED,
        "policy": statements_of(name),
        "lifecycle_rules": {"expire": EXPIRES},
        "tag threetier:stack": "demo",
    }


def test_a_preview_of_a_new_bucket_costs_one_request(name, run_module, requests):
    assert run_module("s3_bucket", check=True, **bucket(name))["changes"]["created"] == [name]
    assert requests == ["HeadBucket"]


def test_an_unchanged_bucket_costs_a_request_for_each_setting(name, run_module, requests):
    run_module("s3_bucket", **bucket(name))
    requests.clear()
    assert run_module("s3_bucket", **bucket(name))["changes"]["unchanged"] == [name]
    assert requests == READS
    requests.clear()
    assert not run_module("s3_bucket", name=name)["changed"]
    assert requests == ["HeadBucket"]


@pytest.mark.parametrize(
    ("setting", "remove", "put", "wanted"),
    [
        ("public_access_block", "delete_public_access_block", "PutPublicAccessBlock", BLOCKED),
        ("object_ownership", "delete_bucket_ownership_controls", "PutBucketOwnershipControls", "BucketOwnerEnforced"),
        ("encryption", "delete_bucket_encryption", "PutBucketEncryption", ENCRYPTED),
        ("policy", "delete_bucket_policy", "PutBucketPolicy", statements_of("mends-what-was-taken-away")),
        ("lifecycle_rules", "delete_bucket_lifecycle", "PutBucketLifecycleConfiguration", {"expire": EXPIRES}),
        ("tag threetier:stack", "delete_bucket_tagging", "PutBucketTagging", "demo"),
    ],
)
def test_mends_what_was_taken_away(aws, name, run_module, check_run_check_run, requests, setting, remove, put, wanted):
    run_module("s3_bucket", **bucket(name))
    getattr(aws("s3"), remove)(Bucket=name)
    requests.clear()
    done = check_run_check_run("s3_bucket", **bucket(name))
    assert done["diff"] == {"before": {name: {setting: None}}, "after": {name: {setting: wanted}}}
    assert [operation for operation in requests if operation not in READS] == [put]
    run_module("s3_bucket", name=name, state="absent")


def test_changes_each_setting_by_its_own_request(aws, name, run_module, check_run_check_run, requests):
    run_module("s3_bucket", **bucket(name, tags={**TAGS, "team": "x"}))
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    changed = bucket(
        name,
        encryption="aws:kms",
        kms_key_id=key,
        object_ownership="BucketOwnerPreferred",
        public_access_block={"restrict_public_buckets": False},
        expiration_days=7,
    )
    requests.clear()
    done = check_run_check_run("s3_bucket", **changed)
    assert [operation for operation in requests if operation not in READS] == [
        "PutBucketTagging",
        "PutPublicAccessBlock",
        "PutBucketOwnershipControls",
        "PutBucketEncryption",
        "PutBucketLifecycleConfiguration",
    ]
    assert done["diff"]["before"][name]["tag team"] == "x" and "policy" not in done["diff"]["before"][name]
    rule = done["diff"]["after"][name]["encryption"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert tags_of(aws("s3"), name) == TAGS
    run_module("s3_bucket", name=name, tags={})
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        tags_of(aws("s3"), name)


def test_what_the_encryption_of_a_bucket_says_besides_stays(name, run_module, requests, answers, sent):
    run_module("s3_bucket", **bucket(name))
    found = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    answers["GetBucketEncryption"] = [{"ServerSideEncryptionConfiguration": {"Rules": [found]}}]
    answers["PutBucketEncryption"] = [{}]
    run_module("s3_bucket", **bucket(name))
    [put] = [request for operation, request in sent if operation == "PutBucketEncryption"][1:]
    assert put["ServerSideEncryptionConfiguration"]["Rules"] == [found | ENCRYPTED]


def test_removes_a_rule_that_somebody_added(aws, name, run_module, check_run_check_run):
    run_module("s3_bucket", **bucket(name))
    other = {"ID": "by-hand", "Filter": {"Prefix": "keep/"}, "Status": "Enabled", "Expiration": {"Days": 9999}}
    aws("s3").put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [EXPIRES, other]})
    done = check_run_check_run("s3_bucket", **bucket(name))
    assert done["diff"] == {
        "before": {name: {"lifecycle_rules": {"expire": EXPIRES, "by-hand": other}}},
        "after": {name: {"lifecycle_rules": {"expire": EXPIRES}}},
    }


def test_what_says_the_same_in_other_words_is_no_change(name, run_module, requests, answers):
    run_module("s3_bucket", **bucket(name))
    turned = policy_of(name)
    turned["Statement"][0] |= {"Principal": {"AWS": "*"}, "Action": ["s3:*"], "Resource": turned["Statement"][0]["Resource"][::-1]}
    answers["GetBucketPolicy"] = [{"Policy": json.dumps(turned)}] * 2
    rule = {field: value for field, value in EXPIRES.items() if field != "Filter"}
    answers["GetBucketLifecycleConfiguration"] = [{"Rules": [rule | {"Filter": {}}]}, {"Rules": [rule | {"Prefix": ""}]}]
    for _ in range(2):
        assert not run_module("s3_bucket", **bucket(name))["changed"]


def test_refuses_the_bucket_of_another_account_or_region_before_the_first_write(name, run_module, requests, answers):
    answers["HeadBucket"] = [refusal("403"), {"BucketRegion": "us-west-2"}, refusal("403")]
    with pytest.raises(ModuleFailed, match=f"bucket {name} belongs to another account"):
        run_module("s3_bucket", **bucket(name))
    with pytest.raises(ModuleFailed, match="is in us-west-2, and AWS cannot move it to eu-central-1"):
        run_module("s3_bucket", **bucket(name))
    with pytest.raises(ModuleFailed, match="belongs to another account"):
        run_module("s3_bucket", name=name, state="absent", force=True)
    assert requests == ["HeadBucket"] * 3


def test_bad_input_is_told_all_at_once(run_module, requests):
    with pytest.raises(ModuleFailed) as failed:
        run_module("s3_bucket", name="Demo_Logs", encryption="AES256", kms_key_id="1", policy={"Version": "2012-10-17"}, expiration_days=0)
    for said in ("'Demo_Logs'", "kms_key_id is for", "policy needs a Statement", "1 or more, not 0"):
        assert said in str(failed.value)
    assert requests == []


def test_does_not_name_the_oldest_region(aws, name, run_module, requests, sent):
    run_module("s3_bucket", name=name, region="us-east-1")
    assert ("CreateBucket", {"Bucket": name}) in sent


def test_outlasts_what_s3_does_not_know_everywhere(name, run_module, requests, answers):
    answers["CreateBucket"] = [refusal("OperationAborted"), refusal("BucketAlreadyOwnedByYou")]
    answers["PutBucketTagging"] = [refusal("NoSuchBucket"), refusal("OperationAborted"), {}]
    run_module("s3_bucket", name=name, tags=TAGS)
    assert requests == ["HeadBucket", "CreateBucket", "CreateBucket", *["PutBucketTagging"] * 3]


def test_removes_a_bucket_with_old_versions_and_what_arrives_late(aws, name, run_module, check_run_check_run, requests, answers, sent):
    run_module("s3_bucket", name=name, tags=TAGS)
    s3 = aws("s3")
    s3.put_object(Bucket=name, Key="before versions")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=name, Key="log")
    s3.delete_object(Bucket=name, Key="log")
    with pytest.raises(ModuleFailed, match="is not empty; force: true"):
        run_module("s3_bucket", check=True, name=name, tags=TAGS, state="absent")

    def late(answer):
        s3.put_object(Bucket=name, Key="late")
        return answer

    answers["DeleteObjects"] = [late]
    done = check_run_check_run("s3_bucket", name=name, tags=TAGS, state="absent", force=True)
    assert not is_there(s3, name) and done["changes"]["deleted"] == [name]
    assert [len(request["Delete"]["Objects"]) for operation, request in sent if operation == "DeleteObjects"] == [4, 1]
    assert requests.count("DeleteBucket") == 2


def test_objects_that_aws_does_not_delete_are_an_error(aws, name, run_module, requests, answers):
    run_module("s3_bucket", name=name)
    aws("s3").put_object(Bucket=name, Key="locked")
    answers["DeleteObjects"] = [{"Errors": [{"Key": "locked", "Code": "AccessDenied", "Message": "Access Denied"}]}]
    with pytest.raises(ModuleFailed, match="1 of its objects, such as 'locked': AccessDenied"):
        run_module("s3_bucket", name=name, state="absent", force=True)
    assert "DeleteBucket" not in requests


def test_leaves_a_bucket_without_the_tags_alone(aws, name, run_module):
    run_module("s3_bucket", name=name, tags={"threetier:stack": "other"})
    done = run_module("s3_bucket", name=name, tags=TAGS, state="absent", force=True)
    assert not done["changed"] and name in str(done["warnings"]) and is_there(aws("s3"), name)
