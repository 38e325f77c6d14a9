"""The module kms_key."""

from __future__ import annotations

import json

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ansible_collections.threetier.aws.plugins.module_utils import state
from support import ModuleFailed

OWNER = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}


def policy(*services):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [OWNER, statement]}


def tags(name):
    return {"threetier:stack": name}


def key(name, **changed):
    return {
        "alias": name,
        "description": "Alarms of demo",
        "policy": policy("cloudwatch.amazonaws.com"),
        "enable_key_rotation": True,
        "tags": tags(name),
    } | changed


def described(aws, name):
    return aws("kms").describe_key(KeyId=f"alias/{name}")["KeyMetadata"]


def live_keys(aws, name):
    """Ids of the keys with the tags that do not wait for their deletion, with or without alias."""
    kms = aws("kms")
    wanted = [{"TagKey": field, "TagValue": value} for field, value in tags(name).items()]
    ids = [each["KeyId"] for each in kms.list_keys()["Keys"]]
    carrying = [each for each in ids if kms.list_resource_tags(KeyId=each)["Tags"] == wanted]
    return [each for each in carrying if kms.describe_key(KeyId=each)["KeyMetadata"]["KeyState"] != "PendingDeletion"]


def aliases(aws):
    return [each["AliasName"] for each in aws("kms").list_aliases()["Aliases"]]


def orphan(aws, name):
    """A key as a run leaves it that ended before it made the alias."""
    tag_list = [{"TagKey": field, "TagValue": value} for field, value in tags(name).items()]
    return aws("kms").create_key(KeyUsage="ENCRYPT_DECRYPT", Tags=tag_list)["KeyMetadata"]["KeyId"]


