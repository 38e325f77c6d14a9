"""The module dynamodb_table."""

from __future__ import annotations

import boto3
import pytest
from botocore.stub import Stubber

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.threetier.aws.plugins.module_utils import state
from ansible_collections.threetier.aws.plugins.modules import dynamodb_table
from support import ModuleFailed

TABLE = {
    "hash_key": {"name": "id"},
    "point_in_time_recovery": True,
    "deletion_protection": True,
    "ttl_attribute": "expires_at",
    "tags": {"threetier:stack": "demo"},
}
PROVISIONED = {
    "hash_key": {"name": "id"},
    "billing_mode": "PROVISIONED",
    "read_capacity": {"minimum": 5, "maximum": 50},
    "write_capacity": {"minimum": 5, "maximum": 50},
}


def test_creates_a_table_with_all_its_settings(aws, check_run_check_run):
    done = check_run_check_run(
        "dynamodb_table", name="items", range_key={"name": "at", "type": "NUMBER"}, recovery_period_in_days=7, **TABLE
    )
    assert done["table"]["table_arn"].endswith(":table/items")
    assert done["table"]["tags"] == done["diff"]["after"]["items"]["tags"] == TABLE["tags"]
    assert done["diff"]["after"]["items"]["keys"] == ["id (HASH, S)", "at (RANGE, N)"]

    table = aws("dynamodb").describe_table(TableName="items")["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("id", "HASH"), ("at", "RANGE")]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"]
    ttl = aws("dynamodb").describe_time_to_live(TableName="items")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = aws("dynamodb").describe_continuous_backups(TableName="items")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 7


def test_changes_only_what_differs(run_module, check_run_check_run):
    run_module("dynamodb_table", name="changed", **TABLE)
    wanted = TABLE | {"deletion_protection": False, "point_in_time_recovery": False, "tags": {"threetier:tier": "items"}}
    diff = check_run_check_run("dynamodb_table", name="changed", **wanted)["diff"]
    assert diff["before"]["changed"] == {
        "deletion_protection": True,
        "point_in_time_recovery": True,
        "tag threetier:tier": None,
        "tag threetier:stack": "demo",
    }
    assert diff["after"]["changed"] == {
        "deletion_protection": False,
        "point_in_time_recovery": False,
        "tag threetier:tier": "items",
        "tag threetier:stack": None,
    }


def test_predicts_the_arn_of_a_new_table(run_module):
    predicted = run_module("dynamodb_table", check=True, name="predicted", **TABLE)["table"]
    done = run_module("dynamodb_table", name="predicted", **TABLE)["table"]
    assert predicted == {field: done[field] for field in ("table_name", "table_arn", "tags")}


@pytest.mark.parametrize("wait", [True, False])
def test_a_creation_that_nobody_waits_for_is_completed_by_the_call_that_joins_it(run_module, check_run_check_run, requests, answers, wait):
    def creating(answer):
        return {"Table": {**answer["Table"], "TableStatus": "CREATING"}}

    name = f"joined-{wait}"
    predicted = run_module("dynamodb_table", check=True, name=name, wait=False, **TABLE)
    started = run_module("dynamodb_table", name=name, wait=False, **TABLE)
    assert started["diff"] == predicted["diff"] and "ttl_attribute" not in started["diff"]["after"][name]
    answers["DescribeTable"] = [creating, creating, lambda answer: answer] * 2
    joined = check_run_check_run("dynamodb_table", name=name, wait=wait, **TABLE)
    assert joined["diff"]["after"] == {name: {"point_in_time_recovery": True, "ttl_attribute": "expires_at"}}


def test_previews_a_table_whose_key_is_not_made_yet(run_module, requests):
    encryption = {"enabled": True, "kms_master_key_id": state.planned("alias/items")}
    preview = run_module("dynamodb_table", check=True, name="locked", hash_key={"name": "id"}, server_side_encryption=encryption)
    assert preview["diff"]["after"]["locked"]["server_side_encryption"]["kms_master_key_arn"] == state.planned("alias/items")
    assert requests == ["DescribeTable", "GetCallerIdentity"]


