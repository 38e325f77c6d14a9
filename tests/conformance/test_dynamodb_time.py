"""DynamoDB: the states of a table, and what takes time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from conformance.support import conforms, refused
from conformance.test_dynamodb import API, UNITS, request

EMULATOR = ["--time-scale", "0.15"]  # a table is made in 1.2 seconds
PATIENCE_SECONDS = 10
Aws = Callable[..., Any]


@pytest.fixture(autouse=True)
def warm(aws: Aws) -> None:
    """What an emulator does for the first time takes it longer than the steps that are measured here."""
    if "warm" not in aws("dynamodb").list_tables()["TableNames"]:
        aws("dynamodb").create_table(**request("warm"))
    aws("dynamodb").describe_table(TableName="warm")


def wait(read: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.05)


def status(aws: Aws, name: str) -> str | None:
    """Status of a table, None where it is not there."""
    try:
        return str(aws("dynamodb").describe_table(TableName=name)["Table"]["TableStatus"])
    except aws("dynamodb").exceptions.ResourceNotFoundException:
        return None


@conforms(f"{API}/API_TableDescription.html")
def test_table_status(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    assert dynamodb.create_table(**request("stated"))["TableDescription"]["TableStatus"] == "CREATING"
    assert status(aws, "stated") == "CREATING"
    wait(lambda: status(aws, "stated"), "ACTIVE")
    assert dynamodb.update_table(TableName="stated", DeletionProtectionEnabled=False)["TableDescription"]["TableStatus"] == "UPDATING"
    wait(lambda: status(aws, "stated"), "ACTIVE")


@conforms(f"{API}/API_DeleteTable.html")
def test_table_is_deleted_in_time(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("deleted"))
    wait(lambda: status(aws, "deleted"), "ACTIVE")
    assert dynamodb.delete_table(TableName="deleted")["TableDescription"]["TableStatus"] == "DELETING"
    refused("ResourceInUseException", dynamodb.create_table, **request("deleted"))
    wait(lambda: status(aws, "deleted"), None)
    dynamodb.create_table(**request("deleted"))


@conforms(f"{API}/API_UpdateTable.html")
def test_table_in_use(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("busy"))
    expiry = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "at"}}
    assert "being created" in refused("ResourceInUseException", dynamodb.update_table, TableName="busy", DeletionProtectionEnabled=True)
    refused("ResourceInUseException", dynamodb.delete_table, TableName="busy")
    refused("ResourceInUseException", dynamodb.update_time_to_live, TableName="busy", **expiry)
    wait(lambda: status(aws, "busy"), "ACTIVE")
    dynamodb.update_table(TableName="busy", DeletionProtectionEnabled=True)
    assert "being updated" in refused("ResourceInUseException", dynamodb.update_table, TableName="busy", DeletionProtectionEnabled=False)


@conforms(f"{API}/API_CreateTable.html")
def test_table_not_ready(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("early"))
    item = {"id": {"S": "1"}}
    refused("ResourceNotFoundException", dynamodb.put_item, TableName="early", Item=item)
    refused("ResourceNotFoundException", dynamodb.batch_write_item, RequestItems={"early": [{"PutRequest": {"Item": item}}]})
    wait(lambda: status(aws, "early"), "ACTIVE")
    dynamodb.put_item(TableName="early", Item=item)
    assert dynamodb.get_item(TableName="early", Key=item)["Item"] == item


@conforms(f"{API}/API_UpdateContinuousBackups.html")
def test_backups_not_available(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("recovered"))
    recovery = {"TableName": "recovered", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    refused("ContinuousBackupsUnavailableException", dynamodb.update_continuous_backups, **recovery)
    wait(lambda: status(aws, "recovered"), "ACTIVE")
    time.sleep(0.5)  # they come 0.3 seconds after the table
    dynamodb.update_continuous_backups(**recovery)


@conforms("https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-switching-capacity-modes.html")
def test_billing_mode_too_often(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("switched", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS))
    for number in range(5):
        wait(lambda: status(aws, "switched"), "ACTIVE")
        if number == 4:
            refused("LimitExceededException", dynamodb.update_table, TableName="switched", BillingMode="PAY_PER_REQUEST")
            break
        dynamodb.update_table(TableName="switched", BillingMode="PAY_PER_REQUEST")
        wait(lambda: status(aws, "switched"), "ACTIVE")
        dynamodb.update_table(TableName="switched", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)


@conforms(f"{API}/API_UpdateTimeToLive.html")
def test_time_to_live_in_time(aws: Aws) -> None:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(**request("expiring-late"))
    wait(lambda: status(aws, "expiring-late"), "ACTIVE")
    expiry = {"Enabled": True, "AttributeName": "at"}
    dynamodb.update_time_to_live(TableName="expiring-late", TimeToLiveSpecification=expiry)
    assert dynamodb.describe_time_to_live(TableName="expiring-late")["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLING"
    expiry["Enabled"] = False
    message = refused("ValidationException", dynamodb.update_time_to_live, TableName="expiring-late", TimeToLiveSpecification=expiry)
    assert message == "Time to live has been modified multiple times within a fixed interval"