def test_creates_a_key_and_schedules_its_deletion(aws, check_run_check_run):
    done = check_run_check_run("kms_key", **key("create"))
    kms, found = aws("kms"), described(aws, "create")
    assert (found["Description"], done["key"]["key_id"], done["key"]["key_arn"]) == ("Alarms of demo", found["KeyId"], found["Arn"])
    assert json.loads(kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")["Policy"]) == policy("cloudwatch.amazonaws.com")
    assert kms.get_key_rotation_status(KeyId=found["KeyId"])["KeyRotationEnabled"]
    assert live_keys(aws, "create") == [found["KeyId"]]
    assert done["diff"]["before"] == {} and done["diff"]["after"]["create"]["enable_key_rotation"]

    check_run_check_run("kms_key", alias="create", tags=tags("create"), pending_window=7, state="absent")
    left = kms.describe_key(KeyId=found["KeyId"])["KeyMetadata"]
    assert left["KeyState"] == "PendingDeletion" and (left["DeletionDate"] - left["CreationDate"]).days in (6, 7)
    assert "alias/create" not in aliases(aws)


def test_a_preview_knows_no_id_yet(run_module, aws):
    previewed = run_module("kms_key", check=True, **key("preview"))["key"]
    assert state.is_planned(previewed["key_id"]) and previewed["alias"] == "alias/preview"
    assert live_keys(aws, "preview") == []


def test_changes_what_differs_and_shows_only_that(aws, run_module, check_run_check_run):
    run_module("kms_key", **key("change", tags=tags("change") | {"old": "1"}))
    wider = policy("cloudwatch.amazonaws.com", "events.amazonaws.com")
    done = check_run_check_run("kms_key", **key("change", description="New", policy=wider, enable_key_rotation=False))
    statements = {"statement 1": OWNER, "statement 2": wider["Statement"][1]}
    assert done["diff"]["after"] == {"change": {"policy": statements, "description": "New", "enable_key_rotation": False, "tag old": None}}
    assert done["diff"]["before"]["change"]["description"] == "Alarms of demo"
    kms, found = aws("kms"), described(aws, "change")
    assert found["Description"] == "New" and not kms.get_key_rotation_status(KeyId=found["KeyId"])["KeyRotationEnabled"]
    assert json.loads(kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")["Policy"]) == wider


def test_what_is_not_given_stays(run_module):
    run_module("kms_key", **key("stays"))
    done = run_module("kms_key", alias="alias/stays")
    assert not done["changed"]
    assert (done["key"]["description"], done["key"]["enable_key_rotation"]) == ("Alarms of demo", True)


def test_a_policy_in_another_order_is_no_change(run_module):
    run_module("kms_key", **key("turned", policy=policy("cloudwatch.amazonaws.com", "events.amazonaws.com")))
    assert not run_module("kms_key", **key("turned", policy=policy("events.amazonaws.com", "cloudwatch.amazonaws.com")))["changed"]


def test_a_key_that_a_crash_left_without_alias_gets_it(aws, check_run_check_run):
    left = orphan(aws, "crash")
    done = check_run_check_run("kms_key", **key("crash"))
    assert (done["key"]["key_id"], live_keys(aws, "crash")) == (left, [left])
    assert done["diff"]["before"]["crash"]["alias"] is None


def test_a_key_with_another_alias_is_another_key(aws, run_module):
    other = orphan(aws, "other")
    aws("kms").create_alias(AliasName="alias/other-purpose", TargetKeyId=other)
    assert run_module("kms_key", **key("other"))["key"]["key_id"] != other


def test_cancels_the_deletion_of_the_key_that_has_the_alias(aws, run_module, check_run_check_run):
    run_module("kms_key", **key("cancel"))
    key_id = described(aws, "cancel")["KeyId"]
    aws("kms").schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    done = check_run_check_run("kms_key", **key("cancel"))
    assert done["diff"] == {"before": {"cancel": {"key_state": "PendingDeletion"}}, "after": {"cancel": {"key_state": "Enabled"}}}
    assert (described(aws, "cancel")["KeyId"], described(aws, "cancel")["KeyState"]) == (key_id, "Enabled")


def test_enables_a_disabled_key(aws, run_module, check_run_check_run):
    run_module("kms_key", **key("disabled"))
    aws("kms").disable_key(KeyId=described(aws, "disabled")["KeyId"])
    check_run_check_run("kms_key", **key("disabled"))
    assert described(aws, "disabled")["KeyState"] == "Enabled"


def test_a_removed_key_is_not_taken_back(aws, run_module, check_run_check_run):
    old = run_module("kms_key", **key("again"))["key"]["key_id"]
    run_module("kms_key", alias="again", tags=tags("again"), state="absent")
    assert check_run_check_run("kms_key", **key("again"))["key"]["key_id"] != old


def test_removal_finds_keys_that_crashes_left(aws, run_module, check_run_check_run):
    run_module("kms_key", **key("remove"))
    orphan(aws, "remove")
    aws("kms").schedule_key_deletion(KeyId=described(aws, "remove")["KeyId"], PendingWindowInDays=7)
    check_run_check_run("kms_key", alias="remove", tags=tags("remove"), state="absent")
    assert live_keys(aws, "remove") == [] and "alias/remove" not in aliases(aws)


def test_removal_leaves_what_does_not_carry_the_tags(aws, run_module):
    run_module("kms_key", **key("foreign"))
    done = run_module("kms_key", alias="foreign", tags=tags("somebody"), state="absent")
    assert not done["changed"] and "foreign" in str(done["warnings"])
    assert described(aws, "foreign")["KeyState"] == "Enabled"


def test_a_key_of_another_kind_is_refused(aws, run_module, requests):
    kms = aws("kms")
    signing = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/signing", TargetKeyId=signing)
    requests.clear()
    with pytest.raises(ModuleFailed, match="KeyUsage SIGN_VERIFY.* take another alias"):
        run_module("kms_key", **key("signing"))
    assert requests == ["DescribeKey"]


def test_bad_input_is_told_all_at_once(run_module, requests):
    with pytest.raises(ModuleFailed, match="alias/aws/.*; pending_window must be 7 to 30"):
        run_module("kms_key", **key("aws/sns", pending_window=3))
    assert requests == []


def test_outlasts_what_kms_does_not_know_yet(aws, run_module, monkeypatch):
    monkeypatch.setattr(state, "POLL_SECONDS", 0)
    passing = {
        "CreateKey": ("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."),
        "CreateAlias": ("NotFoundException", "Key 'arn:aws:kms:eu-central-1:123456789012:key/new' does not exist"),
        "EnableKeyRotation": ("NotFoundException", "Key 'arn:aws:kms:eu-central-1:123456789012:key/new' does not exist"),
    }
    original = BaseClient._make_api_call

    def once(self, operation, parameters):
        if operation in passing:
            code, message = passing.pop(operation)
            raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", once)
    run_module("kms_key", **key("young"))
    assert passing == {} and len(live_keys(aws, "young")) == 1


def test_an_unchanged_key_costs_four_requests(run_module, requests):
    run_module("kms_key", **key("count"))
    assert requests == ["DescribeKey", "GetResources", "CreateKey", "CreateAlias", "EnableKeyRotation"]
    requests.clear()
    run_module("kms_key", **key("count"))
    assert requests == ["DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"]