def test_leaves_the_capacity_that_auto_scaling_has_set(aws, run_module, check_run_check_run):
    check_run_check_run("dynamodb_table", name="scaled", **PROVISIONED)
    units = {"ReadCapacityUnits": 20, "WriteCapacityUnits": 60}
    aws("dynamodb").update_table(TableName="scaled", ProvisionedThroughput=units)
    changed = check_run_check_run("dynamodb_table", name="scaled", **PROVISIONED)
    assert changed["diff"] == {"before": {"scaled": {"write_capacity": 60}}, "after": {"scaled": {"write_capacity": 50}}}
    throughput = aws("dynamodb").describe_table(TableName="scaled")["Table"]["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (20, 50)


def test_a_key_of_aws_and_one_of_the_customer_are_told_apart(aws, check_run_check_run):
    key = aws("kms").create_key()["KeyMetadata"]
    aws("kms").create_alias(AliasName="alias/items", TargetKeyId=key["KeyId"])
    encryption = {"enabled": True, "kms_master_key_id": "alias/items"}
    done = check_run_check_run("dynamodb_table", name="encrypted", hash_key={"name": "id"}, server_side_encryption=encryption)
    assert done["table"]["sse_description"]["kms_master_key_arn"] == key["Arn"]
    check_run_check_run("dynamodb_table", name="managed", hash_key={"name": "id"}, server_side_encryption={"enabled": True})


def test_refuses_to_change_keys(run_module):
    run_module("dynamodb_table", name="keyed", hash_key={"name": "id"})
    with pytest.raises(ModuleFailed, match=r"cannot change them to id \(HASH, N\)"):
        run_module("dynamodb_table", name="keyed", hash_key={"name": "id", "type": "NUMBER"})


def test_deletes_a_protected_table_only_when_told_so(run_module, check_run_check_run):
    run_module("dynamodb_table", name="protected", **TABLE)
    with pytest.raises(ModuleFailed, match="protected from deletion"):
        run_module("dynamodb_table", check=True, name="protected", state="absent")
    check_run_check_run("dynamodb_table", name="protected", state="absent", deletion_protection=False)


def test_each_setting_is_an_update_of_its_own():
    params = {"server_side_encryption": {"enabled": True, "kms_master_key_id": "alias/aws/dynamodb"}}
    wanted = {
        "billing_mode": "PROVISIONED",
        "read_capacity": 5,
        "write_capacity": 6,
        "table_class": "STANDARD_INFREQUENT_ACCESS",
        "server_side_encryption": {"enabled": True, "kms_master_key_arn": "arn:aws:kms:::key/aws"},
        "deletion_protection": True,
    }
    change = {field: wanted[field] for field in wanted if field != "billing_mode"}
    assert list(dynamodb_table.table_requests(params, wanted, change)) == [
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}},
        {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        {"SSESpecification": {"Enabled": True, "SSEType": "KMS"}},
        {"DeletionProtectionEnabled": True},
    ]


@pytest.fixture
def dynamodb():
    """A client whose answers the test gives, for what the emulator never answers."""
    client = boto3.client(
        "dynamodb", region_name="eu-central-1", aws_access_key_id="stub-access-key", aws_secret_access_key="stub-secret-key"
    )
    with Stubber(client) as stubber:
        yield RetryingBotoClientWrapper(client, AWSRetry.jittered_backoff()), stubber
        stubber.assert_no_pending_responses()


def test_explains_that_expiry_changes_once_an_hour(dynamodb):
    client, stubber = dynamodb
    stubber.add_response("update_time_to_live", {"TimeToLiveSpecification": {"Enabled": False, "AttributeName": "old"}})
    refusal = "Time to live has been modified multiple times within a fixed interval"
    stubber.add_client_error("update_time_to_live", "ValidationException", refusal)
    with pytest.raises(state.StateError, match="expiry by new is not yet on: run again in an hour"):
        dynamodb_table.set_recovery_and_ttl(client, "items", {"ttl_attribute": "new"}, {"ttl_attribute": "new"}, "old")


def test_waits_while_continuous_backups_are_being_set_up(dynamodb, monkeypatch):
    client, stubber = dynamodb
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    stubber.add_client_error("update_continuous_backups", "ContinuousBackupsUnavailableException", "Backups are being enabled")
    stubber.add_response("update_continuous_backups", {})
    change = {"point_in_time_recovery": True}
    dynamodb_table.set_recovery_and_ttl(client, "items", change, change, "")
